"""Whether the kernel takes the plugin."""

from collections.abc import Iterator

from pegboard.conformance.loaded import Loaded
from pegboard.conformance.rule import Rule

__all__ = ("RULES",)


def _loads(_loaded: Loaded) -> Iterator[str]:
    # Whoever calls this has loaded it; a failure to do so is the finding.
    return iter(())


def _accepted(loaded: Loaded) -> Iterator[str]:
    yield from loaded.problems


RULES = (
    Rule(
        id="loading.imports",
        tier="bronze",
        title="It can be imported, and its hooks return what they must",
        why="Otherwise the platform starts without it.",
        fix="Mend what the message names. Settings that have no default may be given in"
        " [tool.pegboard.check.settings] of pyproject.toml, for checks only.",
        needs="import",
        check=_loads,
        gate=True,
    ),
    Rule(
        id="loading.manifest_kept",
        tier="bronze",
        title="What it brings is what its manifest says, and the kernel accepts it",
        why="Permissions, events and tables that the manifest doesn't name, routes without a permission, names without"
        " the plugin's prefix: the kernel leaves such a plugin out.",
        fix="Mend what the message names, in the manifest or in the hook.",
        needs="import",
        check=_accepted,
        gate=True,
    ),
)
