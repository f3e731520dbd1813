"""Which methods a path takes (RFC 9110, 10.2.1): for the answers to OPTIONS and to methods that it does not take."""

from litestar import Request
from litestar.exceptions import HTTPException
from litestar.types import Scope

__all__ = ("allowed_methods",)

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def allowed_methods(scope: Scope) -> str:
    """The value of `Allow` for the path that was asked for. What takes GET takes HEAD, and all take OPTIONS."""
    router = Request(scope).app.asgi_router
    allowed: list[str] = []
    for method in METHODS:
        try:
            router.handle_routing(path=scope["path"].rstrip("/") or "/", method=method)
        except HTTPException:
            continue  # how Litestar says that the path does not take it
        allowed += ["GET", "HEAD"] if method == "GET" else [method]
    return ", ".join((*allowed, "OPTIONS"))
