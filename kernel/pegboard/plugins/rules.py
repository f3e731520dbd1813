"""What a plugin may bring: its own manifest's promises, the prefixes that keep plugins apart, and nothing that
another brought.
"""

import datetime
import re
import zoneinfo
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

import cronsim
import msgspec
from pegboard_sdk.access import PERMISSION_PATTERN
from pegboard_sdk.authorization import StaticSegregation
from pegboard_sdk.manifest import Manifest

from pegboard.plugins.hooks import missing_members
from pegboard.plugins.manifest import SNAKE
from pegboard.plugins.registry import LoadedPlugin
from pegboard.plugins.routes import route_problems
from pegboard.taxonomies.seed import problems as taxonomy_problems

__all__ = ("Known", "problems")

RECORD_TYPE = re.compile(r"^[a-z][a-z0-9_]*[.][a-z][a-z0-9_]*\Z")


class Known:
    """What the plugins before brought: names that are taken → by whom.

    `manifests` are those of all plugins that are to be on.
    """

    def __init__(self, manifests: Mapping[str, Manifest]) -> None:
        self.manifests = manifests
        self.taken: dict[tuple[str, Any], str] = {}

    def add(self, plugin: LoadedPlugin) -> None:
        """Remember what an accepted plugin brings."""
        for key in _claims(plugin):
            self.taken[key] = plugin.name


def problems(plugin: LoadedPlugin, known: Known) -> Iterator[str]:
    """Why the plugin can't be on, one sentence a mistake; nothing when it can."""
    yield from _permissions(plugin)
    yield from _authorization(plugin)
    yield from _events(plugin, known)
    permissions = frozenset(permission.name for permission in plugin.permissions)
    yield from route_problems(plugin.name, plugin.controllers, permissions)
    yield from _tables(plugin, known)
    yield from _jobs(plugin)
    yield from _services(plugin)
    yield from _hosts(plugin)
    yield from _records(plugin)
    for taxonomy in plugin.taxonomies:
        yield from (f"the taxonomy {taxonomy.name}: {wrong}" for wrong in taxonomy_problems(taxonomy))
    for key in _claims(plugin):
        if key in known.taken:
            yield f"the {key[0]} {_shown(key[1])} is already there: {known.taken[key]} brings it"
    yield from _twice(plugin)


def _claims(plugin: LoadedPlugin) -> Iterator[tuple[str, Any]]:
    """Names that must be unique over all plugins."""
    for job in plugin.jobs:
        yield "job", job.name
    for schedule in plugin.schedules:
        yield "schedule", schedule.name
    for handler in plugin.event_handlers:
        yield "event handler", f"{handler.event}/{handler.name}"
    for rule in plugin.segregation_rules:
        yield "segregation rule", rule.name
    for object_rule in plugin.object_rules:
        yield "object rule", object_rule.object_type
    for kind in plugin.approval_kinds:
        yield "approval kind", kind.name
    for taxonomy in plugin.taxonomies:
        yield "taxonomy", taxonomy.name
    for record in plugin.record_types:
        yield "record type", record.name
    if plugin.app is not None:
        for table in plugin.app.tables:
            yield "table", table._meta.tablename
    if plugin.settings is not None:
        yield "settings Struct", type(plugin.settings)
    for hook, items in plugin.extensions.items():
        for item in items:
            if isinstance(getattr(item, "name", None), str):
                yield hook.removesuffix("s").replace("_", " "), item.name


def _twice(plugin: LoadedPlugin) -> Iterator[str]:
    seen: set[tuple[str, Any]] = set()
    checks = [("health check", check.name) for check in plugin.health_checks]
    for key in (*_claims(plugin), *checks):
        if key in seen:
            yield f"it brings the {key[0]} {_shown(key[1])} twice"
        seen.add(key)


