"""What an administrator decided against: versions that are blocked, and code that is not the pinned one.

Both are in `plugins.toml` and judged before any of the plugin's code is imported.
"""

from collections.abc import Mapping

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from pegboard.config.model import Config, PluginEntry
from pegboard.plugins.content import ContentUnknown, content_hash
from pegboard.plugins.discovery import Candidate

__all__ = ("blocked_plugins", "blocked_reason")


def blocked_plugins(config: Config, candidates: Mapping[str, Candidate]) -> dict[str, str]:
    """The plugins that are turned on and must not be loaded: name → reason."""
    reasons = {
        name: blocked_reason(entry, candidates[name])
        for name, entry in config.plugins.items()
        if entry.enabled and name in candidates
    }
    return {name: reason for name, reason in reasons.items() if reason is not None}


def blocked_reason(entry: PluginEntry | None, candidate: Candidate) -> str | None:
    """Why the installed plugin must not be loaded, and what to do; None where nothing speaks against it.

    It reads the files of pinned plugins, and of no others.
    """
    if entry is None:
        return None
    name, version = candidate.name, candidate.manifest.version
    for block in entry.blocked:
        if SpecifierSet(block.versions).contains(Version(version), prereleases=True):
            instead = f" (the last good one is {block.last_good})" if block.last_good else ""
            return (
                f"version {version} is blocked in plugins.toml ({block.versions}): {block.reason}."
                f" Install another version{instead}, or end the block with `pegboard plugins unblock {name}`"
            )
    if not entry.pin:
        return None
    try:
        found = content_hash(candidate)
    except ContentUnknown as error:
        return f"it is pinned in plugins.toml and its files can't be judged: {error}"
    if found != entry.pin:
        good = next((block.last_good for block in entry.blocked if block.last_good), "")
        instead = f", such as {good}," if good else ""
        return (
            f"its files are not the pinned ones: plugins.toml says {entry.pin} and version {version} here is {found}."
            f" Install what was pinned{instead} again, or look at what changed and `pegboard plugins pin {name}`"
        )
    return None
