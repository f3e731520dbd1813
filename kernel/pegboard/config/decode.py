"""From a TOML table and environment variables to a Struct, with mistakes that name the key."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import inspect
from pegboard_sdk.settings import Secret

from pegboard.config.errors import ENVIRONMENT, ConfigError, unknown_name
from pegboard.config.references import References
from pegboard.config.source import Source

__all__ = ("Decoder", "Variable")

T = TypeVar("T", bound=msgspec.Struct)

_WHERE = re.compile(r" - at `\$(?P<path>.*)`$")
_UNKNOWN = re.compile(r"^Object contains unknown field `(?P<name>.*)`$")
_QUOTED = re.compile(r"`([^`]*)`")
_PLAIN_NAMES = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "array": "a list",
    "object": "a table",
    "null": "nothing",
}
_LISTS = (inspect.ListType, inspect.SetType, inspect.FrozenSetType, inspect.VarTupleType)
_TABLES = (inspect.DictType, inspect.StructType)


class Variable(msgspec.Struct, frozen=True):
    """An environment variable that sets a field. Its text may be a secret."""

    name: str
    text: Secret


class Decoder:
    """Decodes tables of one file. Collects every mistake in `errors` instead of stopping at the first."""

    def __init__(self, source: Source, environ: Mapping[str, str]) -> None:
        self.source = source
        self.errors: list[ConfigError] = []
        self._references = References(source.path.parent, environ)

    def table(
        self,
        type: type[T],
        values: Any,
        *,
        at: Sequence[str],
        variables: Mapping[str, Variable] | None = None,
        checks: Mapping[str, Callable[[Any], None]] | None = None,
    ) -> T | None:
        """`values`, overridden by `variables` (by field name), as `type`; None when there was a mistake.

        `checks` look at the values of fields and raise ValueError with what is wrong.
        """
        if not isinstance(values, Mapping):
            self.errors.append(self.source.error(at, "expected a table"))
            return None
        before = len(self.errors)
        variables = variables or {}
        fields = {field.encode_name: field for field in msgspec.structs.fields(type)}
        for name in values:
            if name not in fields:
                self.errors.append(self.source.error((*at, name), unknown_name("key", name, fields)))
        for name, variable in variables.items():
            if name not in fields:
                self._variable_error(variable, unknown_name("setting", name, fields))
        arguments: dict[str, Any] = {}
        for name, field in fields.items():
            if name in variables:
                arguments[field.name] = self._from_variable(field.type, variables[name])
            elif name in values:
                arguments[field.name] = self._from_toml(field.type, values[name], (*at, name))
            elif field.required:
                self.errors.append(self.source.error((*at, name), "is required and missing"))
        for name, check in (checks or {}).items():
            self._check(check, arguments.get(name), (*at, name), variables.get(name))
        if len(self.errors) > before:
            return None
        try:
            return type(**arguments)
        except (ValueError, TypeError) as error:  # what a Struct's __post_init__ refuses with
            self.errors.append(self.source.error(at, str(error)))
            return None

    def _from_toml(self, type: Any, value: Any, at: tuple[str, ...]) -> Any:
        try:
            return msgspec.convert(value, type, dec_hook=self._custom)
        except msgspec.ValidationError as error:
            inside, reason = _explain(error, type)
            self.errors.append(self.source.error(at, reason, inside=inside))
            return None

    def _from_variable(self, type: Any, variable: Variable) -> Any:
        try:
            text = variable.text.reveal()
            value, strict = _structured(type, text)
            return msgspec.convert(value, type, strict=strict, dec_hook=self._custom)
        except msgspec.ValidationError as error:
            inside, reason = _explain(error, type)
            self._variable_error(variable, f"{inside}: {reason}" if inside else reason)
        except msgspec.DecodeError:
            self._variable_error(variable, "is not valid JSON")
        return None

    def _check(self, check: Callable[[Any], None], value: Any, at: tuple[str, ...], variable: Variable | None) -> None:
        if value is None:  # it couldn't be read, which was said
            return
        try:
            check(value)
        except ValueError as error:
            if variable is None:
                self.errors.append(self.source.error(at, str(error)))
            else:
                self._variable_error(variable, str(error))

    def _variable_error(self, variable: Variable, reason: str) -> None:
        self.errors.append(ConfigError(reason, file=ENVIRONMENT, key=variable.name))

    def _custom(self, type: Any, value: Any) -> Any:
        if type is not Secret:
            raise TypeError(f"a setting can't be a {type.__name__}")
        if not isinstance(value, str):
            raise TypeError("expected text")
        return Secret(self._references.resolve(value))


def _structured(type: Any, text: str) -> tuple[Any, bool]:
    """What a variable's text stands for, and whether its types are final: JSON has them, text and `a, b` don't."""
    info = inspect.type_info(type)
    kinds = info.types if isinstance(info, inspect.UnionType) else (info,)
    if any(isinstance(kind, (*_LISTS, *_TABLES)) for kind in kinds):
        if text.lstrip().startswith(("[", "{")):
            return msgspec.json.decode(text), True
        if any(isinstance(kind, _LISTS) for kind in kinds):
            return [item.strip() for item in text.split(",") if item.strip()], False
    return text, False


def _explain(error: msgspec.ValidationError, type: Any) -> tuple[str, str]:
    """Where inside the value, and why, in words for who writes configuration and not Python."""
    message = str(error)
    where = _WHERE.search(message)
    path = where["path"] if where else ""
    message = _WHERE.sub("", message)
    if message.startswith("Invalid enum value") and not path:
        info = inspect.type_info(type)
        if isinstance(info, inspect.LiteralType):
            return path, f"expected one of {', '.join(map(str, info.values))}"
    if unknown := _UNKNOWN.match(message):
        return f"{path}.{unknown['name']}", "unknown key"
    message = message.replace("Object missing required field", "missing key")
    message = _QUOTED.sub(lambda quoted: " or ".join(_PLAIN_NAMES.get(n, n) for n in quoted[1].split(" | ")), message)
    return path, message[:1].lower() + message[1:]
