"""Which tenants there are, which are suspended and which host names lead to them, in each process: loaded whole, kept
up to date by the feed that follows revocations, so at most a second old while that is fresh.
"""

from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from pegboard.database.pool import Database

__all__ = ("Tenants",)

_ALL = """
SELECT t.id, t.status = 'suspended' AS suspended, t.version,
       array(SELECT h.host FROM kernel_tenant_hosts h WHERE h.tenant = t.id) AS hosts
FROM kernel_tenants t
"""
_ONE = _ALL + " WHERE t.id = $1"
# As the feed asks for sessions: whatever the last snapshot could not see has its horizon's id or a higher one.
_CHANGED = _ALL + " WHERE t.changed_xid >= $1::text::xid8"


class Tenants:
    """One per process. Empty until the feed has asked for the first time."""

    def __init__(self) -> None:
        self._versions: dict[UUID, int] = {}
        self._suspended: set[UUID] = set()
        self._named: dict[UUID, list[str]] = {}
        self.hosts: dict[str, UUID] = {}
        """Whose each host name is."""

    @property
    def several(self) -> bool:
        """Whether there is more than the one tenant that every installation has."""
        return len(self._versions) > 1

    def knows(self, tenant_id: UUID) -> bool:
        """Whether there is such a tenant, as far as this process knows."""
        return tenant_id in self._versions

    def is_suspended(self, tenant_id: UUID) -> bool:
        """Whether the platform's operator has suspended the tenant."""
        return tenant_id in self._suspended

    async def follow(self, connection: Any, horizon: int | None) -> None:
        """Read what has changed since `horizon`, a transaction id; everything where it is None. `connection` sees all
        tenants.
        """
        if horizon is None:
            rows = await connection.fetch(_ALL)
            for gone in self._versions.keys() - {row["id"] for row in rows}:
                self._drop(gone)
        else:
            rows = await connection.fetch(_CHANGED, str(horizon))
        self._take(rows)

    async def refresh(self, database: "Database", tenant_id: UUID) -> None:
        """Read one tenant now: for the process that has just changed it, or hears of it for the first time."""
        async with database.system_reader() as connection:
            self._take(await connection.fetch(_ONE, tenant_id))

    def _take(self, rows: list[Any]) -> None:
        # Two readings may overtake each other: the newer one stays. All names that go are taken out before any comes
        # in, as one may have moved from a tenant to another.
        newer = [row for row in rows if row["version"] > self._versions.get(row["id"], 0)]
        for row in newer:
            self._drop(row["id"])
        for row in newer:
            tenant_id = row["id"]
            self._versions[tenant_id] = row["version"]
            if row["suspended"]:
                self._suspended.add(tenant_id)
            self._named[tenant_id] = row["hosts"]
            self.hosts.update(dict.fromkeys(row["hosts"], tenant_id))

    def _drop(self, tenant_id: UUID) -> None:
        self._versions.pop(tenant_id, None)
        self._suspended.discard(tenant_id)
        for host in self._named.pop(tenant_id, ()):
            if self.hosts.get(host) == tenant_id:
                del self.hosts[host]
