"""What a worker does to job rows: claim, beat, give back, postpone, fail, park. Each is guarded by the fencing token.

A claim raises the row's fence; whatever a worker writes afterwards names the fence that it got. Once somebody else has
taken the job over, the fence or the state differs, and nothing of what the first worker writes takes effect.
"""

import random
from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import asyncpg
import msgspec

from pegboard.jobs.broker import Token

__all__ = ("LEASE_LOST", "Claimed", "beat", "claim", "fail", "park", "postpone", "release", "retry_delay")

LEASE_LOST = "PB410"
"""The SQLSTATE of `kernel_complete_job` and `kernel_hold_job` when somebody else took the job over."""

FIRST_RETRY = 1.0
LAST_RETRY = 3600.0
MAX_ERROR = 4000

_CLAIM = """
UPDATE kernel_jobs AS job
   SET state = 'running', fence = job.fence + 1, attempts = job.attempts + 1, worker = $3,
       started_at = now(), heartbeat_at = now(), updated_at = now()
  FROM unnest($1::uuid[], $2::bigint[]) AS token (id, fence)
 WHERE job.id = token.id AND job.id = ANY($1) AND job.fence = token.fence AND job.state IN ('queued', 'sent')
   AND job.tenant_id <> ALL(ARRAY(SELECT id FROM kernel_tenants WHERE status = 'suspended'))
RETURNING job.id, job.fence, job.tenant_id, job.plugin, job.name, job.payload, job.attempts, job.max_attempts,
          job.trace, job.request_id, job.created_at
"""

# A step of an external job holds a lock on its row: the heartbeat passes it by, and so does a rescue.
_BEAT = """
WITH held AS (
    SELECT job.id FROM kernel_jobs AS job JOIN unnest($1::uuid[], $2::bigint[]) AS token (id, fence) USING (id)
    WHERE job.id = ANY($1) AND job.fence = token.fence AND job.state = 'running' FOR NO KEY UPDATE OF job SKIP LOCKED
), beaten AS (
    UPDATE kernel_jobs SET heartbeat_at = now(), updated_at = now() WHERE id = ANY(ARRAY(SELECT id FROM held))
)
SELECT token.id FROM unnest($1::uuid[], $2::bigint[]) AS token (id, fence)
LEFT JOIN kernel_jobs AS job ON job.id = token.id AND job.id = ANY($1)
WHERE job.fence IS DISTINCT FROM token.fence OR job.state NOT IN ('running', 'succeeded')
"""

_RELEASE = """
UPDATE kernel_jobs AS job
   SET state = 'queued', attempts = job.attempts - 1, worker = NULL, heartbeat_at = NULL, updated_at = now()
  FROM unnest($1::uuid[], $2::bigint[]) AS token (id, fence)
 WHERE job.id = token.id AND job.id = ANY($1) AND job.fence = token.fence AND job.state = 'running'
"""

_PARK = """
UPDATE kernel_jobs
   SET state = 'parked', attempts = attempts - 1, worker = NULL, heartbeat_at = NULL, updated_at = now()
 WHERE id = $1 AND fence = $2 AND state = 'running'
"""

_POSTPONE = """
UPDATE kernel_jobs
   SET state = 'queued', attempts = attempts - 1, run_at = now() + make_interval(secs => $3), worker = NULL,
       heartbeat_at = NULL, updated_at = now()
 WHERE id = $1 AND fence = $2 AND state = 'running'
"""

_FAIL = """
UPDATE kernel_jobs
   SET state = CASE WHEN attempts < max_attempts THEN 'queued' ELSE 'dead' END,
       finished_at = CASE WHEN attempts < max_attempts THEN NULL ELSE now() END,
       run_at = now() + make_interval(secs => $4), error = $3, worker = NULL, heartbeat_at = NULL, updated_at = now()
 WHERE id = $1 AND fence = $2 AND state = 'running'
RETURNING state
"""


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """A job that this process may run, until its lease is lost. `fence` is the one of this claim."""

    id: UUID
    fence: int
    tenant_id: UUID
    plugin: str
    name: str
    payload: str
    attempts: int
    max_attempts: int
    trace: str | None
    request_id: str | None
    created_at: datetime

    @property
    def token(self) -> Token:
        """The job and the fence of this claim."""
        return self.id, self.fence


def _columns(tokens: Sequence[Token]) -> tuple[list[UUID], list[int]]:
    return [job for job, _ in tokens], [fence for _, fence in tokens]


async def claim(pool: asyncpg.Pool, tokens: Sequence[Token], worker: str) -> list[Claimed]:
    """Claim what of `tokens` is still to be run. Left out: claimed by somebody else, finished, parked, of a
    suspended tenant.
    """
    return [Claimed(**row) for row in await pool.fetch(_CLAIM, *_columns(tokens), worker)]


async def beat(pool: asyncpg.Pool, tokens: Sequence[Token]) -> set[UUID]:
    """Say that the jobs still run. Gives those whose lease was lost."""
    return {row["id"] for row in await pool.fetch(_BEAT, *_columns(tokens))}


async def release(pool: asyncpg.Pool, tokens: Sequence[Token]) -> None:
    """Give claimed jobs back that were not run to an end; the attempt doesn't count."""
    await pool.execute(_RELEASE, *_columns(tokens))


async def park(pool: asyncpg.Pool, token: Token) -> None:
    """Lay aside a claimed job that no enabled plugin has; the attempt doesn't count."""
    await pool.execute(_PARK, *token)


async def postpone(pool: asyncpg.Pool, token: Token, delay: float) -> None:
    """Give a claimed job back, to be run in `delay` seconds; the attempt doesn't count."""
    await pool.execute(_POSTPONE, *token, delay)


async def fail(pool: asyncpg.Pool, token: Token, error: str, delay: float) -> Literal["queued", "dead"] | None:
    """Record a failure: again in `delay` seconds, or dead when no attempt is left. None: the lease was lost."""
    # A text of PostgreSQL's holds neither NUL nor half a surrogate pair.
    told = error[:MAX_ERROR].encode(errors="replace").decode().replace("\0", "\ufffd")
    return await pool.fetchval(_FAIL, *token, told, delay)


def retry_delay(attempts: int, uniform: float | None = None) -> float:
    """Seconds until the next attempt after `attempts` failed: 1, 4, 16, … at most an hour, of which half is jitter.

    `uniform` in [0, 1) decides the jitter.
    """
    share = random.random() if uniform is None else uniform  # noqa: S311  # spreads load; guards nothing
    full = min(LAST_RETRY, FIRST_RETRY * 4.0 ** min(attempts - 1, 12))
    return full * (0.5 + share / 2)
