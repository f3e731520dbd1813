"""Telling every process that what an account's credentials may do has changed."""

from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from pegboard.work import Work

__all__ = ("credentials_changed",)

_CHANGE = """
UPDATE kernel_machine_credentials SET changed_xid = pg_current_xact_id()
WHERE tenant_id = $1 AND account_id = $2 AND ($3::uuid IS NULL OR id = $3)
RETURNING id
"""
_TOKENS = """
SELECT id FROM kernel_sessions WHERE tenant_id = $1 AND credential_id = ANY($2) AND expires_at > now()
"""


async def credentials_changed(work: "Work", account_id: UUID, *, credential_id: UUID | None = None) -> None:
    """Have every process read anew what the account's credentials may do, or one of them: this process once it has
    committed, the others within a second.
    """
    changed = [row["id"] for row in await work.fetch(_CHANGE, work.tenant_id, account_id, credential_id)]
    if not changed:
        return
    tokens = [row["id"] for row in await work.fetch(_TOKENS, work.tenant_id, changed)]
    machines = work.runtime.authenticator.machines

    async def tell() -> None:
        machines.changed([*changed, *tokens])

    work.after_commit(tell)
