"""What of all that goes wrong is a plugin's own fault."""

import asyncio
from pathlib import Path

import asyncpg
import litestar.connection
import redis
import redis.exceptions
from litestar.exceptions import HTTPException
from pegboard_sdk.errors import DomainError

from pegboard.database.pool import is_lost
from pegboard.isolation.breaker import Cause
from pegboard.isolation.owners import Code, Owners, place, raised

__all__ = ("find_fault",)

_SQL_MISTAKES = ("42", "23", "P0")
"""Classes of SQLSTATEs that say that a statement is wrong, not that the server is unwell or others were in the way."""
_REFUSED = ("23505", "23503", "23P01")
"""Among them those that are a caller's: there is one like it already, or what it refers to is gone."""

_NOBODYS = (
    redis.exceptions.RedisError,
    ConnectionError,
    RecursionError,  # JSON that nests too deep, as a caller sent it
    asyncpg.InternalClientError,  # a connection that the server has just ended, used in that moment
    asyncpg.exceptions.DataError,
    asyncpg.exceptions._base.ClientConfigurationError,
)
_OTHERS = (*(f"{Path(module.__file__ or '').parent}/" for module in (asyncpg, redis, litestar.connection)), "asyncpg/")
"""Where one waits for PostgreSQL, for Redis, and for a request's body, which a caller sends as slowly as they like.
What of asyncpg is compiled says so without a folder.
"""


def find_fault(
    error: BaseException, owners: Owners, plugin: str, *, timed_out: bool = False
) -> tuple[str, Cause] | None:
    """The plugin whose failure `error` is, and what is to be told of it; None where it is nobody's of them.

    An error is a failure where it was not foreseen, a time-out too. What a plugin raises on purpose (a `DomainError`:
    refusals, `UpstreamFailed`, `Unavailable`) is none, unless it says 500 itself, and neither are outages of PostgreSQL
    and Redis, transactions in conflict, and callers who leave. The innermost line of a plugin's code decides whose it
    is; without any it is `plugin`'s, whose route or job it was. `timed_out`: the kernel's time-out ended it. Where it
    waited for PostgreSQL, Redis or the rest of the caller's body when its time was up, nobody is to blame.
    """
    one = _one(error)
    if timed_out or isinstance(one, TimeoutError):
        kind, lines = "TimeoutError", raised(_cancelled(one).__traceback__)
        if _waited_for_others(lines, owners):
            return None
    elif _is_failure(one):
        kind, lines = type(one).__name__, raised(one.__traceback__)
    else:
        return None
    found = owners.innermost(lines)
    if found is None:
        return plugin, Cause(kind, place(lines[-1]) if lines else "")
    owner, line = found
    return owner, Cause(kind, place(line))


def _one(error: BaseException) -> BaseException:
    """Of a group the first error that is a failure, as one is enough."""
    while isinstance(error, BaseExceptionGroup):
        error = next((one for one in error.exceptions if _is_failure(_one(one))), error.exceptions[0])
    return error


def _cancelled(error: BaseException) -> BaseException:
    """The cancellation that became a time-out: it knows where the time was spent."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, asyncio.CancelledError):
        cause = cause.__cause__
    return cause or error


def _waited_for_others(lines: list[Code], owners: Owners) -> bool:
    for file, _, _ in reversed(lines):
        if owners.is_plugin(file):
            return False
        if file.startswith(_OTHERS):
            return True
    return False


def _is_failure(error: BaseException) -> bool:
    if isinstance(error, DomainError):
        return error.status == 500
    if isinstance(error, HTTPException):
        return error.status_code >= 500
    if isinstance(error, asyncpg.PostgresError):
        state: str = getattr(error, "sqlstate", None) or ""
        return state.startswith(_SQL_MISTAKES) and state not in _REFUSED
    if isinstance(error, asyncpg.InterfaceError):
        return not isinstance(error, _NOBODYS) and not is_lost(error)
    return isinstance(error, Exception) and not isinstance(error, _NOBODYS)
