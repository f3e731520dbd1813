"""Makes plans."""

import asyncio
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from pegboard.config.errors import ConfigError
from pegboard.config.load import load_config
from pegboard.config.model import Config
from pegboard.database.pool import Database
from pegboard.plugins import quarantine, revisions
from pegboard.plugins.discovery import Discovery, discover
from pegboard.plugins.errors import PluginsFileUnwritable
from pegboard.plugins.planning.action import Action, DataFate
from pegboard.plugins.planning.basis import read_basis
from pegboard.plugins.planning.content import Basis, Plan, PlanContent
from pegboard.plugins.planning.contract import Contract, recorded_contracts
from pegboard.plugins.planning.decide import Decision, decide, implied
from pegboard.plugins.planning.differences import (
    breaking_changes,
    capabilities_of,
    compare,
    operations,
    unheard,
    unserved,
)
from pegboard.plugins.planning.facts import (
    data_of,
    kept_references,
    migrations_on_record,
    missing_tables,
    parked_jobs,
    running_versions,
)
from pegboard.plugins.planning.probe import Probe, Probed
from pegboard.plugins.planning.store import add_plan
from pegboard.plugins.wanted import enabled_plugins

__all__ = ("current_basis", "current_config", "make_plan", "preview")

_NOTHING = Probed(contracts={}, failed={}, migrations={})

RESTART = (
    "restart the processes one after the other, so that they run the new code: `pegboard up` by stopping and starting "
    "it; with systemd, `systemctl restart` each unit in turn; with Kubernetes, `kubectl rollout restart`"
)


async def make_plan(
    database: Database, config: Config, action: Action, *, probe: Probe, created_by: UUID | None = None
) -> Plan:
    """Make a plan and keep it. `config` is the configuration as it is written now; `probe` is how code is looked at.

    A plan that can't be applied is made all the same: `problems` says why.

    Raises:
        PluginUnknown: nobody knows one of the plugins that the action names.
        PlanRefused: the action wants a plugin on and off.
        PluginUnusable: the code could not even be looked at.
        PluginsFileUnwritable: the configuration can't be read.
    """
    found = await asyncio.to_thread(discover)
    basis, ran = await current_basis(database, config, found)
    active = frozenset(basis.active)
    if not action.names:
        action = msgspec.structs.replace(implied(config, found, active, basis.running), cascade=action.cascade)
    decision = decide(action, config, found, active, basis.running, basis.quarantined)
    async with database.system_transaction() as connection:
        recorded = await recorded_contracts(connection, basis.running)
    content = await _content(config, found, decision, basis, recorded, ran, probe)
    async with database.system_transaction() as connection:
        content = await _with_data(connection, content, decision, action)
        return await add_plan(connection, action, content, basis, created_by)


async def preview(config: Config, action: Action, *, probe: Probe) -> PlanContent:
    """What a plan would say where there is no platform yet: the file is all there is, and nothing is kept.

    Raises:
        PluginUnknown, PluginUnusable: see `make_plan`.
    """
    found = await asyncio.to_thread(discover)
    active = enabled_plugins(config)
    decision = decide(action, config, found, active, {}, ())
    basis = Basis(
        revision=None,
        active=sorted(active),
        file="",
        settings="",
        distributions={},
        running={},
        quarantined=[],
        migrations="",
    )
    return await _content(config, found, decision, basis, {}, {}, probe)


async def current_basis(
    database: Database, config: Config, found: Discovery
) -> tuple[Basis, Mapping[str, Collection[str]]]:
    """What a plan is judged on, as it is now, and the migrations on record.

    Raises:
        PluginsFileUnwritable: the file can't be read.
    """
    async with database.system_transaction() as connection:
        wanted = await revisions.wanted_revision(connection)
        running = await running_versions(connection)
        quarantined = await quarantine.standing(connection)
        ran, migrations = await migrations_on_record(connection)
    active = enabled_plugins(config) if wanted is None else frozenset(wanted.plugins)
    try:
        basis = await asyncio.to_thread(read_basis, config, found, wanted, active, running, quarantined, migrations)
    except OSError as error:
        raise PluginsFileUnwritable(f"{config.path} can't be read: {error.strerror}.") from error
    return basis, ran


