"""What is on its way out of the SDK."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pegboard_sdk

from pegboard.conformance.project import Project
from pegboard.conformance.rule import Finding, Rule
from pegboard.conformance.source import Source
from pegboard.reference.api.model import Api, Deprecation
from pegboard.reference.api.read import read_api

__all__ = ("RULES", "uses_of_deprecated")


def _current(project: Project) -> Iterator[Finding]:
    api = read_api(Path(pegboard_sdk.__file__).parent)
    for source in project.sources:
        yield from uses_of_deprecated(source, api)


def uses_of_deprecated(source: Source, api: Api) -> Iterator[Finding]:
    """Where a file imports what `api` says is deprecated, or implements such a hook."""
    names, hooks = _deprecated(api)
    for line, name in source.imported_names():
        if name in names:
            yield Finding(_text(name, names[name]), source.shown, line)
    for function in source.functions():
        marks = {source.name_of(mark) for mark in function.decorator_list}
        if function.name in hooks and any(mark.endswith(".hookimpl") for mark in marks):
            yield Finding(_text(f"the hook {function.name}", hooks[function.name]), source.shown, function.lineno)


def _deprecated(api: Api) -> tuple[Mapping[str, Deprecation], Mapping[str, Deprecation]]:
    """Names by each way of importing them, and hooks."""
    names: dict[str, Deprecation] = {}
    hooks: dict[str, Deprecation] = {}
    for module, symbols in api.modules.items():
        for name, symbol in symbols.items():
            if symbol.deprecated is not None and symbol.kind == "hook":
                hooks[name] = symbol.deprecated
            elif symbol.deprecated is not None:
                names[f"{module}.{name}"] = symbol.deprecated
    for module, symbols in api.modules.items():
        names |= {
            f"{module}.{name}": names[symbol.value]
            for name, symbol in symbols.items()
            if symbol.kind == "name" and symbol.value in names
        }
    return names, hooks


def _text(what: str, told: Deprecation) -> str:
    return f"{what} is gone from version {told.removal} of the SDK on: use {told.use}"


RULES = (
    Rule(
        id="stability.deprecated",
        tier="gold",
        title="It uses nothing that the SDK is about to lose",
        why="It stops working with the version that is named, on the day that somebody upgrades the platform.",
        fix="Write what the finding says instead; docs/reference/sdk.md lists all that is deprecated.",
        needs="files",
        check=_current,
    ),
)
