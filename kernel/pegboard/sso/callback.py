"""Where providers send people back to."""

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from litestar import Request

from pegboard.tenancy.hosts import host_of_request

if TYPE_CHECKING:
    from pegboard.runtime import Runtime

__all__ = ("callback_at", "callback_url")


def callback_url(runtime: "Runtime", request: Request[Any, Any, Any], provider: str) -> str:
    """The address that a provider must know: at the tenant's own host name where the request came by it, else at
    `http.public_url`, or, on one's own machine, where the request went.

    Who makes up a `Host` sends only themselves astray: a provider goes back to no address that it wasn't told.
    """
    public, here = runtime.config.http.public_url.rstrip("/"), request.url
    if public and host_of_request(request.scope["headers"]) in runtime.authenticator.tenants.hosts:
        base = f"{urlsplit(public).scheme}://{here.netloc}"
    else:
        base = public or f"{here.scheme}://{here.netloc}"
    return callback_at(base, provider)


def callback_at(base: str, provider: str) -> str:
    """The same, for who knows where people reach the platform."""
    return f"{base}/api/v1/auth/providers/{provider}/callback"
