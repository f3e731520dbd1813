"""The cookie that binds a log-in at a provider to the browser that began it."""

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from litestar import Request
from litestar.datastructures import Cookie
from pegboard_sdk.http import Response

from pegboard.sso.flows import BEGUN_TTL, LINK_TTL

if TYPE_CHECKING:
    from pegboard.runtime import Runtime

__all__ = ("SsoCookie",)

_SECRET = re.compile(r"^[A-Za-z0-9_-]{43}$")


class SsoCookie:
    """It comes back with the provider's redirect, so it is `SameSite=Lax`; where a provider answers by a form of its
    own page, a browser sends it only with `None`, which needs https. It opens nothing by itself.
    """

    def __init__(self, runtime: "Runtime") -> None:
        self._secure = urlsplit(runtime.config.http.public_url).scheme == "https"
        self._name = "__Host-pegboard_sso" if self._secure else "pegboard_sso"

    def read(self, request: Request[Any, Any, Any]) -> str | None:
        """The browser's secret."""
        value = request.cookies.get(self._name, "")
        return value if _SECRET.fullmatch(value) else None

    def put(self, response: Response[Any], secret: str, *, cross_site: bool) -> None:
        """Give a browser its secret with `response`."""
        response.set_cookie(
            Cookie(
                key=self._name,
                value=secret,
                max_age=BEGUN_TTL + LINK_TTL,
                path="/",
                secure=self._secure,
                httponly=True,
                samesite="none" if cross_site and self._secure else "lax",
            )
        )
