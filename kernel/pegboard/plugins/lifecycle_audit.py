"""What becomes of plugins, on record: how revisions end, what the kernel does by itself, what people edit by hand.

Who asks for something leaves an entry of their own (`kernel:plugin.toggle`, `.release`, `.upgrade`), which names the
revision. Whoever concludes the revision calls `revision_ended` in the transaction that does, so there is exactly one
end to each. All entries here are the kernel's (`actor_kind` system, no account), of the default tenant: which plugins
run is the platform's business. `connection` is the system role's everywhere.
"""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from pegboard_sdk.access import Principal
from pegboard_sdk.ids import new_id
from pegboard_sdk.services import AuditOutcome

from pegboard.audit import writer  # a module, not names: what it imports may import this one
from pegboard.config.model import Config
from pegboard.database.tenants import DEFAULT_TENANT
from pegboard.plugins.permissions import TOGGLE

if TYPE_CHECKING:
    from pegboard.plugins.quarantine import Quarantine
    from pegboard.plugins.revisions import Revision

__all__ = (
    "ACTIVATE",
    "BLOCK",
    "EDIT",
    "PIN",
    "QUARANTINE",
    "SAFE_MODE",
    "file_decisions",
    "file_edited",
    "quarantined",
    "revision_ended",
    "safe_mode_started",
)

ACTIVATE = "kernel:plugin_revision.activate"
"""A revision has ended its preparation: `success` is active, `failed` changed nothing."""
QUARANTINE = "kernel:plugin.quarantine"
PIN = "kernel:plugin.pin"
BLOCK = "kernel:plugin.block"
EDIT = "kernel:plugins_file.edit"
SAFE_MODE = "kernel:platform.safe_mode"
_KERNEL = Principal(kind="system", tenant_id=DEFAULT_TENANT)


class _Decided(msgspec.Struct, frozen=True, omit_defaults=True):
    """What `plugins.toml` says of a plugin to the kernel, besides whether it is on."""

    pin: str = ""
    blocked: list[dict[str, str]] = []


async def revision_ended(
    connection: Any, revision: "Revision", running: Collection[str], *, reason: str | None = None
) -> None:
    """`revision` is active, or failed or superseded. `running` are the plugins that were on until then: what failed
    leaves them so.
    """
    wanted = set(revision.plugins)
    await _write(
        connection,
        ACTIVATE,
        object_type="plugin_revision",
        object_id=str(revision.number),
        after={
            "state": revision.state,
            "origin": revision.origin,
            "requested_by": None if revision.requested_by is None else str(revision.requested_by),
            "on": sorted(wanted.difference(running)),
            "off": sorted(set(running) - wanted),
        },
        outcome="success" if revision.state == "active" else "failed",
        reason=reason or revision.reason,
        request_id=_of_revision(revision.number),
    )


async def quarantined(connection: Any, quarantine: "Quarantine") -> None:
    """The kernel has put a plugin into quarantine."""
    await _write(
        connection,
        QUARANTINE,
        object_type="plugin",
        object_id=quarantine.plugin,
        after={"quarantined": True, "cause": quarantine.cause, "version": quarantine.version, "node": quarantine.node},
        reason=quarantine.reason,
    )


async def safe_mode_started(connection: Any, node: str) -> None:
    """The platform starts with the built-in plugins alone."""
    await _write(connection, SAFE_MODE, object_type="platform", object_id=node, after={"safe_mode": True})


async def file_edited(connection: Any, revision: "Revision", before: Collection[str], *, node: str, path: str) -> None:
    """Somebody has edited `plugins.toml`, and `revision` makes what it says the wanted set. `before` was wanted."""
    wanted = set(revision.plugins)
    where = {"revision": revision.number, "node": node, "file": path}
    await _write(
        connection,
        EDIT,
        object_type="plugins_file",
        object_id=node,
        after={**where, "on": sorted(wanted.difference(before)), "off": sorted(set(before) - wanted)},
        request_id=_of_revision(revision.number),
    )
    for name in sorted(wanted.symmetric_difference(before)):
        await _write(
            connection,
            TOGGLE,
            object_type="plugin",
            object_id=name,
            before={"enabled": name not in wanted},
            after={"enabled": name in wanted, "state": revision.state, **where},
            request_id=_of_revision(revision.number),
        )


async def file_decisions(connection: Any, config: Config, *, node: str, path: str) -> None:
    """Put on record which pins and blocks of the machine's file are new, changed or gone since it was read last. What a
    file says when it is read for the first time is what there was, not news.

    The file must be on record (`revisions.record_file`), and the revisions' lock held.
    """
    now = {name: _decided(config, name) for name in config.plugins}
    now = {name: one for name, one in now.items() if one != _Decided()}
    stored = await connection.fetchval(
        "SELECT decisions::text FROM kernel_plugin_files WHERE node = $1 AND path = $2", node, path
    )
    earlier = None if stored is None else msgspec.json.decode(stored, type=dict[str, _Decided])
    if earlier == now:
        return
    await connection.execute(
        "UPDATE kernel_plugin_files SET decisions = $3::text::jsonb WHERE node = $1 AND path = $2",
        node,
        path,
        msgspec.json.encode(now).decode(),
    )
    where = {"node": node, "file": path}
    request = new_id().hex
    for name in sorted({*now, *(earlier or {})} if earlier is not None else ()):
        was, is_now = (earlier or {}).get(name, _Decided()), now.get(name, _Decided())
        for action, key, old, new in (
            (PIN, "pinned_to", was.pin or None, is_now.pin or None),
            (BLOCK, "blocked", was.blocked, is_now.blocked),
        ):
            if old != new:
                await _write(
                    connection,
                    action,
                    object_type="plugin",
                    object_id=name,
                    before={key: old},
                    after={key: new, **where},
                    request_id=request,
                )


def _decided(config: Config, name: str) -> _Decided:
    entry = config.plugins[name]
    blocks = [
        {key: str(value) for key, value in msgspec.to_builtins(block).items() if value} for block in entry.blocked
    ]
    return _Decided(entry.pin, blocks)


def _of_revision(number: int) -> str:
    """What entries about one revision have in common as their request's id."""
    return f"plugin-revision-{number}"


async def _write(
    connection: Any,
    action: str,
    *,
    object_type: str,
    object_id: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any],
    outcome: AuditOutcome = "success",
    reason: str | None = None,
    request_id: str = "",
) -> None:
    await writer.write_entry(
        connection,
        _KERNEL,
        action,
        object_type=object_type,
        object_id=object_id,
        before=before,
        after=after,
        outcome=outcome,
        reason=reason,
        request_id=request_id or new_id().hex,
    )
