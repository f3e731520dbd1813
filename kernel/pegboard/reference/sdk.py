"""The page on the SDK: everything that a plugin may import, what is new, and what is going."""

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pegboard_sdk

from pegboard.reference.api.compare import compare
from pegboard.reference.api.model import Api, Deprecation, Member, Parameter, Symbol
from pegboard.reference.api.read import read_api
from pegboard.reference.markdown import cell, page, prose, summary, table

__all__ = ("read_sdk", "sdk_page")

_INTRODUCTION = """
`pegboard_sdk` is all of Pegboard that a plugin imports. Its version, {version}, is the one that `sdk` in a plugin's
manifest names. Within a major version nothing that is on this page is taken away or asks for more than it did: a minor
version adds, and what is to go is deprecated first.
[What breaks a plugin, and what doesn't](../decisions/0099-sdk-stability.md).

Hooks have [a page of their own](hooks.md); what `plugin.toml` may say is `Manifest` and `Capabilities` here.
"""


def read_sdk() -> Api:
    """The API of the SDK that is installed here."""
    return read_api(Path(pegboard_sdk.__file__).parent)


def sdk_page(api: Api, released: Api | None) -> str:
    """Every public name of the SDK by module; first what is deprecated, and what is new since the last release."""
    sections = [_deprecated(api), *_news(api, released)]
    for module, symbols in sorted(api.modules.items()):
        sections += _module(module, symbols)
    return page("SDK", _INTRODUCTION.format(version=api.version), sections)


def _deprecated(api: Api) -> str:
    rows = [
        (f"`{what}`", told.since, told.removal, cell(told.use))
        for module, symbols in sorted(api.modules.items())
        for what, told in _marked(module, symbols)
    ]
    text = table(("what", "since", "gone from", "use"), rows) if rows else "Nothing is deprecated."
    return f"## Deprecated\n\n{text}"


def _marked(module: str, symbols: dict[str, Symbol]) -> Iterator[tuple[str, Deprecation]]:
    for name, symbol in sorted(symbols.items()):
        if symbol.deprecated is not None:
            yield f"{module}.{name}", symbol.deprecated
        for member, one in symbol.members.items():
            if one.deprecated is not None:
                yield f"{module}.{name}.{member}", one.deprecated


def _news(api: Api, released: Api | None) -> Iterator[str]:
    if released is not None and released.version != api.version:
        changes = "\n".join(f"- `{change.what}` {cell(change.how)}" for change in compare(released, api))
        yield f"## New since {released.version}\n\n{changes or 'Nothing.'}"


def _module(module: str, symbols: dict[str, Symbol]) -> Iterator[str]:
    shown = {name: symbol for name, symbol in symbols.items() if symbol.kind != "hook"}
    yield f"## `{module}`"
    imported = importlib.import_module(module)
    yield summary(imported)
    names = [f"`{name}`" for name, symbol in shown.items() if symbol.kind == "name"]
    if names:
        yield f"Also here: {', '.join(names)}."
    for name, symbol in shown.items():
        if symbol.kind != "name":
            yield from _symbol(name, symbol, getattr(imported, name))


def _symbol(name: str, symbol: Symbol, thing: Any) -> Iterator[str]:
    yield f"### `{name}`"
    yield f"```python\n{_declaration(name, symbol)}\n```"
    if symbol.kind != "value":
        yield prose(thing)
    told = [
        f"- `{member}`: {' '.join(summary(documented).split())}"
        for member, one in symbol.members.items()
        if one.kind in ("method", "property")
        and (documented := vars(thing).get(member)) is not None
        and summary(documented)
        and not member.startswith("__")
    ]
    if told:
        yield "\n".join(told)


def _declaration(name: str, symbol: Symbol) -> str:
    if symbol.kind == "value":
        return f"{name}{f': {symbol.type}' if symbol.type else ''} = {symbol.value}"
    if symbol.kind == "function":
        return _signature(name, symbol.parameters, symbol.type, symbol.marks)
    given = [*symbol.bases, *(f"{option}={value}" for option, value in symbol.options.items())]
    members = [line for one, member in symbol.members.items() for line in _member(one, member)]
    head = f"class {name}({', '.join(given)}):" if given else f"class {name}:"
    return "\n".join((head, *(members or ["    ..."])))


def _member(name: str, member: Member) -> Iterator[str]:
    if member.kind == "property":
        yield f"    {name}: {member.type}  # read only"
    elif member.kind == "method":
        own = () if "staticmethod" in member.marks else (Parameter("self", "either", default=None),)
        yield f"    {_signature(name, (*own, *member.parameters), member.type, member.marks)}"
    else:
        value = f" = {member.value}" if member.value is not None else ""
        yield f"    {name}{f': {member.type}' if member.type else ''}{value}"


def _signature(name: str, parameters: Sequence[Parameter], returns: str, marks: Sequence[str]) -> str:
    written: list[str] = []
    for parameter in parameters:
        if parameter.kind == "keyword" and not any(one.startswith("*") for one in written):
            written.append("*")
        stars = {"args": "*", "kwargs": "**"}.get(parameter.kind, "")
        text = f"{stars}{parameter.name}{f': {parameter.type}' if parameter.type else ''}"
        if parameter.default:
            text += f" = {parameter.default}" if parameter.type else f"={parameter.default}"
        written.append(text)
    start = "async def" if "async" in marks else "def"
    return f"{start} {name}({', '.join(written)}){f' -> {returns}' if returns else ''}"
