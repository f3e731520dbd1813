"""Health checks."""

from collections.abc import Iterator

from pegboard.conformance.loaded import Loaded
from pegboard.conformance.rule import Rule

__all__ = ("RULES",)


def _calls_out(loaded: Loaded) -> str | None:
    return None if loaded.plugin.manifest.capabilities.outbound_hosts else "it calls nobody"


def _present(loaded: Loaded) -> Iterator[str]:
    if not loaded.plugin.health_checks:
        yield "calls out, and has no health check that says whether it is set up to"


RULES = (
    Rule(
        id="health.present",
        tier="gold",
        title="A plugin that depends on something outside the platform has a health check",
        why="An administrator should see that a key is missing or an address is wrong before a customer does.",
        fix="Return a HealthCheck from the health_checks hook; it gives None, or a sentence that says what is wrong.",
        needs="import",
        check=_present,
        applies=_calls_out,
    ),
)
