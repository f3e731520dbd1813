"""What is told of a judgement: to a person, and to a program."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from pegboard.conformance.results import Report, Result
from pegboard.conformance.rule import TIERS, Rule

__all__ = ("as_data", "as_text", "list_rules")

_WIDTH = 116
_SHOWN = 12


def as_text(report: Report) -> str:
    """What failed, where, why it matters and how it is mended; what wasn't run; the tier, and what is missing to the
    next.
    """
    return "\n".join(_lines(report))


def as_data(report: Report) -> dict[str, Any]:
    """The same for programs."""
    return {
        "plugin": report.plugin,
        "version": report.version,
        "subject": report.subject,
        "tier": report.tier,
        "counts": {state: report.count(state) for state in ("passed", "failed", "not_applicable", "not_run")},
        "rules": [
            {
                "id": one.rule.id,
                "tier": one.rule.tier,
                "title": one.rule.title,
                "state": one.state,
                "findings": one.findings,
                "reason": one.reason,
                "seconds": one.seconds,
            }
            for one in report.results
        ],
    }


def list_rules(rules: Sequence[Rule]) -> str:
    """The rules by tier, a line each."""
    width = max(len(rule.id) for rule in rules)
    return "\n".join(
        f"{tier:<7} {rule.id:<{width}}  {rule.title}" for tier in TIERS for rule in rules if rule.tier == tier
    )


def _lines(report: Report) -> Iterator[str]:
    yield f"{report.plugin} {report.version} ({report.subject})".replace("  ", " ")
    for tier in TIERS:
        for one in report.results:
            if one.rule.tier == tier and one.state == "failed":
                yield ""
                yield from _failure(one)
    yield ""
    yield from _not_run(report)
    counts = {"passed": "passed", "failed": "failed", "not_applicable": "not applicable", "not_run": "not run"}
    told = ", ".join(f"{report.count(state)} {word}" for state, word in counts.items())  # type: ignore[arg-type]  # its keys are the states
    yield f"{len(report.results)} rules: {told}"
    if report.complete:
        yield from _tier(report)


def _failure(one: Result) -> Iterator[str]:
    yield f"{one.rule.tier:<7} {one.rule.id}: {one.rule.title}"
    for finding in one.findings[:_SHOWN]:
        yield from _wrapped(str(finding), "  - ")
    if len(one.findings) > _SHOWN:
        yield f"  - and {len(one.findings) - _SHOWN} more"
    yield from _wrapped(one.rule.why, "  why: ")
    yield from _wrapped(one.rule.fix, "  fix: ")


def _not_run(report: Report) -> Iterator[str]:
    reasons: dict[str, list[str]] = {}
    for one in report.results:
        if one.state == "not_run":
            reasons.setdefault(one.reason, []).append(one.rule.id)
    for reason, names in reasons.items():
        yield from _wrapped(f"not run, as {reason}: {', '.join(names)}", "")
        yield ""


def _tier(report: Report) -> Iterator[str]:
    reached = report.tier
    left = report.count("not_run")
    if left and report.tier_so_far != reached:
        yield f"tier: {reached or 'none'}; {report.tier_so_far} if the {left} rules that were not run hold"
        return
    yield f"tier: {reached or 'none'}"
    following = TIERS[0] if reached is None else next(iter(TIERS[TIERS.index(reached) + 1 :]), None)
    if following is not None:
        missing = ", ".join(one.rule.id for one in report.missing(following))
        yield from _wrapped(f"missing for {following}: {missing}", "")


def _wrapped(text: str, lead: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=lead, subsequent_indent=" " * len(lead), break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
