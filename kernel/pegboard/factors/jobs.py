"""Background work of second factors: what is over goes."""

from typing import TYPE_CHECKING

import msgspec
from pegboard_sdk.jobs import Job, Schedule

if TYPE_CHECKING:
    from pegboard_sdk.work import UnitOfWork

__all__ = ("DELETE_OLD_ATTEMPTS", "JOBS", "SCHEDULES", "DeleteOldAttempts")

_BATCH = 5_000

# By table: what is over. A lock lasts an hour at most, and a day without an attempt forgets all.
_OVER = {
    "kernel_attempts": "last_at < now() - interval '1 day' AND locked_until < now()",
    "kernel_used_challenges": "expires_at < now() - interval '1 hour'",
    "kernel_trusted_devices": "expires_at < now()",
    "kernel_totp_seeds": "confirmed_at IS NULL AND created_at < now() - interval '1 day'",
}


class DeleteOldAttempts(msgspec.Struct, frozen=True):
    """Nothing to say: it works on the tenant."""


async def delete_old_attempts(uow: "UnitOfWork", payload: DeleteOldAttempts) -> None:
    """Remove a batch of the attempts, answered challenges, devices and set-ups that are over, and come again while
    there are more.
    """
    more = False
    for table, over in _OVER.items():
        tag = await uow.execute(
            f"DELETE FROM {table} WHERE ctid = ANY (ARRAY("  # noqa: S608  # constants
            f"SELECT ctid FROM {table} WHERE tenant_id = $1 AND {over} LIMIT {_BATCH}))",
            uow.tenant_id,
        )
        more = more or int(tag.rpartition(" ")[2]) == _BATCH
    if more:
        await uow.enqueue(DELETE_OLD_ATTEMPTS, payload)


DELETE_OLD_ATTEMPTS = Job(
    name="kernel.delete_old_attempts", payload=DeleteOldAttempts, run=delete_old_attempts, timeout=600
)

JOBS = (DELETE_OLD_ATTEMPTS,)
SCHEDULES = (
    Schedule(
        name="kernel.delete_old_attempts", cron="47 3 * * *", job=DELETE_OLD_ATTEMPTS, payload=DeleteOldAttempts()
    ),
)
