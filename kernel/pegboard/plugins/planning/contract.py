"""What a plugin brings, as data that outlives its code: to compare a version with the next, and with none."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from pegboard_sdk.manifest import Capabilities

from pegboard.plugins.registry import LoadedPlugin, Registry
from pegboard.plugins.routes import routes_of

__all__ = (
    "Contract",
    "Operation",
    "contract_of",
    "contracts_of",
    "record_contracts",
    "recorded_contracts",
    "versions_of",
)


class Operation(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A route, as clients know it: `operation` is its id in the OpenAPI document."""

    operation: str
    method: str
    path: str
    permission: str | None


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of a plugin that others see or hang on. `migrations` is where they are, None where it has no tables.

    `grants`: role → permissions. `schedules`: name → when. `extends`: collecting hook → how many it adds. `settings`:
    the names of its fields.
    """

    name: str
    version: str
    distribution: str
    summary: str = ""
    sdk: str = ""
    requires: dict[str, str] = {}
    after: dict[str, str] = {}
    operations: list[Operation] = []
    permissions: dict[str, str] = {}
    grants: dict[str, list[str]] = {}
    events: dict[str, str] = {}
    listens_to: list[str] = []
    jobs: list[str] = []
    schedules: dict[str, str] = {}
    services: list[str] = []
    extends: dict[str, int] = {}
    capabilities: Capabilities = Capabilities()
    settings: list[str] = []
    migrations: str | None = None


def contract_of(plugin: LoadedPlugin) -> Contract:
    """The contract of a plugin that is loaded."""
    grants: dict[str, set[str]] = {}
    for grant in plugin.roles:
        grants.setdefault(grant.role, set()).update(grant.permissions)
    return Contract(
        name=plugin.name,
        version=plugin.manifest.version,
        distribution=plugin.distribution,
        summary=plugin.manifest.summary,
        sdk=plugin.manifest.sdk,
        requires=plugin.manifest.requires,
        after=plugin.manifest.after,
        operations=sorted(
            Operation(
                operation=f"{plugin.name}_{route.operation}",
                method=route.method,
                path=route.path,
                permission=route.permission,
            )
            for route in routes_of(f"/api/v1/{plugin.name}", plugin.controllers)
        ),
        permissions={one.name: one.summary for one in plugin.permissions},
        grants={role: sorted(permissions) for role, permissions in sorted(grants.items())},
        events=plugin.manifest.events,
        listens_to=sorted({handler.event for handler in plugin.event_handlers}),
        jobs=sorted(job.name for job in plugin.jobs),
        schedules={one.name: f"{one.cron} {one.timezone}" for one in plugin.schedules},
        services=sorted(service.protocol.__name__ for service in plugin.services),
        extends={hook: len(items) for hook, items in sorted(plugin.extensions.items())},
        capabilities=plugin.manifest.capabilities,
        settings=[]
        if plugin.settings is None
        else sorted(field.encode_name for field in msgspec.structs.fields(plugin.settings)),
        migrations=None if plugin.app is None else plugin.app.migrations,
    )


def contracts_of(registry: Registry) -> dict[str, Contract]:
    """The contracts of a registry's plugins, without the kernel's own part."""
    return {plugin.name: contract_of(plugin) for plugin in registry.plugins if plugin.name != "kernel"}


def versions_of(registry: Registry) -> dict[str, str]:
    """Name → version of a registry's plugins, without the kernel's own part."""
    return {plugin.name: plugin.manifest.version for plugin in registry.plugins if plugin.name != "kernel"}


async def record_contracts(connection: Any, contracts: Iterable[Contract]) -> None:
    """Keep what runs, so that it can be compared with what is installed over it. By version: the last one counts."""
    ordered = sorted(contracts, key=lambda one: (one.name, one.version))
    await connection.execute(
        "INSERT INTO kernel_plugin_contracts AS known (plugin, version, contract)"
        " SELECT p, v, c::jsonb FROM unnest($1::text[], $2::text[], $3::text[]) AS one (p, v, c)"
        " ON CONFLICT (plugin, version) DO UPDATE SET contract = excluded.contract, updated_at = now()"
        " WHERE known.contract IS DISTINCT FROM excluded.contract",
        [one.name for one in ordered],
        [one.version for one in ordered],
        [msgspec.json.encode(one).decode() for one in ordered],
    )


async def recorded_contracts(connection: Any, versions: Mapping[str, str]) -> dict[str, Contract]:
    """The contracts of these plugins (name → version), as far as they are on record."""
    rows = await connection.fetch(
        "SELECT contract::text FROM kernel_plugin_contracts"
        " WHERE (plugin, version) IN (SELECT * FROM unnest($1::text[], $2::text[]))",
        list(versions.keys()),
        list(versions.values()),
    )
    found = [msgspec.convert(json.loads(row[0]), Contract) for row in rows]
    return {one.name: one for one in found}
