"""The HTTP layer's background work."""

from typing import TYPE_CHECKING

import msgspec
from pegboard_sdk.jobs import Job, Schedule

if TYPE_CHECKING:
    from pegboard_sdk.work import UnitOfWork

__all__ = ("DELETE_EXPIRED_KEYS", "JOBS", "SCHEDULES", "DeleteExpiredKeys")

BATCH = 5_000
_DELETE = """
DELETE FROM kernel_idempotency_keys WHERE tenant_id = $1 AND digest IN (
    SELECT digest FROM kernel_idempotency_keys WHERE tenant_id = $1 AND expires_at <= now() ORDER BY expires_at LIMIT $2
)
"""


class DeleteExpiredKeys(msgspec.Struct, frozen=True):
    """Nothing to say: it works on the tenant."""


async def delete_expired_keys(uow: "UnitOfWork", payload: DeleteExpiredKeys) -> None:
    """Remove a batch of idempotency keys whose answers are no longer repeated, and come again while there are more."""
    tag = await uow.execute(_DELETE, uow.tenant_id, BATCH)
    if tag == f"DELETE {BATCH}":
        await uow.enqueue(DELETE_EXPIRED_KEYS, payload)


DELETE_EXPIRED_KEYS = Job(name="kernel.delete_expired_keys", payload=DeleteExpiredKeys, run=delete_expired_keys)

JOBS = (DELETE_EXPIRED_KEYS,)
SCHEDULES = (
    Schedule(
        name="kernel.delete_expired_keys", cron="23 * * * *", job=DELETE_EXPIRED_KEYS, payload=DeleteExpiredKeys()
    ),
)
