"""Background work: durable jobs and the schedules that start them."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

if TYPE_CHECKING:
    from pegboard_sdk.work import SteppedUnitOfWork, UnitOfWork

__all__ = ("ExternalJob", "Job", "Schedule")

P = TypeVar("P", bound=msgspec.Struct)


class Job(msgspec.Struct, Generic[P], frozen=True, kw_only=True):
    """A kind of background work.

    `name` is `<plugin>.<snake_case>`. `payload` is a Struct of ids and small values; the rows are read again when
    the job runs. `run` is called in one transaction together with the job's completion, as the system principal of
    the tenant that enqueued it, at least once: it must be idempotent in whatever it does outside that transaction.
    A Struct that it gives is kept on the job's row. After `max_attempts` failures the job is a dead letter. `timeout`
    is in seconds.
    """

    name: str
    payload: type[P]
    run: "Callable[[UnitOfWork, P], Awaitable[msgspec.Struct | None]]"
    max_attempts: int = 8
    timeout: float = 60.0


class ExternalJob(msgspec.Struct, Generic[P], frozen=True, kw_only=True):
    """A job that calls out of the platform: `run` opens its transactions itself, in steps, so that none is open during
    a call.
    """

    name: str
    payload: type[P]
    run: "Callable[[SteppedUnitOfWork, P], Awaitable[msgspec.Struct | None]]"
    max_attempts: int = 8
    timeout: float = 60.0


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """Enqueues `job` with `payload` in every tenant when `cron` (five fields) matches in `timezone` (an IANA name)."""

    name: str
    cron: str
    job: "Job | ExternalJob"
    payload: msgspec.Struct
    timezone: str = "UTC"
