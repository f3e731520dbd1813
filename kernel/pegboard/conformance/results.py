"""What came of judging a plugin."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from pegboard.conformance.rule import TIERS, Finding, Rule, Tier

__all__ = ("Report", "Result", "State")

State = Literal["passed", "failed", "not_applicable", "not_run"]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one rule. `reason` is why it wasn't run or says nothing about the plugin."""

    rule: Rule
    state: State
    findings: Sequence[Finding] = ()
    reason: str = ""
    seconds: float = 0.0


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What came of all of them. `subject` is where the plugin was found; `complete` is whether all rules were asked
    for, without which there is no tier.
    """

    plugin: str
    version: str
    subject: str
    results: Sequence[Result]
    complete: bool

    @property
    def tier(self) -> Tier | None:
        """The highest tier whose rules, and those of the tiers before it, all hold; None where not even bronze's do."""
        return self._up_to("failed", "not_run") if self.complete else None

    @property
    def tier_so_far(self) -> Tier | None:
        """The tier that it would have if all rules that weren't run held."""
        return self._up_to("failed")

    def _up_to(self, *wrong: State) -> Tier | None:
        reached: Tier | None = None
        for tier in TIERS:
            if any(one.rule.tier == tier and one.state in wrong for one in self.results):
                break
            reached = tier
        return reached

    def missing(self, tier: Tier) -> list[Result]:
        """What keeps the plugin from `tier`, of that tier alone: rules that failed or weren't run."""
        return [one for one in self.results if one.rule.tier == tier and one.state in ("failed", "not_run")]

    def keeps(self, tier: Tier, *, platform: bool) -> bool:
        """Whether nothing is missing up to `tier`. Without `platform` rules that need one are not counted."""
        wanted = TIERS[: TIERS.index(tier) + 1]
        missing = [one for each in wanted for one in self.missing(each)]
        return not [one for one in missing if platform or one.rule.needs != "platform"]

    def count(self, state: State) -> int:
        """How many rules came out so."""
        return sum(one.state == state for one in self.results)
