"""Values that fit a type: bodies, payloads and path parameters, the same ones every time."""

import datetime
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import inspect

__all__ = ("NUMBERS", "TEXTS", "Unbuildable", "build")

Ids = Callable[[str], UUID]
"""Gives the id for a field of this name: of a row that exists, where there is one."""

TEXTS = ("a", "Abc", "EUR", "US", "en", "a_b", "a.b", "A1", "1", "2026-01-02", "ada@example.com", "https://example.com/a",
          "5a" * 32, "UTC", "#112233", "a:b.c", "1.0.0", "+4930123456", "a/b", "-")  # fmt: skip
NUMBERS = (1, 0, 2, 10, 100, 1000, -1)
_NOW = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
_PLAIN: Mapping[type[inspect.Type], Any] = {
    inspect.AnyType: {},
    inspect.NoneType: None,
    inspect.BoolType: True,
    inspect.BytesType: "YQ==",
    inspect.ByteArrayType: "YQ==",
    inspect.MemoryViewType: "YQ==",
    inspect.DateTimeType: _NOW.isoformat(),
    inspect.DateType: _NOW.date().isoformat(),
    inspect.TimeType: _NOW.time().isoformat(),
    inspect.TimeDeltaType: "PT1S",
    inspect.DecimalType: "1.00",
    inspect.RawType: {},
}


class Unbuildable(Exception):
    """No value was found that fits; the text says for what."""


def build(type: Any, ids: Ids, *, name: str = "") -> Any:
    """A value of `type` as JSON has it: what is optional is left out, what has an id gets one of `ids`.

    Raises:
        Unbuildable: no value was found.
    """
    return _build(inspect.type_info(type), ids, name)


def _build(info: inspect.Type, ids: Ids, name: str) -> Any:
    match info:
        case inspect.Metadata():
            return _build(info.type, ids, name)
        case inspect.UUIDType():
            return str(ids(name))
        case inspect.StrType():
            return _text(info, name)
        case inspect.IntType() | inspect.FloatType():
            return _number(info, name)
        case inspect.EnumType():
            return next(iter(info.cls)).value
        case inspect.LiteralType():
            return info.values[0]
        case inspect.UnionType():
            return _first(info, ids, name)
        case inspect.StructType() | inspect.DataclassType() | inspect.TypedDictType() | inspect.NamedTupleType():
            return _fields(info, ids, name)
        case inspect.ListType() | inspect.SetType() | inspect.FrozenSetType() | inspect.VarTupleType():
            return [_build(info.item_type, ids, name)] * (info.min_length or 0)
        case inspect.TupleType():
            return [_build(item, ids, name) for item in info.item_types]
        case inspect.DictType():
            return {}
    try:
        return _PLAIN[type(info)]
    except KeyError:
        raise Unbuildable(f"{name or 'a value'} of the type {type(info).__name__}") from None


def _first(info: inspect.UnionType, ids: Ids, name: str) -> Any:
    """The first alternative that can be built, nothing last."""
    for alternative in sorted(info.types, key=lambda one: isinstance(one, inspect.NoneType)):
        try:
            return _build(alternative, ids, name)
        except Unbuildable:
            continue
    raise Unbuildable(f"any alternative of {name}")


def _fields(info: Any, ids: Ids, name: str) -> Any:
    values = {field.encode_name: _build(field.type, ids, field.name) for field in info.fields if field.required}
    if isinstance(info, inspect.NamedTupleType) or getattr(info, "array_like", False):
        return list(values.values())
    if isinstance(info, inspect.StructType) and info.tag_field is not None:
        values[info.tag_field] = info.tag
    return values


def _text(info: inspect.StrType, name: str) -> str:
    least, most = info.min_length or 0, info.max_length
    pattern = re.compile(info.pattern) if info.pattern else None
    for text in TEXTS:
        for candidate in (text, text * max(1, -(-least // len(text)))):
            fits = least <= len(candidate) and (most is None or len(candidate) <= most)
            if fits and (pattern is None or pattern.search(candidate)):
                return candidate
    raise Unbuildable(f"{name}: a text that matches {info.pattern!r}")


def _number(info: inspect.IntType | inspect.FloatType, name: str) -> int | float:
    candidates = [*NUMBERS, *(bound for bound in (info.ge, info.le) if bound is not None)]
    for number in (*candidates, info.multiple_of or 1):
        try:
            return msgspec.convert(number, _annotated(info))
        except msgspec.ValidationError:
            continue
    raise Unbuildable(f"{name}: a number within its bounds")


def _annotated(info: inspect.IntType | inspect.FloatType) -> Any:
    bounds = {key: getattr(info, key) for key in ("gt", "ge", "lt", "le", "multiple_of")}
    base = int if isinstance(info, inspect.IntType) else float
    return Annotated[base, msgspec.Meta(**{key: value for key, value in bounds.items() if value is not None})]
