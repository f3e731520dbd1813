"""The manifest: what the kernel believes before it runs any code."""

from collections.abc import Iterator

import pegboard_sdk
from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version
from pegboard_sdk.manifest import MANIFEST_NAME

from pegboard.conformance.project import Project
from pegboard.conformance.rule import Finding, Rule

__all__ = ("RULES",)

_CEILINGS = frozenset({"<", "<=", "==", "===", "~="})


def _valid(project: Project) -> Iterator[Finding]:
    for error in project.read[1]:
        file = project.shown(project.folder / MANIFEST_NAME)
        yield Finding(f"{error.key}: {error.reason}" if error.key else error.reason, file, error.line or 0)


def _version(project: Project) -> Iterator[Finding]:
    stated, real = project.manifest.version, project.metadata.version
    if _normal(stated) != _normal(real):
        yield _finding(project, f"says version {stated}, and the distribution {project.metadata.name} is {real}")


def _version_known(project: Project) -> str | None:
    return None if project.metadata.version else "the version is worked out when the wheel is built: check the wheel"


def _sdk_range(project: Project) -> Iterator[Finding]:
    sdk = project.manifest.sdk
    if not SpecifierSet(sdk).contains(Version(pegboard_sdk.__version__), prereleases=True):
        yield _finding(project, f"sdk = {sdk!r} does not admit this SDK, which is {pegboard_sdk.__version__}")
    if not _has_ceiling(sdk):
        yield _finding(project, f"sdk = {sdk!r} has no upper bound")


def _dependency_ranges(project: Project) -> Iterator[Finding]:
    for table in ("requires", "after"):
        for other, specifier in getattr(project.manifest, table).items():
            if not _has_ceiling(specifier):
                yield _finding(project, f"{table}.{other} = {specifier!r} has no upper bound")


def _has_ceiling(specifier: str) -> bool:
    return any(one.operator in _CEILINGS for one in SpecifierSet(specifier))


def _normal(version: str) -> Version | str:
    try:
        return Version(version)
    except InvalidVersion:
        return version


def _finding(project: Project, text: str) -> Finding:
    return Finding(text, project.shown(project.folder / MANIFEST_NAME))


RULES = (
    Rule(
        id="manifest.valid",
        tier="bronze",
        title="The manifest is complete and without mistakes",
        why="The kernel reads plugin.toml before it runs any code; a plugin whose manifest is wrong is left out.",
        fix="Mend plugin.toml in the plugin's top-level package as the message says.",
        needs="files",
        check=_valid,
        gate=True,
    ),
    Rule(
        id="manifest.version",
        tier="bronze",
        title="The manifest's version is the distribution's",
        why="Other plugins' version ranges are judged by the manifest, and people install by the distribution.",
        fix="Write the same version in plugin.toml and in pyproject.toml.",
        needs="files",
        check=_version,
        applies=_version_known,
    ),
    Rule(
        id="manifest.sdk_range",
        tier="bronze",
        title="The SDK range admits this SDK and ends before the next major version",
        why="A major version of the SDK may take away what the plugin uses; without an upper bound it would be loaded"
        " all the same, and fail on somebody's platform.",
        fix='Write a range such as sdk = ">=1,<2".',
        needs="files",
        check=_sdk_range,
    ),
    Rule(
        id="manifest.dependency_ranges",
        tier="silver",
        title="Dependencies on other plugins have an upper bound",
        why="Another plugin's events and services may change with its next major version.",
        fix='Write a range such as finance = ">=0.1,<1" in [requires] and [after].',
        needs="files",
        check=_dependency_ranges,
    ),
)
