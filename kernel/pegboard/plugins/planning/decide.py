"""From what was asked for to what happens to each plugin: the cascade, and what file and packages say otherwise."""

import itertools
from collections.abc import Callable, Collection, Mapping

import msgspec

from pegboard.config.model import Config
from pegboard.plugins.blocking import blocked_reason
from pegboard.plugins.cascade import loading_order, needed_by, spoiled, which_need
from pegboard.plugins.discovery import Discovery
from pegboard.plugins.errors import PlanRefused, PluginDependency, PluginsFileLocked, PluginUnknown
from pegboard.plugins.planning.action import Action
from pegboard.plugins.planning.content import Change
from pegboard.plugins.toggle import Switches, refuse_cascade, refuse_environment, with_cascade
from pegboard.plugins.wanted import enabled_plugins

__all__ = ("Decision", "decide", "implied")


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What happens: the switches with their cascade, those among the plugins that are brought to another version, and
    what keeps it from being applied.
    """

    switches: Switches
    upgrades: frozenset[str]
    uninstalls: frozenset[str]
    changes: list[Change]
    problems: list[str]


def implied(config: Config, found: Discovery, active: Collection[str], running: Mapping[str, str]) -> Action:
    """What the file and the installed distributions say otherwise than what is active."""
    in_file = enabled_plugins(config)
    on = sorted(in_file.difference(active))
    off = sorted(set(active) - in_file)
    upgrade = sorted(
        name for name in set(active) & in_file
        if name in running and name in found.candidates and found.candidates[name].manifest.version != running[name]
    )  # fmt: skip
    return Action(on=on, off=off, upgrade=upgrade)


def decide(
    action: Action,
    config: Config,
    found: Discovery,
    active: frozenset[str],
    running: Mapping[str, str],
    quarantined: Collection[str],
) -> Decision:
    """Judge an action by manifests alone. `active` are on, those that are `quarantined` in name only: enabling them
    lets them out. `running` are the versions that run.

    Raises:
        PluginUnknown: nobody knows one of the plugins that it names.
        PlanRefused: it wants one of them on and off.
    """
    _refuse_contradiction(action)
    _refuse_unknown(action, found, active)
    asked = Switches(frozenset(action.on), frozenset(action.off) | (frozenset(action.uninstall) & active))
    wanted = with_cascade(found, active, asked)
    problems: list[str] = []
    if not action.cascade:
        try:
            refuse_cascade(found, active, asked)
        except PluginDependency as error:
            problems.append(error.detail)
    try:
        refuse_environment(wanted.each)
    except PluginsFileLocked as error:
        problems.append(error.detail)
    if both := wanted.on & wanted.off:
        problems.append(f"{', '.join(sorted(both))} would have to be on and off at once.")
    after = wanted.applied_to(active)
    manifests = {name: candidate.manifest for name, candidate in found.candidates.items()}
    problems += [f"{name}: {why}" for name, why in sorted(spoiled(active, after, manifests).items())]
    upgrades = frozenset(action.upgrade) & after
    for name in sorted(wanted.on | upgrades):
        if name in found.broken:
            problems.append(f"{name}: {found.broken[name]}")
        elif name in found.candidates:
            blocked = blocked_reason(config.plugins.get(name), found.candidates[name])
            problems += [] if blocked is None else [f"{name}: {blocked}"]
    problems += [
        f"{name} is not on: enabling it takes the installed version" for name in action.upgrade if name not in active
    ]
    return Decision(
        switches=Switches(wanted.on - active | asked.on.intersection(quarantined), wanted.off & active),
        upgrades=upgrades,
        uninstalls=frozenset(action.uninstall),
        changes=_changes(action, asked, upgrades, found, active, running, quarantined),
        problems=problems,
    )


def _changes(
    action: Action,
    asked: Switches,
    upgrades: frozenset[str],
    found: Discovery,
    active: frozenset[str],
    running: Mapping[str, str],
    quarantined: Collection[str],
) -> list[Change]:
    """In the order in which they take effect: off with the dependents first, on with what is needed first."""
    manifests = {name: candidate.manifest for name, candidate in found.candidates.items()}
    installed = {name: manifest.version for name, manifest in manifests.items()}
    off = which_need(asked.off, active, manifests)
    on = needed_by(asked.on, active - asked.off, manifests)

    def on_account_of(name: str, roots: frozenset[str], closure: Callable[[list[str]], list[str]]) -> str | None:
        return next((root for root in sorted(roots) if name not in roots and name in closure([root])), None)

    changes = [
        Change(
            plugin=name,
            change="disable",
            version_from=running.get(name) or installed.get(name),
            version_to=None,
            because=on_account_of(name, asked.off, lambda root: which_need(root, active, manifests)),
        )
        for name in reversed(loading_order({*off, *asked.off}, manifests))
        if name in active and name not in action.uninstall
    ]
    changes += [
        Change(
            plugin=name,
            change="uninstall",
            version_from=running.get(name) or installed.get(name),
            version_to=None,
            because=None,
        )
        for name in sorted(action.uninstall)
    ]
    changes += [
        Change(
            plugin=name, change="upgrade", version_from=running.get(name), version_to=installed.get(name), because=None
        )
        for name in sorted(upgrades)
    ]
    changes += [
        Change(
            plugin=name,
            change="enable",
            version_from=None,
            version_to=installed.get(name),
            because=on_account_of(name, asked.on, lambda root: needed_by(root, active, manifests)),
        )
        for name in loading_order({*on, *asked.on}, manifests)
        if name not in active or (name in asked.on and name in quarantined)
    ]
    return changes


def _refuse_contradiction(action: Action) -> None:
    stays = {"enable": action.on, "upgrade": action.upgrade}
    goes = {"disable": action.off, "uninstall": action.uninstall}
    for (one, staying), (other, going) in itertools.product(stays.items(), goes.items()):
        if both := sorted(set(staying).intersection(going)):
            raise PlanRefused(f"You ask to {one} and to {other} {', '.join(both)}: ask for one of the two.")


def _refuse_unknown(action: Action, found: Discovery, active: Collection[str]) -> None:
    known = {*found.candidates, *found.broken, *active}
    for name in (*action.on, *action.off, *action.upgrade):
        if name not in known:
            raise PluginUnknown(f"No installed package offers a plugin named {name}: install it first.")
