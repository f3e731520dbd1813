"""All rules, in the order in which they are judged."""

import importlib
import pkgutil

from pegboard.conformance import rules
from pegboard.conformance.rule import NEEDS, TIERS, Rule

__all__ = ("all_rules",)


def all_rules() -> tuple[Rule, ...]:
    """The rules of every module of `pegboard.conformance.rules`: by stage, gates first, then by tier and id."""
    found: list[Rule] = []
    for module in pkgutil.iter_modules(rules.__path__, f"{rules.__name__}."):
        found += importlib.import_module(module.name).RULES
    ids = [rule.id for rule in found]
    assert len(set(ids)) == len(ids), "two rules have one id"
    return tuple(sorted(found, key=_order))


def _order(rule: Rule) -> tuple[int, bool, int, str]:
    return NEEDS.index(rule.needs), not rule.gate, TIERS.index(rule.tier), rule.id
