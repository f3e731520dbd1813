"""Whether a platform starts with the plugin."""

from pegboard.conformance.rule import Rule
from pegboard.conformance.subject import Subject

__all__ = ("RULES",)


async def _starts(subject: Subject) -> list[str]:
    # There is a subject once the platform has started with the plugin; failing to is the finding.
    return [] if subject.plugin.name == subject.name else [f"{subject.name} is not on"]


RULES = (
    Rule(
        id="platform.starts",
        tier="bronze",
        title="A platform starts with it: its migrations run, its start-up ends, its routes are mounted",
        why="A plugin with which a process can't start is left out, and whatever requires it.",
        fix="Mend what the message names; `pegboard up` with the plugin on shows the same in its log.",
        needs="platform",
        check=_starts,
        gate=True,
    ),
)
