"""Errors that a person or a program outside the platform may see.

Services raise a `DomainError`; the kernel turns it into an RFC 9457 problem document and rolls the unit of work back.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import msgspec

__all__ = (
    "CapabilityDenied",
    "Conflict",
    "DomainError",
    "FieldError",
    "Forbidden",
    "InvalidCursor",
    "InvalidInput",
    "NotFound",
    "PreconditionFailed",
    "PreconditionRequired",
    "Problem",
    "ServiceMissing",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
    "UpstreamFailed",
)


class FieldError(msgspec.Struct, frozen=True):
    """One field that was refused: `pointer` is a JSON pointer (RFC 6901) into the body, or a parameter's name."""

    pointer: str
    detail: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An RFC 9457 problem document. `code` is stable and made for programs, `detail` says what to do next."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[FieldError] = []


class DomainError(Exception):
    """A rule refused the request.

    Subclasses set `status` (an HTTP status) and `code` (`<plugin>.<snake_case>`, stable once released).
    `detail` is a sentence for a person; it must not hold secrets, SQL or another tenant's data.
    """

    status: ClassVar[int] = 400
    code: ClassVar[str] = "bad_request"

    def __init__(
        self,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})


class InvalidCursor(DomainError):
    """A list's cursor was not made by this list."""

    code = "invalid_cursor"


class Unauthorized(DomainError):
    """Nobody is logged in, or the credentials are not valid (any more)."""

    status = 401
    code = "unauthorized"


class Forbidden(DomainError):
    """The principal is known and may not do this."""

    status = 403
    code = "forbidden"


class NotFound(DomainError):
    """There is no such object, or the principal may not know of it."""

    status = 404
    code = "not_found"


class Conflict(DomainError):
    """The object's state does not allow this."""

    status = 409
    code = "conflict"


class PreconditionFailed(DomainError):
    """`If-Match` names a version that is not the current one."""

    status = 412
    code = "stale_version"


class InvalidInput(DomainError):
    """The request was understood and its values break a rule."""

    status = 422
    code = "invalid_input"


class PreconditionRequired(DomainError):
    """An edit came without `If-Match`."""

    status = 428
    code = "if_match_required"


class TooManyRequests(DomainError):
    """A rate or a quota is used up. Carries `Retry-After` (seconds)."""

    status = 429
    code = "too_many_requests"

    def __init__(self, detail: str, *, retry_after: int, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail, errors=errors, headers={"Retry-After": str(max(1, retry_after))})


class UpstreamFailed(DomainError):
    """A program outside the platform answered wrongly or not at all."""

    status = 502
    code = "upstream_failed"


class Unavailable(DomainError):
    """Something that this needs is off or down; the same request may work later."""

    status = 503
    code = "unavailable"

    def __init__(self, detail: str, *, retry_after: int = 5, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail, errors=errors, headers={"Retry-After": str(max(1, retry_after))})


class ServiceMissing(Unavailable):
    """No enabled plugin offers the service that this needs."""

    code = "service_missing"


class CapabilityDenied(RuntimeError):
    """A plugin used what its manifest does not ask for. It is the plugin's mistake, not the caller's, so it is no
    `DomainError`: the caller is told of an internal error, the log and the audit trail say what was used.

    `plugin` is whose code acted; `kind` is what was to be used: `ai_spend`, `host`, `service`, `table` or `secret`;
    `what` is its name.
    """

    def __init__(self, plugin: str, kind: str, what: str, why: str) -> None:
        super().__init__(f"the plugin {plugin} may not do this: {why}")
        self.plugin = plugin
        self.kind = kind
        self.what = what
