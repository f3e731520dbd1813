"""What else has to be turned on or off, when a plugin is: everything that it needs, everything that needs it."""

from collections.abc import Callable, Collection, Iterable, Mapping

import pegboard_sdk
from pegboard_sdk.manifest import Manifest

from pegboard.plugins.order import resolve

__all__ = ("loading_order", "needed_by", "spoiled", "which_need")


def needed_by(names: Iterable[str], on: Collection[str], manifests: Mapping[str, Manifest]) -> list[str]:
    """What `names` require, through others too, and is not on: in the order in which it loads.

    What is not installed comes last, by name.
    """
    found = _reach(names, lambda name: manifests[name].requires if name in manifests else ())
    return loading_order(found.difference(names, on), manifests)


def which_need(names: Iterable[str], on: Collection[str], manifests: Mapping[str, Manifest]) -> list[str]:
    """What is on and requires one of `names`, through others too: in the order in which to turn it off, so that nothing
    is without what it needs at any time.
    """
    dependents: dict[str, list[str]] = {}
    for other in on:
        for required in manifests[other].requires if other in manifests else ():
            dependents.setdefault(required, []).append(other)
    found = _reach(names, lambda name: dependents.get(name, ()))
    return loading_order(found.difference(names), manifests)[::-1]


def spoiled(before: Collection[str], after: Collection[str], manifests: Mapping[str, Manifest]) -> dict[str, str]:
    """Plugins of the set `after` that can't be on in it, with the reasons, and were not without hope in `before`."""
    known = _skipped(before, manifests)
    return {name: why for name, why in _skipped(after, manifests).items() if name not in known}


def _skipped(names: Collection[str], manifests: Mapping[str, Manifest]) -> dict[str, str]:
    wanted = {name: manifests[name] for name in names if name in manifests}
    off = {name: "it is off" for name in manifests if name not in wanted}
    return resolve(wanted, off, sdk_version=pegboard_sdk.__version__).skipped


def _reach(names: Iterable[str], following: Callable[[str], Iterable[str]]) -> set[str]:
    """Everything that `following` leads to from `names`, however far."""
    seen: set[str] = set()
    todo = list(names)
    while todo:
        for other in following(todo.pop()):
            if other not in seen:
                seen.add(other)
                todo.append(other)
    return seen


def loading_order(names: Collection[str], manifests: Mapping[str, Manifest]) -> list[str]:
    """The names in the order in which they load; those without a manifest come last, by name."""
    known = {name: manifests[name] for name in names if name in manifests}
    # Only the order counts: what they need beside each other is looked at elsewhere.
    alone = {
        name: Manifest(
            name=name,
            summary=manifest.summary,
            version=manifest.version,
            sdk="",
            requires={other: "" for other in manifest.requires if other in known},
            after={other: "" for other in manifest.after if other in known},
        )
        for name, manifest in known.items()
    }
    ordered = resolve(alone, {}, sdk_version=pegboard_sdk.__version__).names
    return [*ordered, *sorted(set(names).difference(ordered))]