def _permissions(plugin: LoadedPlugin) -> Iterator[str]:
    declared, returned = set(plugin.manifest.permissions), [permission.name for permission in plugin.permissions]
    for name in sorted(declared.difference(returned)):
        yield f"the manifest has the permission {name} and the permissions hook does not return it"
    for name in sorted(set(returned) - declared):
        yield f"the permissions hook returns {name} and the manifest does not have it"
    for grant in plugin.roles:
        if not SNAKE.match(grant.role):
            yield f"{grant.role!r} is not a role's name: names are in snake_case"
        for name in grant.permissions:
            match = PERMISSION_PATTERN.match(name)
            if match is not None and match["namespace"] == "kernel":
                yield f"it grants {name} to the role {grant.role}: no plugin can grant what is the platform operator's"
            elif name not in declared:
                yield f"it grants {name!r} to the role {grant.role}, and the manifest does not define it"


def _authorization(plugin: LoadedPlugin) -> Iterator[str]:
    """Its rules of segregation, its objects' rules and its kinds of approvals."""
    for rule in plugin.segregation_rules:
        if not _is_prefixed(plugin, rule.name):
            yield f"the segregation rule {rule.name!r} must be named {plugin.name}.<snake_case>"
        if rule.first == rule.second:
            yield f"the segregation rule {rule.name} keeps {rule.first!r} apart from itself"
        for duty in (rule.first, rule.second):
            if not PERMISSION_PATTERN.match(duty) and not (isinstance(rule, StaticSegregation) and SNAKE.match(duty)):
                yield f"the segregation rule {rule.name} names {duty!r}, which can't be a duty's name"
        if isinstance(rule, StaticSegregation):
            for grant in plugin.roles:
                if {rule.first, rule.second} <= {grant.role, *grant.permissions}:
                    yield f"its role {grant.role} holds both sides of its segregation rule {rule.name}"
    for object_rule in plugin.object_rules:
        if not _is_prefixed(plugin, object_rule.object_type):
            yield f"the object rule {object_rule.object_type!r} must be of an object type {plugin.name}.<snake_case>"
    for kind in plugin.approval_kinds:
        if not _is_prefixed(plugin, kind.name):
            yield f"the approval kind {kind.name!r} must be named {plugin.name}.<snake_case>"
        if kind.permission not in plugin.manifest.permissions:
            yield f"the approval kind {kind.name} needs the permission {kind.permission!r}, which the manifest lacks"
        if kind.ttl <= 0:
            yield f"the approval kind {kind.name} must stay open for longer than {kind.ttl} s"


def _events(plugin: LoadedPlugin, known: Known) -> Iterator[str]:
    declared, returned = set(plugin.manifest.events), set()
    for event in plugin.events:
        name = getattr(event, "name", None)
        if not isinstance(name, str):
            yield f"the event {event.__qualname__} has no name"
        else:
            returned.add(name)
    for name in sorted(declared - returned):
        yield f"the manifest has the event {name} and the events hook does not return it"
    for name in sorted(returned - declared):
        yield f"the events hook returns {name} and the manifest does not have it"
    for handler in plugin.event_handlers:
        if not SNAKE.match(handler.name):
            yield f"{handler.name!r} is not an event handler's name: names are in snake_case"
        emitter = known.manifests.get(handler.event.partition(".")[0])
        # Of a plugin that is not on nothing is known: its events just don't come.
        if emitter is not None and handler.event not in emitter.events:
            yield f"the handler {handler.name} waits for {handler.event}, an event that {emitter.name} does not have"


def _tables(plugin: LoadedPlugin, known: Known) -> Iterator[str]:
    if plugin.app is None:
        return
    if plugin.app.name != plugin.name:
        yield f"its Piccolo app is named {plugin.app.name!r}: it must be named {plugin.name}"
    package = plugin.app.migrations.partition(":")[0].partition(".")[0]
    if plugin.app.migrations and (not package or ":" not in plugin.app.migrations):
        yield f"its migrations are {plugin.app.migrations!r}: write <package>:<folder>"
    # `creation`'s tables must not look like `creation_studio`'s.
    longer = [name for name in known.manifests if name.startswith(f"{plugin.name}_")]
    for table in plugin.app.tables:
        name = table._meta.tablename
        if name not in plugin.manifest.capabilities.tables:
            yield f"the manifest does not have the table {name}: add it to capabilities.tables"
        for other in longer:
            if name.startswith(f"{other}_"):
                yield f"the table {name} has the prefix of the plugin {other}"


