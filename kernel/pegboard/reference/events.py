"""The page on events."""

from collections.abc import Iterator

from pegboard_sdk.events import Event

from pegboard.reference.markdown import cell, code, page, prose, table
from pegboard.reference.shapes import default_of, fields_of, type_of
from pegboard.reference.subject import Subject

__all__ = ("events_page",)

_INTRODUCTION = """
An event tells what happened. It is written in the transaction that made it happen, and delivered at least once to each
plugin that listens, perhaps out of order. A listener names the event and a Struct of its own with the fields that it
reads; within a version, fields are only added.
"""


def events_page(subject: Subject) -> str:
    """Every event by plugin: version, fields, and who listens."""
    return page("Events", _INTRODUCTION, _sections(subject))


def _sections(subject: Subject) -> Iterator[str]:
    for plugin in subject.plugins:
        if plugin.events:
            yield f"## {plugin.name}"
            for event in sorted(plugin.events, key=lambda one: one.name):
                yield from _event(event, subject)


def _event(event: type[Event], subject: Subject) -> Iterator[str]:
    yield f"### `{event.name}`"
    yield f"Version {event.version}. {prose(event)}"
    rows = [
        (code(field.encode_name), cell(type_of(field.type)), "" if field.required else cell(default_of(field)))
        for field in fields_of(event)
    ]
    yield table(("field", "type", "default"), rows)
    owners = subject.registry.owners
    listeners = sorted(
        f"{owners[f'{event.name}/{handler.name}']} (`{handler.name}`)"
        for handler in subject.registry.event_handlers.get(event.name, ())
    )
    yield f"Listeners: {', '.join(listeners) or 'none of the built-in plugins'}."
