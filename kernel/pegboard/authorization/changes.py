"""Changing what a tenant decided: one at a time, against what is in the database now, known everywhere soon.

Whoever changes roles, rights or rules holds the tenant's lock alone; whoever gives or takes a role holds it together
with others, so that no rule comes or goes in between.
"""

from typing import TYPE_CHECKING

from pegboard_sdk.work import UnitOfWork

from pegboard.authorization.policy import POLICY_COLUMNS, TenantPolicy, decode_policy

if TYPE_CHECKING:
    from pegboard.work import Work

__all__ = ("changed", "matrix_version", "read_policy", "start_change", "start_use")

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('pegboard:authorization:' || $1, 0))"
_LOCK_SHARED = "SELECT pg_advisory_xact_lock_shared(hashtextextended('pegboard:authorization:' || $1, 0))"
_READ = f"SELECT {POLICY_COLUMNS} FROM kernel_authorization_versions v WHERE v.tenant_id = $1"  # noqa: S608  # constants
_MATRIX_VERSION = "SELECT matrix_version FROM kernel_authorization_versions WHERE tenant_id = $1"
_BUMP = """
INSERT INTO kernel_authorization_versions AS v (tenant_id, matrix_version, changed_xid)
VALUES ($1, $2, pg_current_xact_id())
ON CONFLICT (tenant_id) DO UPDATE SET
    version = v.version + 1, matrix_version = v.matrix_version + $2, changed_xid = pg_current_xact_id()
RETURNING matrix_version
"""


async def read_policy(work: UnitOfWork) -> TenantPolicy:
    """What the tenant has decided, as the database has it."""
    row = await work.fetchrow(_READ, work.tenant_id)
    return TenantPolicy() if row is None else decode_policy(row)


async def start_change(work: "Work") -> TenantPolicy:
    """What the tenant has decided, which nobody else changes until this transaction ends."""
    await work.execute(_LOCK, str(work.tenant_id))
    return await read_policy(work)


async def start_use(work: "Work") -> TenantPolicy:
    """What the tenant has decided, which nobody changes until this transaction ends; others may use it too."""
    await work.execute(_LOCK_SHARED, str(work.tenant_id))
    return await read_policy(work)


async def matrix_version(work: UnitOfWork) -> int:
    """How often the tenant's matrix was changed: its ETag."""
    return await work.fetchval(_MATRIX_VERSION, work.tenant_id) or 0


async def changed(work: "Work", *, matrix: bool = False) -> int:
    """Have every process read the tenant's decisions anew: this one once it has committed, the others within a second.
    Gives the matrix's version.
    """
    version = await work.fetchval(_BUMP, work.tenant_id, int(matrix))
    runtime, tenant_id = work.runtime, work.tenant_id

    async def tell() -> None:
        await runtime.authenticator.policies.refresh(runtime.database, tenant_id)

    work.after_commit(tell)
    return version
