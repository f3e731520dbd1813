"""Quarantine: plugins whose code failed at import, in a hook, at start-up or in a health check are kept out, over
restarts, until an administrator releases them. Failing requests and jobs never bring a plugin here.

Every function takes a connection of the system role.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from pegboard_sdk.ids import new_id

from pegboard.database.storable import storable
from pegboard.plugins import lifecycle_audit
from pegboard.plugins.failure import Cause, Failure
from pegboard.plugins.processes import node_name

__all__ = ("Quarantine", "history", "put", "release", "standing")

REASON_LENGTH = 2_000


class Quarantine(msgspec.Struct, frozen=True, kw_only=True):
    """A time in quarantine. `version` is the plugin's at that time; `released_at` is None while it lasts."""

    id: UUID
    plugin: str
    version: str
    cause: Cause
    reason: str
    node: str
    released_at: datetime | None
    released_by: UUID | None
    created_at: datetime

    @property
    def told(self) -> str:
        """Why the plugin is out, and what to do about it."""
        return (
            f"quarantined since {self.created_at:%Y-%m-%d %H:%M} UTC ({self.cause}): {self.reason}. Mend or replace it,"
            f" then `pegboard plugins release {self.plugin}`"
        )


async def standing(connection: Any) -> dict[str, Quarantine]:
    """The plugins in quarantine, by name. None are where the database has not been migrated yet."""
    if not await connection.fetchval("SELECT to_regclass('kernel_plugin_quarantine') IS NOT NULL"):
        return {}
    rows = await connection.fetch("SELECT * FROM kernel_plugin_quarantine WHERE released_at IS NULL ORDER BY plugin")
    return {row["plugin"]: msgspec.convert(dict(row), Quarantine) for row in rows}


async def history(connection: Any, *, limit: int = 100) -> list[Quarantine]:
    """The latest quarantines, newest first, those that have ended too."""
    rows = await connection.fetch("SELECT * FROM kernel_plugin_quarantine ORDER BY id DESC LIMIT $1", limit)
    return [msgspec.convert(dict(row), Quarantine) for row in rows]


async def put(connection: Any, plugin: str, failure: Failure) -> Quarantine:
    """Put a plugin into quarantine; gives the one that stands, which is an earlier one if it was there already.

    Many processes may find the same failure at once: the first one's words stay.
    """
    while True:  # again where somebody releases it just between the two statements
        status = await connection.execute(
            "INSERT INTO kernel_plugin_quarantine (id, plugin, version, cause, reason, node)"
            " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (plugin) WHERE released_at IS NULL DO NOTHING",
            new_id(),
            plugin,
            failure.version,
            failure.cause,
            storable(failure.reason, REASON_LENGTH),
            node_name(),
        )
        found = (await standing(connection)).get(plugin)
        if found is not None:
            if status == "INSERT 0 1":
                await lifecycle_audit.quarantined(connection, found)
            return found


async def release(connection: Any, plugin: str, *, by: UUID | None) -> bool:
    """Let a plugin in again, by decision of the account `by`. Whether it was in quarantine."""
    status = await connection.execute(
        "UPDATE kernel_plugin_quarantine SET released_at = now(), released_by = $2"
        " WHERE plugin = $1 AND released_at IS NULL",
        plugin,
        by,
    )
    return status == "UPDATE 1"
