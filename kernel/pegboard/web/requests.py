"""Litestar's request, with clear refusals of JSON that can't be read."""

from typing import Any

import msgspec
from litestar import Request
from litestar.exceptions import ClientException
from pegboard_sdk.errors import DomainError

__all__ = ("BodyMissing", "JsonRequest", "TooDeep")


class BodyMissing(DomainError):
    """The route takes a body and none was sent."""

    code = "body_missing"


class TooDeep(DomainError):
    """The JSON nests deeper than the decoder goes, which is about as deep as Python's own stack."""

    code = "nesting_too_deep"


class JsonRequest(Request[Any, Any, Any]):
    """The request class of all routes."""

    async def body(self) -> bytes:
        content = await super().body()
        handler = self.scope.get("route_handler")
        data = None if content or handler is None else handler.parsed_data_field
        if data is not None and not data.has_default and not data.is_optional:
            raise BodyMissing(f"Send a JSON object in the body.{_fields(data.annotation)} GET /docs shows more.")
        return content

    async def json(self) -> Any:
        try:
            return await super().json()
        except RecursionError as error:
            raise TooDeep("The body nests too deep.") from error
        except UnicodeDecodeError as error:
            # msgspec finds it only when a text is made, and Litestar knows it for no fault of the caller's.
            raise ClientException("not UTF-8") from error


def _fields(struct: Any) -> str:
    """What an object of a Struct has, in a sentence or two."""
    if not (isinstance(struct, type) and issubclass(struct, msgspec.Struct)):
        return ""
    fields = msgspec.structs.fields(struct)
    required = ", ".join(field.encode_name for field in fields if field.required)
    optional = ", ".join(field.encode_name for field in fields if not field.required)
    must = f" It must have: {required}." if required else ""
    return f"{must} It may have: {optional}." if optional else must
