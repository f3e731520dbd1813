"""Routes, as those who call them see them."""

from collections.abc import Iterator

from pegboard.conformance.loaded import Loaded
from pegboard.conformance.rule import Rule
from pegboard.plugins.routes import handlers_of

__all__ = ("RULES",)


def _has_routes(loaded: Loaded) -> str | None:
    return None if loaded.plugin.controllers else "it has no routes"


def _described(loaded: Loaded) -> Iterator[str]:
    for controller in loaded.plugin.controllers:
        for name, handler in handlers_of(controller):
            if not (handler.fn.__doc__ or "").strip():
                yield f"{controller.__qualname__}.{name} has no docstring"


def _answers_typed(loaded: Loaded) -> Iterator[str]:
    for controller in loaded.plugin.controllers:
        for name, handler in handlers_of(controller):
            if handler.fn.__annotations__.get("return") in (dict, list, object, "dict", "list"):
                yield f"{controller.__qualname__}.{name} answers with whatever it likes: its return type says nothing"


RULES = (
    Rule(
        id="routes.described",
        tier="silver",
        title="Each route says what it does",
        why="The docstring is its description in the OpenAPI document and in the generated clients.",
        fix="Write a docstring from the caller's view.",
        needs="import",
        check=_described,
        applies=_has_routes,
    ),
    Rule(
        id="routes.typed",
        tier="silver",
        title="Each route says what it answers with",
        why="Clients are generated from the shapes; one without a shape is untyped in every language.",
        fix="Annotate the handler with a Struct, Page[Struct] or JsonBytes[Struct].",
        needs="import",
        check=_answers_typed,
        applies=_has_routes,
    ),
)
