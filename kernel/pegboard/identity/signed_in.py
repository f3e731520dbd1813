"""How a client is told what a sign-in gave: in the answer, or, where a browser asks for it, in cookies."""

from typing import Any

from litestar import Request
from pegboard_sdk.http import EXCHANGE, Response

from pegboard.identity.errors import RefreshTokenInvalid
from pegboard.identity.schemas import BrowserSession, Challenge, FreshToken, TokenPair
from pegboard.identity.sessions import OpenSession, ProvenSession, SessionService
from pegboard.web.cookies import SessionCookies
from pegboard.web.exchange import Exchange
from pegboard.work import WorkContext

__all__ = ("NO_STORE", "fresh_token", "logged_out", "refresh_cookie", "require_own_page", "signed_in")

NO_STORE = {"Cache-Control": "no-store"}
"""Tokens must not stay in a cache (RFC 6749, 5.1)."""


def require_own_page(context: WorkContext, request: Request[Any, Any, Any]) -> None:
    """Refuse to give cookies to a page that is not ours: it could log its visitors in as somebody else. Call it before
    a sign-in that `signed_in` answers with cookies.

    Raises:
        CsrfRefused: the page is another's.
    """
    SessionCookies(context.runtime).check_origin(_exchange(request))


def refresh_cookie(context: WorkContext, request: Request[Any, Any, Any]) -> str:
    """The refresh token that a browser has in its cookie.

    Raises:
        RefreshTokenInvalid: it has none.
        CsrfRefused: another's page made it send the cookie.
    """
    jar, exchange = SessionCookies(context.runtime), _exchange(request)
    token = jar.refresh_token(exchange)
    if token is None:
        raise RefreshTokenInvalid
    jar.check_refresh(exchange)
    return token


def logged_out(context: WorkContext, request: Request[Any, Any, Any]) -> Response[None]:
    """The answer to a log-out: a browser forgets its cookies."""
    response: Response[None] = Response(None, status_code=204)
    if _exchange(request).by_cookie:
        SessionCookies(context.runtime).clear(response)
    return response


def signed_in(
    context: WorkContext, outcome: OpenSession | Challenge, *, cookies: bool = False
) -> Response[TokenPair | BrowserSession | Challenge]:
    """The answer to a sign-in: 200 with tokens, or with `cookies` that hold them, or 202 with a challenge. Call it
    after the commit.

    Every route that ends in `after_first_factor`, or that answers its challenge, answers by this.
    """
    if isinstance(outcome, Challenge):
        return Response(outcome, status_code=202, headers=NO_STORE)
    pair = SessionService(context.runtime).issue(outcome)
    if not cookies:
        return Response(pair, status_code=200, headers=NO_STORE)
    jar = SessionCookies(context.runtime)
    session = BrowserSession(
        csrf_token=jar.csrf_token(outcome.session_id),
        expires_in=pair.expires_in,
        refresh_expires_in=pair.refresh_expires_in,
    )
    response: Response[TokenPair | BrowserSession | Challenge] = Response(session, status_code=200, headers=NO_STORE)
    jar.put(response, pair, outcome.session_id)
    return response


def fresh_token(
    context: WorkContext, request: Request[Any, Any, Any], outcome: ProvenSession | Challenge
) -> Response[FreshToken | Challenge]:
    """The answer to a step-up: 200 with an access token (as a cookie where the session is in cookies), or 202 with a
    challenge. Call it after the commit.
    """
    if isinstance(outcome, Challenge):
        return Response(outcome, status_code=202, headers=NO_STORE)
    token, lives = SessionService(context.runtime).sign(outcome), context.runtime.config.auth.access_ttl
    if not _exchange(request).by_cookie:
        return Response(FreshToken(access_token=token, expires_in=lives), status_code=200, headers=NO_STORE)
    response: Response[FreshToken | Challenge] = Response(
        FreshToken(expires_in=lives), status_code=200, headers=NO_STORE
    )
    SessionCookies(context.runtime).put_access(response, token)
    return response


def _exchange(request: Request[Any, Any, Any]) -> Exchange:
    return request.scope[EXCHANGE]  # type: ignore[literal-required]  # the kernel's own key
