"""What a rule is."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Literal

import msgspec

__all__ = ("NEEDS", "TIERS", "Finding", "Needs", "Rule", "Tier", "always")

Tier = Literal["bronze", "silver", "gold"]
Needs = Literal["files", "import", "platform"]

TIERS: tuple[Tier, ...] = ("bronze", "silver", "gold")
"""From what a plugin must do to be switched on safely, to exemplary. A tier includes those before it."""

NEEDS: tuple[Needs, ...] = ("files", "import", "platform")
"""The stages, in their order: reading the plugin's files, importing it, running it on a platform."""


class Finding(msgspec.Struct, frozen=True):
    """One breach of a rule: a sentence that names the offending thing, and where it is, if that is a place in a file.

    `file` is relative to the plugin's folder; `line` counts from 1.
    """

    text: str
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.text}" if place else self.text


def always(_subject: Any) -> str | None:
    """The rule applies to every plugin."""
    return None


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a good plugin does.

    `id` is `<theme>.<snake_case>`. `title` says what holds of a plugin that keeps the rule; `why` what goes wrong
    otherwise, `fix` what its author does about it: sentences for people.

    `check` gives what breaks the rule, nothing where it is kept. What it is called with depends on `needs`: a
    `pegboard.conformance.project.Project` (`files`), a `pegboard.conformance.loaded.Loaded` (`import`), or, awaited,
    a `pegboard.conformance.subject.Subject` (`platform`). `applies`, called with the same, gives the reason why the
    rule says nothing about this plugin, else None.

    A `gate` is a rule without which the later stages make no sense: when it is broken they are not run.
    """

    id: str
    tier: Tier
    title: str
    why: str
    fix: str
    needs: Needs
    check: Callable[[Any], Iterable[Finding | str]] | Callable[[Any], Awaitable[Iterable[Finding | str]]]
    applies: Callable[[Any], str | None] = always
    gate: bool = False
    timeout: float = 60.0
