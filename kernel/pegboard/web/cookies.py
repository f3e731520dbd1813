"""Sessions of browsers: tokens in cookies that scripts can't read, and the proof that our own pages send them.

A browser sends its cookies with every request to us, whoever's page made it. Three things stand against that, each by
itself enough: the cookies are `SameSite=Strict`; what the browser says of the request's origin (`Sec-Fetch-Site`,
`Origin`) must be ours or on the list; and a write must repeat, in the header `X-CSRF-Token`, a value that is bound to
the session and that only our pages can read.
"""

import hmac
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import UUID

from litestar.datastructures import Cookie
from pegboard_sdk.http import Response

from pegboard.identity.errors import CsrfRefused
from pegboard.identity.schemas import TokenPair

if TYPE_CHECKING:
    from pegboard.runtime import Runtime
    from pegboard.web.exchange import Exchange

__all__ = ("CSRF_HEADER", "SessionCookies")

CSRF_HEADER = "X-CSRF-Token"
_OWN = ("same-origin", "none")


class SessionCookies:
    """Reads, writes and checks them. Their names begin with `__Host-` where `http.public_url` is https: then no other
    host and no unencrypted page can set them.
    """

    def __init__(self, runtime: "Runtime") -> None:
        config = runtime.config
        self._vault = runtime.vault
        self._access_ttl = config.auth.access_ttl
        self._device_ttl = config.auth.trusted_device_days * 86_400
        public = urlsplit(config.http.public_url)
        self._secure = public.scheme == "https"
        self._own = f"{public.scheme}://{public.netloc}" if public.netloc else ""
        self._allowed = frozenset(origin for origin in config.http.allowed_origins if origin != "*")
        prefix = "__Host-" if self._secure else ""
        self._access = f"{prefix}pegboard_access"
        self._refresh = f"{prefix}pegboard_refresh"
        self._csrf = f"{prefix}pegboard_csrf"
        self._device = f"{prefix}pegboard_device"

    def access_token(self, exchange: "Exchange") -> str | None:
        """The access token that came as a cookie."""
        return _cookie(exchange, self._access)

    def refresh_token(self, exchange: "Exchange") -> str | None:
        """The refresh token that came as a cookie."""
        return _cookie(exchange, self._refresh)

    def device_token(self, exchange: "Exchange") -> str | None:
        """What proves that the browser's owner trusts it. It stays when they log out."""
        return _cookie(exchange, self._device)

    def csrf_token(self, session_id: UUID) -> str:
        """What a session's writes have to repeat."""
        return self._vault.derive("identity.csrf", session_id.bytes).hex()

    def check_write(self, exchange: "Exchange", session_id: UUID | None) -> None:
        """Refuse a write that our own pages didn't send.

        Raises:
            CsrfRefused: the origin is another's, or the header is not the session's.
        """
        self.check_origin(exchange)
        sent = exchange.headers.get(b"x-csrf-token", b"")
        if session_id is None or not hmac.compare_digest(sent, self.csrf_token(session_id).encode()):
            raise CsrfRefused(
                f"Send the value of the cookie {self._csrf} in the header {CSRF_HEADER}: a write with cookies needs it."
            )

    def check_refresh(self, exchange: "Exchange") -> None:
        """As `check_write`, before it is known which session a refresh token is of: cookie and header must agree.

        Raises:
            CsrfRefused: they don't, or the origin is another's.
        """
        self.check_origin(exchange)
        sent, kept = exchange.headers.get(b"x-csrf-token", b""), _cookie(exchange, self._csrf) or ""
        if not kept or not hmac.compare_digest(sent, kept.encode()):
            raise CsrfRefused(f"Send the value of the cookie {self._csrf} in the header {CSRF_HEADER}.")

    def check_origin(self, exchange: "Exchange") -> None:
        """Refuse what a page that is not ours, nor in `http.allowed_origins`, made the browser send.

        A program that is no browser says nothing of an origin, and nobody makes it send cookies.

        Raises:
            CsrfRefused: it is another's page.
        """
        site = exchange.headers.get(b"sec-fetch-site", b"").decode("latin-1").lower()
        origin = exchange.headers.get(b"origin", b"").decode("latin-1")
        if site in _OWN or origin in self._allowed or (not site and not origin):
            return
        host = exchange.headers.get(b"host", b"").decode("latin-1")
        own = (self._own,) if self._own else (f"http://{host}", f"https://{host}")
        if origin not in own:
            raise CsrfRefused("This page's origin is not in http.allowed_origins: it can't use the session's cookies.")

    def put(self, response: Response[Any], pair: TokenPair, session_id: UUID) -> None:
        """Give a browser its tokens with `response`."""
        lives = pair.refresh_expires_in
        self.put_access(response, pair.access_token)
        response.set_cookie(self._cookie(self._refresh, pair.refresh_token, max_age=lives))
        response.set_cookie(self._cookie(self._csrf, self.csrf_token(session_id), max_age=lives, readable=True))

    def put_access(self, response: Response[Any], token: str) -> None:
        """Give a browser another access token with `response`."""
        response.set_cookie(self._cookie(self._access, token, max_age=self._access_ttl))

    def put_device(self, response: Response[Any], token: str) -> None:
        """Have a browser hold what proves that its owner trusts it."""
        response.set_cookie(self._cookie(self._device, token, max_age=self._device_ttl))

    def clear(self, response: Response[Any]) -> None:
        """Have the browser forget its tokens."""
        for name in (self._access, self._refresh, self._csrf):
            response.set_cookie(self._cookie(name, "", max_age=0, readable=name == self._csrf))

    def _cookie(self, name: str, value: str, *, max_age: int, readable: bool = False) -> Cookie:
        return Cookie(
            key=name,
            value=value,
            max_age=max_age,
            path="/",
            secure=self._secure,
            httponly=not readable,
            samesite="strict",
        )


def _cookie(exchange: "Exchange", wanted: str) -> str | None:
    """A cookie by name. Over HTTP/2 a browser may send several `Cookie` headers (RFC 9113, 8.2.3)."""
    if b"cookie" not in exchange.headers:
        return None
    return next((value for name, value in _cookies(exchange) if name == wanted), None)


def _cookies(exchange: "Exchange") -> Iterator[tuple[str, str]]:
    for header, text in exchange.scope["headers"]:
        if header == b"cookie":
            for pair in text.decode("latin-1").split(";"):
                name, _, value = pair.strip().partition("=")
                yield name, value
