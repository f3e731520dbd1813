"""The page on what makes a good plugin: the rules by which `pegboard plugins check` judges one."""

from collections.abc import Iterator

from pegboard.conformance.catalog import all_rules
from pegboard.conformance.rule import TIERS, Rule, Tier
from pegboard.reference.markdown import cell, code, page, table

__all__ = ("quality_page",)

_INTRODUCTION = """
`pegboard plugins check PATH_OR_NAME` judges a plugin by the rules on this page, says what breaks one, where, why it
matters and how to mend it, and names the tier that the plugin reaches. A tier is reached when all rules of it and of
the tiers before it are kept.

```sh
pegboard plugins check .                     # the project in this folder, built or not
pegboard plugins check dist/reviews.whl      # a wheel
pegboard plugins check finance --tier gold   # an installed plugin; exit status 1 where it isn't gold
pegboard plugins check . --rule jobs.twice   # one rule
```

It works in three stages. The plugin's **files** are read, and nothing of it runs. Then it is **imported** and its hooks
are called, in a process of its own. Then it runs on a **platform** of its own: PostgreSQL, Valkey and the kernel are
started for it and removed afterwards. Where a later stage makes no sense, as the plugin can't even be imported, its
rules are *not run*; `--no-platform` leaves the last one out. A plugin that hangs, or ends the process that it runs in,
has broken the rule that was being judged.

Rules that have nothing to look at are *not applicable*: those on tables, where there are none; those on the README and
the tests, where only the installed package is there.

Settings that a plugin can't be loaded without may stand in its `pyproject.toml`, for checks only:

```toml
[tool.pegboard.check.settings]
region = "eu"
```

The rules prove no absence of malice: code in the process can do what the process can. They find what well-meaning
authors get wrong. Every plugin that comes with Pegboard is gold.
"""
_MEANING: dict[Tier, str] = {
    "bronze": "Safe to switch on: the kernel takes it, it keeps to itself, and marketplaces stay apart.",
    "silver": "Well-behaved: it can be upgraded and undone, holds nobody up, stands failures, and is documented and"
    " tested.",
    "gold": "Exemplary: whoever runs, reviews or extends it finds everything, and it asks for no more than it needs.",
}


def quality_page() -> str:
    """Every rule by tier: what it asks, why, and how to mend what breaks it."""
    return page("What makes a good plugin", _INTRODUCTION, _sections())


def _sections() -> Iterator[str]:
    rules = all_rules()
    rows = ((f"[{tier}](#{tier})", str(sum(rule.tier == tier for rule in rules)), _MEANING[tier]) for tier in TIERS)
    yield table(("Tier", "Rules", "What it means"), rows)
    for tier in TIERS:
        yield f"## {tier.capitalize()}"
        yield _MEANING[tier]
        for rule in rules:
            if rule.tier == tier:
                yield from _rule(rule)


def _rule(rule: Rule) -> Iterator[str]:
    yield f"### {code(rule.id)}"
    stage = {"files": "Its files are read.", "import": "It is imported.", "platform": "It runs on a platform."}
    yield f"**{rule.title}.** {cell(rule.why)}"
    yield f"*To mend it:* {cell(rule.fix)} *How it is judged:* {stage[rule.needs]}"