def current_config(config: Config) -> Config:
    """The configuration as it is written now. It blocks.

    Raises:
        PluginsFileUnwritable: it has a mistake.
    """
    try:
        return load_config(Path(config.path))
    except ConfigError as error:
        raise PluginsFileUnwritable(f"The configuration has a mistake: {error}. Mend it first.") from error


async def _content(
    config: Config,
    found: Discovery,
    decision: Decision,
    basis: Basis,
    recorded: Mapping[str, Contract],
    ran: Mapping[str, Collection[str]],
    probe: Probe,
) -> PlanContent:
    # What is in quarantine brings nothing, and is not touched unless it is let out.
    active = frozenset(basis.active).difference(basis.quarantined)
    after_names = decision.switches.applied_to(active)
    new_code = decision.switches.on | decision.upgrades
    unknown = active - recorded.keys()
    # Without new code nothing has to be imported, if what runs is on record.
    installed = set(found.candidates)
    probed = await probe(config, (active | after_names) & installed) if new_code or unknown & installed else _NOTHING
    before = {name: contract for name in active if (contract := recorded.get(name) or probed.contracts.get(name))}
    after = {
        name: contract
        for name in after_names
        if (contract := (probed.contracts.get(name) if name in new_code else None) or before.get(name))
    }
    failed = [f"{name}: {why}" for name, why in sorted(probed.failed.items()) if name in new_code]
    problems = [*decision.problems, *(one for one in failed if one not in decision.problems)]
    return PlanContent(
        changes=decision.changes,
        operations=operations(before, after),
        permissions=compare(before, after, lambda one: one.permissions),
        grants=compare(before, after, _grants),
        events=compare(before, after, lambda one: one.events),
        listeners=compare(before, after, lambda one: (f"{one.name} hears {event}" for event in one.listens_to)),
        unheard=unheard(before, after),
        jobs=compare(before, after, lambda one: one.jobs),
        schedules=compare(before, after, lambda one: (f"{name} ({when})" for name, when in one.schedules.items())),
        parked=[],
        services=compare(before, after, lambda one: (f"{service} by {one.name}" for service in one.services)),
        extensions=compare(before, after, lambda one: (f"{hook} by {one.name}" for hook in one.extends)),
        unserved=unserved(before, after),
        capabilities=compare(before, after, capabilities_of),
        migrations=[
            f"{name} {one.id}: {one.description}"
            for name in sorted(new_code)
            for one in probed.migrations.get(name, ())
            if one.id not in ran.get(name, ())
        ],
        tables=sorted(table for name in new_code if name in after for table in after[name].capabilities.tables),
        data=[],
        references=[],
        settings_missing=[one for one in failed if "settings" in one],
        breaking=[
            sentence
            for name in sorted(decision.upgrades)
            if name in recorded and name in probed.contracts
            for sentence in breaking_changes(recorded[name], probed.contracts[name])
        ],
        problems=problems,
        restart=RESTART if decision.upgrades else None,
    )


async def _with_data(connection: Any, content: PlanContent, decision: Decision, action: Action) -> PlanContent:
    """With what only the database says."""
    going = decision.switches.off | decision.uninstalls
    fates: dict[str, DataFate] = dict.fromkeys(decision.uninstalls, action.data or "keep")
    references, misdeclared = await kept_references(connection, going) if going else ([], [])
    return msgspec.structs.replace(
        content,
        parked=[
            one for one in await parked_jobs(connection, going | decision.upgrades) if one.job in content.jobs.lost
        ],
        tables=await missing_tables(connection, content.tables),
        data=await data_of(connection, going, fates),
        references=references,
        misdeclared=misdeclared,
    )


def _grants(contract: Contract) -> list[str]:
    return [f"{role} may {one}" for role, permissions in contract.grants.items() for one in permissions]
