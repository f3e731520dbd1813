"""The queries of the matrix and of roles, as the work's tenant, under row-level security."""

from collections.abc import Mapping, Sequence

from pegboard_sdk.ids import new_id
from pegboard_sdk.work import Record, UnitOfWork

__all__ = ("MatrixRepository",)


class MatrixRepository:
    """Over one unit of work."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow
        self._tenant = uow.tenant_id

    async def edits(self) -> list[Record]:
        """What the tenant decided: role, permission, granted, reason, edited_by, created_at."""
        return await self._uow.fetch(
            "SELECT role, permission, granted, reason, edited_by, created_at FROM kernel_permission_edits"
            " WHERE tenant_id = $1",
            self._tenant,
        )

    async def replace(self, role: str, permissions: Sequence[str], decided: Mapping[str, bool], reason: str) -> None:
        """Forget what was decided of the role's permissions, and keep what is `decided` now."""
        await self._uow.execute(
            "DELETE FROM kernel_permission_edits WHERE tenant_id = $1 AND role = $2 AND permission = ANY ($3)",
            self._tenant,
            role,
            list(permissions),
        )
        await self._uow.executemany(
            "INSERT INTO kernel_permission_edits (id, tenant_id, role, permission, granted, reason, edited_by)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7)",
            [
                (new_id(), self._tenant, role, name, granted, reason, self._uow.principal.account_id)
                for name, granted in decided.items()
            ],
        )

    async def roles(self) -> list[Record]:
        """The tenant's own roles: name and summary."""
        return await self._uow.fetch(
            "SELECT name, summary FROM kernel_roles WHERE tenant_id = $1 ORDER BY name", self._tenant
        )

    async def counts(self) -> dict[str, int]:
        """How many accounts have each role."""
        rows = await self._uow.fetch(
            "SELECT role, count(*) AS accounts FROM kernel_role_grants WHERE tenant_id = $1 GROUP BY role", self._tenant
        )
        return {row["role"]: row["accounts"] for row in rows}

    async def insert_role(self, name: str, summary: str) -> None:
        """A role that grants nothing."""
        await self._uow.execute(
            "INSERT INTO kernel_roles (id, tenant_id, name, summary, created_by) VALUES ($1, $2, $3, $4, $5)",
            new_id(),
            self._tenant,
            name,
            summary,
            self._uow.principal.account_id,
        )

    async def describe_role(self, name: str, summary: str) -> str | None:
        """Change what a role is for; gives what it said before, or None where the tenant has no such role."""
        before = await self._uow.fetchval(
            "SELECT summary FROM kernel_roles WHERE tenant_id = $1 AND name = $2 FOR UPDATE", self._tenant, name
        )
        if before is not None:
            await self._uow.execute(
                "UPDATE kernel_roles SET summary = $3 WHERE tenant_id = $1 AND name = $2", self._tenant, name, summary
            )
        return before

    async def delete_role(self, name: str) -> None:
        """Remove a role and what it was granted."""
        await self._uow.execute(
            "DELETE FROM kernel_permission_edits WHERE tenant_id = $1 AND role = $2", self._tenant, name
        )
        await self._uow.execute("DELETE FROM kernel_roles WHERE tenant_id = $1 AND name = $2", self._tenant, name)
