"""What is known of an API. Types, defaults and values are kept as the code writes them."""

from typing import Literal

import msgspec

__all__ = ("Api", "Deprecation", "Member", "Parameter", "Symbol")


class Parameter(msgspec.Struct, frozen=True, omit_defaults=True):
    """A parameter of a function. `default` is None where a caller must give it."""

    name: str
    kind: Literal["positional", "either", "keyword", "args", "kwargs"]
    type: str = ""
    default: str | None = None


class Deprecation(msgspec.Struct, frozen=True, omit_defaults=True):
    """Since which version something is going, which one it is gone from, and what to use instead."""

    since: str
    removal: str
    use: str


class Member(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A method, property, field or other attribute of a class. `value` is a field's default or an attribute's value."""

    kind: Literal["method", "property", "field", "attribute"]
    parameters: list[Parameter] = []
    type: str = ""
    value: str | None = None
    marks: list[str] = []
    deprecated: Deprecation | None = None


class Symbol(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Something public of a module.

    `type` is what a function or hook returns, or a value's annotation; `value` a value's text, or where a name comes
    from. `options` are a class's keywords (`frozen=True`). Members are in the order of the code: it is that of a
    Struct's positional arguments.
    """

    kind: Literal["function", "hook", "struct", "protocol", "class", "value", "name"]
    parameters: list[Parameter] = []
    type: str = ""
    value: str = ""
    bases: list[str] = []
    options: dict[str, str] = {}
    members: dict[str, Member] = {}
    marks: list[str] = []
    deprecated: Deprecation | None = None


class Api(msgspec.Struct, frozen=True, kw_only=True):
    """The API of a version: symbols by module and name."""

    version: str
    modules: dict[str, dict[str, Symbol]]
