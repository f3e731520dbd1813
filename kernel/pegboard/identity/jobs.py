"""Identity's background work."""

from typing import TYPE_CHECKING

import msgspec
from pegboard_sdk.jobs import Job, Schedule

from pegboard.identity.by_mail import ANSWER_BY_MAIL
from pegboard.identity.one_time_tokens import OneTimeTokens
from pegboard.identity.repository import IdentityRepository

if TYPE_CHECKING:
    from pegboard_sdk.work import UnitOfWork

__all__ = ("DELETE_ENDED_SESSIONS", "JOBS", "SCHEDULES", "DeleteEndedSessions")

_ONE_TIME_KEPT_DAYS = 1
"""How long a mailed token's row is kept after it expired: as long as mails to an account are counted."""

_KEPT_DAYS = 30
"""How long an ended session can be looked up. What it did is in the audit trail."""

_TOKEN_KEPT_DAYS = 1
"""How long a refresh token is kept after it expired. Until it expires it must be known: that somebody uses it again is
how a theft is found out. After that it is refused anyhow.
"""

BATCH = 1_000


class DeleteEndedSessions(msgspec.Struct, frozen=True):
    """Nothing to say: it works on the tenant."""


async def delete_ended_sessions(uow: "UnitOfWork", payload: DeleteEndedSessions) -> None:
    """Remove a batch of the sessions, refresh tokens and mailed tokens that ended long ago, and come again while there
    are more.
    """
    repository = IdentityRepository(uow)
    sessions = await repository.delete_ended_sessions(days=_KEPT_DAYS, limit=BATCH)
    tokens = await repository.delete_expired_tokens(days=_TOKEN_KEPT_DAYS, limit=BATCH)
    mailed = await OneTimeTokens(uow).delete_expired(days=_ONE_TIME_KEPT_DAYS, limit=BATCH)
    if BATCH in (sessions, tokens, mailed):
        await uow.enqueue(DELETE_ENDED_SESSIONS, payload)


DELETE_ENDED_SESSIONS = Job(
    name="kernel.delete_ended_sessions", payload=DeleteEndedSessions, run=delete_ended_sessions, timeout=600
)

JOBS = (ANSWER_BY_MAIL, DELETE_ENDED_SESSIONS)
SCHEDULES = (
    Schedule(
        name="kernel.delete_ended_sessions", cron="17 3 * * *", job=DELETE_ENDED_SESSIONS, payload=DeleteEndedSessions()
    ),
)
