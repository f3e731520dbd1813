"""Faults that are put into the plugin: whatever it does, the platform goes on."""

from collections.abc import Awaitable, Callable

from pegboard.conformance.dynamic import faults
from pegboard.conformance.rule import Rule
from pegboard.conformance.subject import Subject

__all__ = ("RULES",)

_WHY = "Every release has a bug some day. It should cost the plugin's own users an answer, and nobody else anything."
_FIX = (
    "Leave nothing behind while the plugin is imported or its hooks are called: no registration in a module of others,"
    " no thread, no patch. Mend what the message names."
)


def _rule(name: str, title: str, check: Callable[[Subject], Awaitable[list[str]]]) -> Rule:
    return Rule(
        id=f"faults.{name}",
        tier="silver",
        title=title,
        why=_WHY,
        fix=_FIX,
        needs="platform",
        check=check,
        timeout=120.0,
    )


_LEFT_OUT = "the platform starts without it, says why, and serves everything else"

RULES = (
    _rule("import", f"When importing it raises, {_LEFT_OUT}", faults.check_fault_in_import),
    _rule("hooks", f"When a hook raises, {_LEFT_OUT}", faults.check_fault_in_hooks),
    _rule("startup", f"When its start-up raises, {_LEFT_OUT}", faults.check_fault_in_startup),
    _rule("slow_startup", f"When its start-up does not end, {_LEFT_OUT}", faults.check_fault_slow_startup),
    _rule("migration", f"When a migration fails, {_LEFT_OUT}", faults.check_fault_in_migration),
    _rule("settings", f"When a setting is missing, {_LEFT_OUT}", faults.check_fault_in_settings),
    _rule(
        "request", "When a route raises, the caller gets a problem and others are served", faults.check_fault_in_request
    ),
    _rule(
        "job", "When a job raises, it is tried again, ends as a dead letter, and others run", faults.check_fault_in_job
    ),
)
