"""In which order plugins load, and which can't because of others.

Depends on names and manifests only, never on a list's order.
"""

import heapq
from collections.abc import Iterable, Mapping

import msgspec
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from pegboard_sdk.manifest import Manifest

__all__ = ("Order", "cycles", "dependency_problem", "resolve")


class Order(msgspec.Struct, frozen=True):
    """`names` in loading order: whatever a plugin requires, or wants to come after, is before it.

    `skipped`: name → reason.
    """

    names: tuple[str, ...]
    skipped: dict[str, str]


def resolve(wanted: Mapping[str, Manifest], unavailable: Mapping[str, str], *, sdk_version: str) -> Order:
    """Order the plugins of `wanted` (name → manifest), leaving out those that can't work.

    `unavailable` says why known plugins are not among `wanted` (disabled, broken). Plugins that don't depend on each
    other are ordered by name.
    """
    skipped = {
        name: f"it needs the SDK {manifest.sdk} and this is {sdk_version}: install a version of the plugin that fits"
        for name, manifest in wanted.items()
        if not _admits(manifest.sdk, sdk_version)
    }
    for cycle in cycles({name: _edges(manifest, wanted) for name, manifest in wanted.items()}):
        for name in cycle:
            at = cycle.index(name)
            path = " → ".join((*cycle[at:], *cycle[:at], name))
            skipped.setdefault(name, f"its dependencies go round in a circle: {path}")

    names: list[str] = []
    for name in _sorted(wanted, skipped):
        loaded = {other: wanted[other].version for other in names}
        reason = dependency_problem(wanted[name], loaded, {**unavailable, **skipped})
        if reason is None:
            names.append(name)
        else:
            skipped[name] = reason
    return Order(tuple(names), skipped)


def dependency_problem(manifest: Manifest, loaded: Mapping[str, str], off: Mapping[str, str]) -> str | None:
    """Why the plugin can't be on beside `loaded` (name → version); None if it can.

    `off` holds the reasons of plugins that are not on.
    """
    for other in sorted(manifest.requires):
        specifier = manifest.requires[other]
        wanted = f"{other} {specifier}".rstrip()
        if other not in loaded:
            reason = off.get(other)
            if reason is None:
                return f"it requires {wanted}, which is not installed"
            return f"it requires {wanted}, which is off: {reason}"
        if not _admits(specifier, loaded[other]):
            return f"it requires {wanted} and the installed version is {loaded[other]}"
    for other in sorted(manifest.after):
        if other in loaded and not _admits(manifest.after[other], loaded[other]):
            return f"it works with {other} {manifest.after[other]} only and the installed version is {loaded[other]}"
    return None


def cycles(edges: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Short cycles such that every node that lies on a cycle lies on one of them, in an order that depends on names
    only.
    """
    found: list[list[str]] = []
    covered: set[str] = set()
    for start in sorted(edges):
        if start in covered:
            continue
        cycle = _shortest_cycle(start, edges)
        if cycle is not None:
            found.append(cycle)
            covered.update(cycle)
    return found


def _shortest_cycle(start: str, edges: Mapping[str, Iterable[str]]) -> list[str] | None:
    """The shortest way from `start` back to it (of equally short ones the first by name), without the return; breadth
    first.
    """
    came_from: dict[str, str] = {}
    level = [start]
    while level:
        following: list[str] = []
        for node in level:
            for other in sorted(edges.get(node, ())):
                if other == start:
                    path = [node]
                    while path[-1] != start:
                        path.append(came_from[path[-1]])
                    return path[::-1]
                if other not in came_from:
                    came_from[other] = node
                    following.append(other)
        level = following
    return None


def _sorted(wanted: Mapping[str, Manifest], leave_out: Mapping[str, str]) -> list[str]:
    """Topological order without the plugins of `leave_out` (which break all cycles); ties go by name."""
    waits = {
        name: {other for other in _edges(manifest, wanted) if other not in leave_out}
        for name, manifest in wanted.items()
        if name not in leave_out
    }
    blocks: dict[str, list[str]] = {}
    for name, others in waits.items():
        for other in others:
            blocks.setdefault(other, []).append(name)
    ready = [name for name, others in waits.items() if not others]
    heapq.heapify(ready)
    ordered: list[str] = []
    while ready:
        name = heapq.heappop(ready)
        ordered.append(name)
        for blocked in blocks.get(name, ()):
            waits[blocked].discard(name)
            if not waits[blocked]:
                heapq.heappush(ready, blocked)
    return ordered


def _edges(manifest: Manifest, wanted: Mapping[str, Manifest]) -> set[str]:
    return {other for other in (*manifest.requires, *manifest.after) if other in wanted}


def _admits(specifier: str, version: str) -> bool:
    # A pre-release that is installed was chosen by somebody: it counts.
    return SpecifierSet(specifier).contains(Version(version), prereleases=True)
