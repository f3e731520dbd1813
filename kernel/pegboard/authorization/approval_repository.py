"""The queries of approvals, as the work's tenant, under row-level security."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from pegboard_sdk.ids import new_id
from pegboard_sdk.services import ApprovalState, ApprovalView
from pegboard_sdk.work import Record, UnitOfWork

__all__ = ("ApprovalRepository",)

# An open request whose time is over has expired, whether or not that was put on record already.
_STATE = "CASE WHEN state = 'pending' AND expires_at <= statement_timestamp() THEN 'expired' ELSE state END"
_COLUMNS = f"""
id, kind, permission, object_type, object_id, summary, reason, {_STATE} AS state, requested_by, created_at, expires_at,
decided_by, decided_at, decision_reason
"""
_FIND = f"SELECT {_COLUMNS}, payload::text AS payload FROM kernel_approvals WHERE tenant_id = $1 AND id = $2"  # noqa: S608  # constants
_INSERT = f"""
INSERT INTO kernel_approvals
    (id, tenant_id, kind, permission, object_type, object_id, payload, summary, reason, requested_by, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7::text::jsonb, $8, $9, $10, statement_timestamp() + make_interval(secs => $11))
ON CONFLICT (tenant_id, kind, object_type, object_id) WHERE state = 'pending' DO NOTHING
RETURNING {_COLUMNS}
"""  # noqa: S608  # constants
_OPEN = f"""
SELECT {_COLUMNS}, payload = $5::text::jsonb AS same FROM kernel_approvals
WHERE tenant_id = $1 AND kind = $2 AND object_type = $3 AND object_id = $4 AND state = 'pending' FOR UPDATE
"""  # noqa: S608  # constants
_CLOSE = f"""
UPDATE kernel_approvals SET state = $3, decided_by = $4, decided_at = statement_timestamp(), decision_reason = $5
WHERE tenant_id = $1 AND id = $2 AND state = 'pending' RETURNING {_COLUMNS}
"""  # noqa: S608  # constants
_LIST = f"""
SELECT {_COLUMNS} FROM kernel_approvals
WHERE tenant_id = $1 AND (requested_by = $2 OR kind = ANY ($3)) AND ($4::text IS NULL OR {_STATE} = $4)
    AND ($5::text IS NULL OR kind = $5) AND ($6::uuid IS NULL OR id < $6)
ORDER BY id DESC LIMIT $7
"""  # noqa: S608  # constants
_DUE = f"""
UPDATE kernel_approvals SET state = 'expired', decided_at = statement_timestamp()
WHERE id IN (
    SELECT id FROM kernel_approvals
    WHERE tenant_id = $1 AND state = 'pending' AND expires_at <= statement_timestamp()
    ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
)
RETURNING {_COLUMNS}
"""  # noqa: S608  # constants


class ApprovalRepository:
    """Over one unit of work."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow
        self._tenant = uow.tenant_id

    async def insert(
        self,
        *,
        kind: str,
        permission: str,
        object_type: str,
        object_id: str,
        payload: str,
        summary: str,
        reason: str,
        ttl: float,
    ) -> ApprovalView | None:
        """A new request; None where another of its kind is open for the object. `payload` is JSON, `ttl` seconds."""
        row = await self._uow.fetchrow(
            _INSERT,
            new_id(),
            self._tenant,
            kind,
            permission,
            object_type,
            object_id,
            payload,
            summary,
            reason,
            self._uow.principal.account_id,
            ttl,
        )
        return None if row is None else _view(row)

    async def lock_open(
        self, kind: str, object_type: str, object_id: str, payload: str
    ) -> tuple[ApprovalView, bool] | None:
        """The request that is open for the object, held until the end, and whether its payload is this one."""
        row = await self._uow.fetchrow(_OPEN, self._tenant, kind, object_type, object_id, payload)
        return None if row is None else (_view(row), row["same"])

    async def find(self, approval_id: UUID, *, lock: bool = False) -> tuple[ApprovalView, str] | None:
        """The request and its payload as JSON; with `lock` nobody else decides it until the end."""
        row = await self._uow.fetchrow(_FIND + (" FOR UPDATE" if lock else ""), self._tenant, approval_id)
        return None if row is None else (_view(row), row["payload"])

    async def close(self, approval_id: UUID, state: ApprovalState, by: UUID | None, reason: str | None) -> ApprovalView:
        """Decide a request that is locked and open."""
        row = await self._uow.fetchrow(_CLOSE, self._tenant, approval_id, state, by, reason)
        if row is None:
            raise RuntimeError(f"the approval {approval_id} was not open, though it was locked")
        return _view(row)

    async def newest(
        self,
        *,
        account_id: UUID,
        kinds: Collection[str],
        state: ApprovalState | None,
        kind: str | None,
        after: UUID | None,
        limit: int,
    ) -> list[ApprovalView]:
        """Requests of the account, and those of `kinds`, newest first."""
        rows = await self._uow.fetch(_LIST, self._tenant, account_id, list(kinds), state, kind, after, limit)
        return [_view(row) for row in rows]

    async def expire(self, *, limit: int) -> list[ApprovalView]:
        """Close up to `limit` requests whose time is over."""
        return [_view(row) for row in await self._uow.fetch(_DUE, self._tenant, limit)]


def _view(row: Record) -> ApprovalView:
    values: dict[str, Any] = {name: row[name] for name in ApprovalView.__struct_fields__}
    return ApprovalView(**values)
