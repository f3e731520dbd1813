"""The policies of all tenants, in each process: loaded whole, kept up to date by the feed that follows revocations."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

from pegboard.authorization.policy import POLICY_COLUMNS, TenantPolicy, decode_policy

if TYPE_CHECKING:
    from pegboard.database.pool import Database

__all__ = ("Policies",)

_ALL = f"SELECT {POLICY_COLUMNS} FROM kernel_authorization_versions v"  # noqa: S608  # constants
_ONE = _ALL + " WHERE v.tenant_id = $1"
# As the feed asks for sessions: whatever the last snapshot could not see has its horizon's id or a higher one.
_CHANGED = "SELECT tenant_id, version FROM kernel_authorization_versions WHERE changed_xid >= $1::text::xid8"


class Policies:
    """One per process. Tenants that decided nothing take no room here."""

    def __init__(self) -> None:
        self._policies: dict[UUID, TenantPolicy] = {}
        self._empty = TenantPolicy()
        self.stamp = object()
        """Another object whenever anything changed: what was worked out under the old one has to be worked out anew."""

    def of(self, tenant_id: UUID) -> TenantPolicy:
        """What the tenant decided, as known here: at most a second old while the feed is fresh."""
        return self._policies.get(tenant_id, self._empty)

    async def follow(self, connection: Any, horizon: int | None) -> None:
        """Read what has changed since `horizon`, a transaction id; everything where it is None. `connection` sees all
        tenants.
        """
        if horizon is None:
            self._policies = {row["tenant_id"]: decode_policy(row) for row in await connection.fetch(_ALL)}
            self.stamp = object()
            return
        for row in await connection.fetch(_CHANGED, str(horizon)):
            if row["version"] > self.of(row["tenant_id"]).version:
                await self._read(connection, row["tenant_id"])

    async def refresh(self, database: "Database", tenant_id: UUID) -> None:
        """Read a tenant's policy now: for the process that has just changed it."""
        async with database.system_reader() as connection:
            await self._read(connection, tenant_id)

    async def _read(self, connection: Any, tenant_id: UUID) -> None:
        row = await connection.fetchrow(_ONE, tenant_id)
        # Two readings may overtake each other: the newer one stays.
        if row is not None and row["version"] >= self.of(tenant_id).version:
            self._policies[tenant_id] = decode_policy(row)
            self.stamp = object()
