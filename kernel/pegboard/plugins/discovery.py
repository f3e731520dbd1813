"""Finds installed plugins and reads their manifests, without importing any of their code.

A plugin is an entry point of the group `pegboard.plugins`: its name is the plugin's, its value the module with the
hook implementations. The manifest `plugin.toml` lies in that module's top-level package. Only that package is looked
up (`find_spec` of a top-level name imports nothing).
"""

import contextlib
import importlib
import importlib.metadata
import importlib.util
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from packaging.utils import canonicalize_name
from pegboard_sdk.manifest import MANIFEST_NAME, Manifest

from pegboard.config.errors import ConfigError
from pegboard.plugins.manifest import read_manifest

__all__ = ("GROUP", "Candidate", "Discovery", "discover")

GROUP = "pegboard.plugins"

_TRIES = 20
_MODULE = re.compile(r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$")


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """An installed plugin whose manifest is sound.

    `module` holds its hook implementations; nothing of it is imported yet.
    """

    name: str
    module: str
    distribution: str
    manifest: Manifest
    path: Path
    installed: importlib.metadata.Distribution | None = None

    @property
    def package(self) -> str:
        """The top-level package."""
        return self.module.partition(".")[0]


class Discovery(msgspec.Struct, frozen=True, kw_only=True):
    """What is installed: sound plugins by name, and the reasons why others can't be used, by name."""

    candidates: dict[str, Candidate]
    broken: dict[str, str]


class _Found(msgspec.Struct, frozen=True):
    name: str
    module: str
    distribution: str
    installed: importlib.metadata.Distribution


def discover(distributions: Iterable[importlib.metadata.Distribution] | None = None) -> Discovery:
    """Read the manifests of all plugins of `distributions` (those on `sys.path` unless given).

    Never raises for a plugin's mistake: it lands in `broken` with a reason that names file, line and key.
    """
    if distributions is None:
        _look_anew()
        distributions = importlib.metadata.distributions()
    entry_points, broken = _entry_points(distributions)
    candidates: dict[str, Candidate] = {}
    for name in sorted(entry_points):
        found = entry_points[name]
        try:
            candidates[name] = _candidate(found)
        except ConfigError as error:
            broken[name] = f"its manifest is wrong: {_all_reasons(error)}"
        except _NotAPluginError as error:
            broken[name] = str(error)
    return Discovery(candidates=candidates, broken=broken)


def _look_anew() -> None:
    """A plugin may have been installed since this process last looked."""
    for _ in range(_TRIES):
        # importlib goes through a dictionary to which imports in another thread add: then it raises.
        with contextlib.suppress(RuntimeError):
            return importlib.invalidate_caches()
    return importlib.invalidate_caches()


class _NotAPluginError(Exception):
    """The entry point leads to nothing that could be a plugin."""


def _entry_points(
    distributions: Iterable[importlib.metadata.Distribution],
) -> tuple[dict[str, _Found], dict[str, str]]:
    """Entry points by plugin name. Of a distribution that is on the path twice the first counts, as for imports."""
    found: dict[str, list[_Found]] = {}
    seen: set[str] = set()
    for distribution in distributions:
        name = distribution.metadata["Name"]
        if not name or canonicalize_name(name) in seen:
            # Without a name it is the remains of a broken installation.
            continue
        seen.add(canonicalize_name(name))
        for entry_point in distribution.entry_points:
            if entry_point.group == GROUP:
                label = f"{name} {distribution.version}"
                found.setdefault(entry_point.name, []).append(
                    _Found(entry_point.name, entry_point.value, label, distribution)
                )
    unique: dict[str, _Found] = {}
    broken: dict[str, str] = {}
    for name, several in found.items():
        if len(several) == 1:
            unique[name] = several[0]
        else:
            who = " and ".join(sorted(one.distribution for one in several))
            broken[name] = f"two installed packages offer a plugin of this name ({who}): uninstall one"
    return unique, broken


def _candidate(found: _Found) -> Candidate:
    if not _MODULE.match(found.module):
        raise _NotAPluginError(
            f"its entry point is {found.module!r} ({found.distribution}): it must name a module inside a package, "
            f'such as {found.name} = "{found.name}_plugin.plugin"'
        )
    package = found.module.partition(".")[0]
    path = _manifest_path(package, found.distribution)
    manifest = read_manifest(path, name=found.name, package=package)
    return Candidate(
        name=found.name,
        module=found.module,
        distribution=found.distribution,
        manifest=manifest,
        path=path,
        installed=found.installed,
    )


def _manifest_path(package: str, distribution: str) -> Path:
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError) as error:
        raise _NotAPluginError(f"its package {package} ({distribution}) can't be found: {error}") from error
    if spec is None:
        raise _NotAPluginError(f"its package {package} ({distribution}) is not installed: reinstall the distribution")
    folders: Sequence[str] = list(spec.submodule_search_locations or ())
    for folder in folders:
        path = Path(folder) / MANIFEST_NAME
        if path.is_file():
            return path
    where = folders[0] if folders else f"{package} is a single module, and it must be a package that holds one"
    raise _NotAPluginError(f"it has no manifest: {MANIFEST_NAME} is missing in {where}")


def _all_reasons(error: ConfigError) -> str:
    return "; ".join(str(one) for one in error.all)
