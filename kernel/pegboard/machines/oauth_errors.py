"""What OAuth clients are refused, in OAuth's shape (RFC 6749, 5.2), which their libraries understand."""

from typing import Any, ClassVar

import msgspec
from litestar import Request
from litestar.response import Response
from pegboard_sdk.errors import DomainError
from pegboard_sdk.http import EXCHANGE

from pegboard.web.exchange import Exchange
from pegboard.web.problems import to_domain_error

__all__ = (
    "InvalidClient",
    "InvalidRequest",
    "InvalidScope",
    "OAuthError",
    "OAuthProblem",
    "UnauthorizedClient",
    "UnsupportedGrantType",
    "answer_oauth_error",
)


class OAuthProblem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a token endpoint refuses. `error` is for programs, `error_description` for people."""

    error: str
    error_description: str


class OAuthError(DomainError):
    """A refusal that RFC 6749 has a name for."""

    error: ClassVar[str] = "invalid_request"


class InvalidRequest(OAuthError):
    """A parameter is missing, sent twice or malformed."""

    code = "oauth.invalid_request"


class InvalidClient(OAuthError):
    """The client is unknown, or what it proves itself by is wrong or has ended. It doesn't tell which."""

    status = 401
    code = "oauth.invalid_client"
    error = "invalid_client"

    def __init__(self, detail: str = "The client_id and what proves it do not belong together.") -> None:
        super().__init__(detail, headers={"WWW-Authenticate": 'Basic realm="pegboard", charset="UTF-8"'})


class UnauthorizedClient(OAuthError):
    """The client is known, and may not do this."""

    status = 403
    code = "oauth.unauthorized_client"
    error = "unauthorized_client"


class UnsupportedGrantType(OAuthError):
    """Only clients' own credentials are taken here: people log in at /auth/login."""

    code = "oauth.unsupported_grant_type"
    error = "unsupported_grant_type"

    def __init__(self) -> None:
        super().__init__("Send grant_type=client_credentials.")


class InvalidScope(OAuthError):
    """The client asks for more than its credential has."""

    code = "oauth.invalid_scope"
    error = "invalid_scope"


def answer_oauth_error(request: Request[Any, Any, Any], error: Exception) -> Response[OAuthProblem]:
    """Whatever goes wrong in these routes, in OAuth's shape."""
    exchange: Exchange = request.scope[EXCHANGE]  # type: ignore[literal-required]  # the kernel's own key
    exchange.judge(error)
    known = exchange.told(to_domain_error(error, request_id=exchange.request_id))
    if isinstance(known, OAuthError):
        name = known.error
    elif known.status in (429, 503):
        name = "temporarily_unavailable"
    else:
        name = "server_error" if known.status >= 500 else "invalid_request"
    return Response(
        OAuthProblem(error=name, error_description=_permitted(known.detail)),
        status_code=known.status,
        headers={**known.headers, "Cache-Control": "no-store"},
    )


def _permitted(text: str) -> str:
    """Without the characters that an error_description may not have."""
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "'" for c in text)
