"""Where providers send people back to."""

from typing import TYPE_CHECKING, Any

from litestar import Request

if TYPE_CHECKING:
    from pegboard.runtime import Runtime

__all__ = ("callback_url",)


def callback_url(runtime: "Runtime", request: Request[Any, Any, Any], provider: str) -> str:
    """The address that a provider must know: at `http.public_url`, or, on one's own machine, where the request went.

    Who makes up a `Host` sends only themselves astray: a provider goes back to no address that it wasn't told.
    """
    base = runtime.config.http.public_url.rstrip("/") or f"{request.url.scheme}://{request.url.netloc}"
    return f"{base}/api/v1/auth/providers/{provider}/callback"
