"""Types and defaults of fields, in words for who writes configuration or JSON and not Python."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import inspect
from pegboard_sdk.settings import Secret

__all__ = ("default_of", "fields_of", "type_of")

_PLAIN: Mapping[type[inspect.Type], str] = {
    inspect.AnyType: "anything",
    inspect.BoolType: "true or false",
    inspect.DateType: "date",
    inspect.DateTimeType: "date and time",
    inspect.NoneType: "nothing",
    inspect.UUIDType: "UUID",
}
_BOUNDS = (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))
_LENGTHS = (("min_length", "at least"), ("max_length", "at most"))


def fields_of(struct: type[msgspec.Struct]) -> list[inspect.Field]:
    """The fields of a Struct, in the order in which they are written down."""
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    return list(info.fields)


def type_of(info: inspect.Type) -> str:
    """A type in words, with its bounds: `whole number ≥ 1, ≤ 65535`."""
    if isinstance(info, inspect.Metadata):
        return type_of(info.type)
    if type(info) in _PLAIN:
        return _PLAIN[type(info)]
    if isinstance(info, inspect.IntType | inspect.FloatType):
        noun = "whole number" if isinstance(info, inspect.IntType) else "number"
        bounds = ((sign, getattr(info, name)) for name, sign in _BOUNDS)
        return f"{noun} {', '.join(f'{sign} {_number(limit)}' for sign, limit in bounds if limit is not None)}".rstrip()
    if isinstance(info, inspect.StrType):
        pattern = [f"matching `{info.pattern}`"] if info.pattern else []
        return ", ".join(("text", *_lengths(info, " characters"), *pattern))
    if isinstance(info, inspect.LiteralType):
        return " or ".join(f'`"{value}"`' if isinstance(value, str) else f"`{value}`" for value in info.values)
    if isinstance(info, inspect.ListType | inspect.SetType | inspect.FrozenSetType | inspect.VarTupleType):
        return ", ".join((f"list of {type_of(info.item_type)}", *_lengths(info, "")))
    if isinstance(info, inspect.DictType):
        return f"table of {type_of(info.value_type)}"
    if isinstance(info, inspect.UnionType):
        return " or ".join(type_of(one) for one in info.types)
    if isinstance(info, inspect.CustomType) and info.cls is Secret:
        return "secret text"
    if isinstance(info, inspect.StructType | inspect.CustomType | inspect.EnumType):
        return f"`{info.cls.__name__}`"
    raise TypeError(f"the reference has no words for a {type(info).__name__}: add them to pegboard.reference.shapes")


def default_of(field: inspect.Field) -> str:
    """A field's default as TOML would write it, as code; `required` where there is none."""
    if field.required:
        return "required"
    value = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    return f"`{_toml(value)}`"


def _toml(value: Any) -> str:
    if isinstance(value, Secret):
        return _toml(value.reveal())
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def _lengths(info: Any, unit: str) -> list[str]:
    return [f"{word} {limit}{unit}" for name, word in _LENGTHS if (limit := getattr(info, name)) is not None]


def _number(limit: float) -> str:
    return f"{limit:g}" if isinstance(limit, float) else str(limit)
