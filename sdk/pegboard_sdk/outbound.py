"""HTTP to other programs: `uow.outbound` of a stepped unit of work.

The kernel keeps the connections, checks the host against `capabilities.outbound_hosts` of the acting plugin's manifest,
refuses what leads into a private network, bounds time and size, passes the trace context on, counts, and puts each call
on record (method, address without query, status, time; never headers or bodies).
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import msgspec

from pegboard_sdk.errors import UpstreamFailed

__all__ = (
    "MAX_BYTES",
    "Outbound",
    "OutboundAddressInvalid",
    "OutboundFailed",
    "OutboundRefused",
    "OutboundResponse",
    "OutboundStream",
    "OutboundTimeout",
    "OutboundTooLarge",
)

MAX_BYTES = 8 * 1024 * 1024
"""How large an answer may be unless the call says otherwise."""


class OutboundFailed(UpstreamFailed):
    """The other program can't be reached, or broke off."""

    code = "outbound_failed"


class OutboundTimeout(OutboundFailed):
    """The other program took too long. Whether it did what it was asked is not known."""

    code = "outbound_timeout"


class OutboundRefused(OutboundFailed):
    """The address leads into the platform's own network, or to a port that is not for calls: nothing was sent.

    Only `[pegboard.outbound]` of the administrator's plugins.toml can allow it.
    """

    code = "outbound_refused"

    def __init__(self) -> None:
        super().__init__(
            "This address is not called: it leads into a private network, or to an unusual port. Only the platform's"
            " administrator can allow it."
        )


class OutboundTooLarge(OutboundFailed):
    """The other program's answer is larger than was allowed."""

    code = "outbound_too_large"


class OutboundAddressInvalid(ValueError):
    """The address is no absolute http or https URL, or holds a user name or password."""


class OutboundResponse(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer, whatever its status: a redirect is an answer too, nobody follows it. Header names are lower
    case.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class OutboundStream(Protocol):
    """An answer whose body comes in pieces."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers; names are lower case."""
        ...

    def pieces(self) -> AsyncGenerator[bytes]:
        """The body as it comes, once. Close it (`aclosing`) where you may stop amid it.

        Raises:
            OutboundFailed, OutboundTimeout, OutboundTooLarge: amid the body.
        """
        ...


class Outbound(Protocol):
    """The handle. It is refused while a step is open: no call out inside a transaction."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        json: Any = None,
        timeout: float = 30.0,  # noqa: ASYNC109  # whoever only calls need not know asyncio
        max_bytes: int = MAX_BYTES,
    ) -> OutboundResponse:
        """Send a request and read the whole answer. `json` is anything that msgspec encodes, in place of `body`;
        `timeout` in seconds is for all of it.

        Raises:
            CapabilityDenied: the manifest does not list the host.
            OutboundAddressInvalid: `url` is no address to call.
            OutboundFailed, OutboundTimeout, OutboundTooLarge: see each.
        """
        ...

    def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        json: Any = None,
        timeout: float = 30.0,
        max_bytes: int = MAX_BYTES,
    ) -> AbstractAsyncContextManager[OutboundStream]:
        """As `request`, for an answer that is read in pieces; `timeout` in seconds is for its head, and for each piece.
        Leaving the block hangs up.
        """
        ...
