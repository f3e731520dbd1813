"""Beginning and ending maintenance."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from pegboard_sdk.access import Principal
from pegboard_sdk.errors import InvalidInput

from pegboard.maintenance.permissions import MAINTENANCE_SET
from pegboard.maintenance.schemas import Maintenance, MaintenanceBegin
from pegboard.maintenance.watch import read_maintenance
from pegboard.work import Work

if TYPE_CHECKING:
    from pegboard.runtime import Runtime

__all__ = ("MaintenanceService",)

_BEGIN = """
UPDATE kernel_maintenance SET since = coalesce(since, now()), until = $1, message = $2, holds_jobs = $3,
    changed_by = $4, updated_at = now()
"""
_END = """
UPDATE kernel_maintenance SET since = NULL, until = NULL, message = '', holds_jobs = false,
    changed_by = $1, updated_at = now()
"""


class MaintenanceService:
    """The rules. All of the platform is under maintenance or nothing is; every process knows within a second."""

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime

    async def read(self) -> Maintenance:
        """What the database says now."""
        async with self._runtime.database.system_reader() as connection:
            return await read_maintenance(connection)

    async def begin(self, principal: Principal, request_id: str, begin: MaintenanceBegin) -> Maintenance:
        """Begin maintenance, or change what is said of the one that is on.

        Raises:
            InvalidInput: `until` has passed.
        """
        if begin.until is not None and begin.until <= datetime.now(UTC):
            raise InvalidInput("until has passed: say when it will end, or leave it out.")
        arguments = (begin.until, begin.message, begin.holds_jobs, principal.account_id)
        return await self._change(principal, request_id, _BEGIN, *arguments)

    async def end(self, principal: Principal, request_id: str) -> Maintenance:
        """End maintenance. Where there is none, nothing changes."""
        return await self._change(principal, request_id, _END, principal.account_id)

    async def _change(self, principal: Principal, request_id: str, statement: str, *arguments: object) -> Maintenance:
        runtime = self._runtime
        async with runtime.database.system_transaction() as connection:
            if principal.session_id is not None:
                await connection.execute("SELECT kernel_require_session($1)", principal.session_id)
            await connection.execute("SELECT FROM kernel_maintenance FOR UPDATE")
            before = await read_maintenance(connection)
            await connection.execute(statement, *arguments)
            after = await read_maintenance(connection)
            work = Work(connection, runtime, runtime.registry, principal, request_id)
            if before != after:
                await work.audit(
                    MAINTENANCE_SET,
                    object_type="platform",
                    object_id="maintenance",
                    before=msgspec.to_builtins(before),
                    after=msgspec.to_builtins(after),
                )
        await work.committed()
        await runtime.maintenance.look()
        return after
