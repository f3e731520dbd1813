"""Every error as an RFC 9457 problem, and nothing of its cause."""

import re
from http import HTTPStatus
from typing import Any

import asyncpg
import msgspec
import structlog
from litestar.exceptions import HTTPException, ImproperlyConfiguredException
from litestar.status_codes import HTTP_500_INTERNAL_SERVER_ERROR
from pegboard_sdk.errors import (
    Conflict,
    DomainError,
    FieldError,
    InvalidInput,
    Problem,
    Unauthorized,
    Unavailable,
)

from pegboard.database.pool import is_lost
from pegboard.tenancy.errors import TenantSuspended

__all__ = ("PROBLEM_JSON", "OutcomeUnknown", "encode_problem", "to_domain_error")

PROBLEM_JSON = "application/problem+json"
_INDEX = re.compile(r"\[(\d+)\]")
_IN_BODY = re.compile(r" - at `\$\.data(?P<place>[.\[].*)?`$", re.DOTALL)
_FIELD = re.compile(r"Object (?:missing required|contains unknown) field `(?P<name>.*)`", re.DOTALL)
_PARAMETER = re.compile(r"Missing required \w+ parameter '(?P<name>[^']+)'")
_KEYS = "[...]"
"""What msgspec calls every key of an object whose keys are free."""
_encoder = msgspec.json.Encoder()
log = structlog.get_logger("pegboard.web")

_OUTAGE = (
    ConnectionError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InternalClientError,  # a connection that the server has just ended, used in that moment
)


class OutcomeUnknown(DomainError):
    """The request failed after something of it was committed, or while it was being committed."""

    status = 503
    code = "outcome_unknown"

    def __init__(self) -> None:
        super().__init__(
            "This may have been done, or a part of it: look, or repeat it with the same Idempotency-Key.",
            headers={"Retry-After": "5"},
        )


def _made(status: int, code: str, detail: str, **kwargs: Any) -> DomainError:
    """A `DomainError` of a status and code that no class stands for."""
    kind = type("KernelError", (DomainError,), {"status": status, "code": code})
    return kind(detail, **kwargs)


def _pointer(entry: dict[str, Any], cause: BaseException | None) -> str:
    """A JSON pointer (RFC 6901) from what Litestar calls a place: `price.amount`, `tags[0]`, and `data` for the body
    itself. Of a field that is missing or unknown it knows only the object, and the message knows the name.

    `cause` is msgspec's error. Where that is about the body, its place is taken: Litestar drops each `data.` from it,
    also the end of `metadata.`.
    """
    key = str(entry.get("key") or "")
    if entry.get("source") != "body":
        return key
    exact = _IN_BODY.search(str(cause))
    known, hidden, _ = ((exact["place"] or "") if exact else "" if key == "data" else key).partition(_KEYS)
    steps = [step for step in _INDEX.sub(r".\1", known).split(".") if step]
    if not hidden and (field := _FIELD.fullmatch(str(entry.get("message")))):
        steps.append(field["name"])
    return "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in steps)


def _from_litestar(error: HTTPException) -> DomainError:
    status = error.status_code
    if status == 404:
        return _made(404, "not_found", "There is nothing at this path. GET /docs shows what there is.")
    if status == 405:
        return _made(405, "method_not_allowed", "This path does not take this method.")
    if status == 413:
        return _made(413, "body_too_large", "The body is larger than this route takes.")
    if status >= HTTP_500_INTERNAL_SERVER_ERROR:
        return _internal()
    extra = error.extra if isinstance(error.extra, list) else []
    errors = [
        FieldError(_pointer(entry, error.__cause__), str(entry.get("message", "is not valid")))
        for entry in extra
        if isinstance(entry, dict)
    ]
    if parameter := _PARAMETER.match(error.detail):
        errors.append(FieldError(parameter["name"], "is required"))
    if errors:
        return _made(status, "invalid_request", "Some fields are not valid; errors says which.", errors=errors)
    return _made(status, "malformed_request", "The request can't be read as what this route takes (JSON in UTF-8).")


def _internal() -> DomainError:
    return _made(500, "internal_error", "Something went wrong here. Give the request_id to the administrator.")


def to_domain_error(error: BaseException, *, request_id: str) -> DomainError:
    """What the caller may know of `error`. What is our fault is logged, with its traceback, under the request's id."""
    if isinstance(error, DomainError):
        return error
    if isinstance(error, ImproperlyConfiguredException):
        log.error("request.failed", exc_info=error, request_id=request_id)
        return _internal()
    if isinstance(error, HTTPException):
        if error.status_code >= HTTP_500_INTERNAL_SERVER_ERROR:
            log.error("request.failed", exc_info=error, request_id=request_id)
        return _from_litestar(error)
    if isinstance(error, asyncpg.PostgresError):
        known = _from_postgres(error)
        if known is not None:
            return known
    if isinstance(error, asyncpg.exceptions.DataError | asyncpg.exceptions._base.ClientConfigurationError):
        return InvalidInput("A value is outside of what can be stored: shorten it, or use a smaller number.")
    if isinstance(error, TimeoutError):
        return _made(
            503, "timeout", "This took too long and was given up; nothing was changed.", headers={"Retry-After": "5"}
        )
    if isinstance(error, _OUTAGE) or (isinstance(error, asyncpg.InterfaceError) and is_lost(error)):
        log.error("database.unavailable", error=type(error).__name__, request_id=request_id)
        return Unavailable("The database can't be reached now; nothing was changed. Try again in a moment.")
    if isinstance(error, RecursionError):
        return _made(400, "malformed_request", "The request is nested too deep.")
    log.error("request.failed", exc_info=error, request_id=request_id)
    return _internal()


def _from_postgres(error: asyncpg.PostgresError) -> DomainError | None:
    state: str = getattr(error, "sqlstate", None) or ""
    if state == "PB401":
        return Unauthorized("The session has ended: log in again.")
    if state == "PB403":
        return TenantSuspended()
    if state in ("40001", "40P01"):
        return Unavailable("Others are changing the same things. Try again.", retry_after=1)
    if state == "57014":
        return _made(503, "timeout", "The database took too long; nothing was changed.", headers={"Retry-After": "5"})
    if state in ("23505", "23P01"):
        return Conflict("There is one like this already.")
    if state == "23503":
        return Conflict("Something that this refers to is gone, or something still refers to this.")
    if state.startswith("22"):
        return InvalidInput("A value can't be stored: it has a character or a size that the database refuses.")
    return None


def encode_problem(error: DomainError, request_id: str) -> bytes:
    """The problem document of `error`."""
    return _encoder.encode(
        Problem(
            type=f"urn:pegboard:problem:{error.code}",
            title=HTTPStatus(error.status).phrase,
            status=error.status,
            detail=error.detail,
            code=error.code,
            request_id=request_id,
            errors=list(error.errors),
        )
    )
