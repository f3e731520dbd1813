"""What the next start would make of what is installed and written now, where that is something else than what runs."""

import sys
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import pegboard_sdk
from packaging.version import Version

from pegboard.config.errors import ConfigError
from pegboard.config.model import Config
from pegboard.plugins.blocking import blocked_reason
from pegboard.plugins.discovery import Candidate, Discovery
from pegboard.plugins.order import resolve
from pegboard.plugins.settings import SettingsError, plugin_settings
from pegboard.plugins.wanted import enabled_plugins

__all__ = ("applied_upgrades", "outlook")

_APPLIED = """
SELECT DISTINCT change->>'plugin' AS plugin, change->>'version_to' AS version
FROM kernel_plugin_plans, jsonb_array_elements(content->'changes') change
WHERE applied_at IS NOT NULL AND change->>'change' = 'upgrade'
"""


async def applied_upgrades(connection: Any) -> set[tuple[str, str]]:
    """Plugin and version of the upgrades whose plans were applied: their migrations have run."""
    return {(row["plugin"], row["version"]) for row in await connection.fetch(_APPLIED)}


def outlook(
    config: Config,
    found: Discovery,
    running: Mapping[str, Collection[str]],
    left_out: Mapping[str, str],
    applied: Collection[tuple[str, str]],
    *,
    imports: bool,
) -> dict[str, str]:
    """What is to be said of plugins that `config` turns on (name → sentence). It blocks.

    `running`: plugin → the versions that processes run; `left_out`: plugin → why a process doesn't run it; `applied`:
    see `applied_upgrades`. Settings need their Struct: it is imported only with `imports`, which a process that serves
    doesn't do, and only of plugins that processes imported before.
    """
    on = enabled_plugins(config)
    manifests = {name: found.candidates[name].manifest for name in on if name in found.candidates}
    off = {name: "it is off" for name in found.candidates if name not in on}
    skipped = resolve(manifests, off, sdk_version=pegboard_sdk.__version__).skipped
    told: dict[str, str] = {}
    for name in sorted(on):
        candidate = found.candidates.get(name)
        if candidate is None:
            problems = [found.broken.get(name) or "no installed package offers it any more: install it, or turn it off"]
            waiting, failed_by_settings = None, False
        else:
            waiting = _waiting(candidate, running.get(name, ()), applied)
            failed_by_settings = left_out.get(name, "").startswith("its settings")
            problems = [one for one in (blocked_reason(config.plugins.get(name), candidate), skipped.get(name)) if one]
            # With the settings of a version that waits, the code that runs has nothing to do.
            if waiting is None and (name in running or failed_by_settings):
                problems += _settings_problems(candidate, config, imports=imports)
        sentences = [waiting] if waiting else []
        if problems:
            sentences += [*problems, *(["still serving as before"] if name in running else [])]
        elif failed_by_settings and _settings_known(candidate, imports=imports):
            sentences.append("its settings are right now: it comes on with a restart, or the next change of plugins")
        if sentences:
            told[name] = "; ".join(sentences)
    return told


def _waiting(candidate: Candidate, versions: Collection[str], applied: Collection[tuple[str, str]]) -> str | None:
    """Whether another version waits to be run."""
    name, version = candidate.name, candidate.manifest.version
    if all(one == version for one in versions):
        return None
    if (name, version) in applied or version in versions:
        return f"upgrade {version} applied: restart the processes one after the other"
    what = "upgrade" if all(Version(version) > Version(one) for one in versions) else "version"
    return f"{what} {version} installed, not applied: run `pegboard plugins plan upgrade {name}`"


def _settings_known(candidate: Candidate | None, *, imports: bool) -> bool:
    return candidate is not None and (imports or candidate.manifest.settings.partition(":")[0] in sys.modules)


def _settings_problems(candidate: Candidate, config: Config, *, imports: bool) -> Iterator[str]:
    if candidate.manifest.settings and not _settings_known(candidate, imports=imports):
        return
    try:
        plugin_settings(candidate, config)
    except SettingsError as error:
        yield f"settings wrong: {error}"
    except ConfigError as error:
        yield f"settings wrong: {'; '.join(str(one) for one in error.all)}"
