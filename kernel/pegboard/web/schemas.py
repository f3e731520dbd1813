"""Schemas with the description that their Struct's docstring gives."""

import inspect
from typing import Any

import msgspec
from litestar.openapi.spec import Schema
from litestar.plugins import OpenAPISchemaPlugin
from litestar.typing import FieldDefinition

__all__ = ("DescribedStructs",)


class DescribedStructs(OpenAPISchemaPlugin):
    """Litestar's own plugin for Structs makes the schema and leaves the docstring out."""

    def is_plugin_supported_field(self, field_definition: FieldDefinition) -> bool:
        return not field_definition.is_union and field_definition.is_subclass_of(msgspec.Struct)

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: Any) -> Schema:
        others = [plugin for plugin in schema_creator.plugins if plugin is not self]
        maker = next(one for one in others if schema_creator.plugin_supports_field(one, field_definition))
        schema = maker.to_openapi_schema(field_definition, schema_creator)
        struct = field_definition.origin or field_definition.type_
        schema.description = " ".join((inspect.getdoc(struct) or "").split()) or None
        return schema
