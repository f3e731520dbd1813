"""Which pages of other origins may read our answers (CORS; Fetch standard, 3.2)."""

from collections.abc import Sequence

from pegboard.web.cookies import CSRF_HEADER

__all__ = ("Cors",)

Headers = list[tuple[bytes, bytes]]

_METHODS = b"GET, POST, PUT, PATCH, DELETE"
_ALLOWED = f"Authorization, Content-Type, Idempotency-Key, If-Match, {CSRF_HEADER}, X-Tenant".encode()
_EXPOSED = (
    b"ETag, Idempotent-Replayed, Location, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, X-Request-Id"
)
_MAX_AGE = b"600"
_VARY = (b"vary", b"Origin")


class Cors:
    """`origins` are compared as they are written, whole. Only those that are named may send a session's cookies; `*`
    lets every page read what needs none.
    """

    def __init__(self, origins: Sequence[str]) -> None:
        self._any = "*" in origins
        self._answers = {
            origin.lower().encode(): _headers(origin.encode(), credentials=True) for origin in origins if origin != "*"
        }
        # A cache must not give one origin's answer to another. Where none is allowed, answers don't differ.
        self._others: Headers = _headers(b"*", credentials=False) if self._any else [_VARY] if origins else []
        self._preflight: Headers = [
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", _ALLOWED),
            (b"access-control-max-age", _MAX_AGE),
            (b"vary", b"Access-Control-Request-Method, Access-Control-Request-Headers"),
        ]

    def allows(self, origin: bytes) -> bool:
        """Whether pages of `origin` may read our answers."""
        return self._any or origin.lower() in self._answers

    def preflight(self, origin: bytes) -> Headers:
        """What the answer to a preflight has besides what every answer to `origin` has."""
        return self._preflight if self.allows(origin) else []

    def headers(self, origin: bytes | None) -> Headers:
        """What every answer has, to a request with this `Origin` or without one."""
        return self._others if origin is None else self._answers.get(origin.lower(), self._others)


def _headers(origin: bytes, *, credentials: bool) -> Headers:
    headers = [(b"access-control-allow-origin", origin), (b"access-control-expose-headers", _EXPOSED), _VARY]
    if credentials:
        headers.append((b"access-control-allow-credentials", b"true"))
    return headers