def _records(plugin: LoadedPlugin) -> Iterator[str]:
    tables = {table._meta.tablename: table for table in plugin.app.tables} if plugin.app is not None else {}
    used = [(f"the record type {one.name}", one.table, one.key) for one in plugin.record_types]
    used += [
        (f"the reference column {one.table}.{one.column}", one.table, one.column) for one in plugin.reference_columns
    ]
    for one in plugin.record_types:
        prefix, _, noun = one.name.partition(".")
        if prefix != plugin.name or not SNAKE.match(noun):
            yield f"{one.name!r} is not a record type's name: it must be {plugin.name}.<noun in snake_case>"
    for what, table, column in used:
        if table not in tables:
            yield f"{what} is in {table}, which is none of its tables"
            continue
        columns = {column._meta.db_column_name for column in tables[table]._meta.columns}
        for missing in sorted({column, "tenant_id"} - columns):
            yield f"{what} needs a column {missing}, and {table} has none"
    for one in plugin.reference_columns:
        what = f"the reference column {one.table}.{one.column}"
        if one.record_type is not None and not RECORD_TYPE.match(one.record_type):
            yield f"{what} has the record_type {one.record_type!r}: write <plugin>.<noun>"
        columns = tables[one.table]._meta.columns if one.table in tables else ()
        held = next((column.value_type for column in columns if column._meta.db_column_name == one.column), None)
        if one.record_type is None and held in (UUID, int):
            yield f"{what} holds keys, which don't say whose records are meant: name them with record_type"


def _jobs(plugin: LoadedPlugin) -> Iterator[str]:
    for job in plugin.jobs:
        if not _is_prefixed(plugin, job.name):
            yield f"the job {job.name!r} must be named {plugin.name}.<snake_case>"
        if job.max_attempts < 1 or job.timeout <= 0:
            yield f"the job {job.name} must be attempted at least once and have a time-out"
    names = {job.name for job in plugin.jobs}
    for schedule in plugin.schedules:
        if not _is_prefixed(plugin, schedule.name):
            yield f"the schedule {schedule.name!r} must be named {plugin.name}.<snake_case>"
        if schedule.job.name not in names:
            yield f"the schedule {schedule.name} starts {schedule.job.name}, which the jobs hook does not return"
        elif not isinstance(schedule.payload, schedule.job.payload):
            yield f"the schedule {schedule.name} gives {schedule.job.name} another payload than {_type(schedule.job)}"
        try:
            zone = zoneinfo.ZoneInfo(schedule.timezone)
            cronsim.CronSim(schedule.cron, datetime.datetime.now(zone))
        except cronsim.CronSimError:
            yield f"the schedule {schedule.name} has a wrong cron expression: {schedule.cron!r}"
        except (zoneinfo.ZoneInfoNotFoundError, ValueError):
            yield f"the schedule {schedule.name} has an unknown time zone: {schedule.timezone!r}"


def _services(plugin: LoadedPlugin) -> Iterator[str]:
    for service in plugin.services:
        lacks = missing_members(service.implementation, service.protocol)
        if lacks:
            who = type(service.implementation).__qualname__
            yield f"{who} does not implement {service.protocol.__qualname__}: it lacks {', '.join(lacks)}"


def _hosts(plugin: LoadedPlugin) -> Iterator[str]:
    fields = () if plugin.settings is None else plugin.settings.__struct_fields__
    for host in plugin.manifest.capabilities.outbound_hosts:
        kind, _, field = host.partition(":")
        if kind == "settings" and field not in fields:
            yield f"capabilities.outbound_hosts has {host}, and its settings have no field {field}"


def _is_prefixed(plugin: LoadedPlugin, name: str) -> bool:
    prefix, _, rest = name.partition(".")
    return prefix == plugin.name and SNAKE.match(rest) is not None


def _type(job: Any) -> str:
    payload: type[msgspec.Struct] = job.payload
    return payload.__qualname__


def _shown(name: Any) -> str:
    return name.__qualname__ if isinstance(name, type) else str(name)
