"""A request's body has to come in time: whoever sends a byte a minute keeps a place that others need."""

import asyncio
from collections.abc import Mapping
from typing import Any

from litestar.types import Receive
from pegboard_sdk.errors import DomainError

__all__ = ("BodyTooSlow", "TimelyBody", "has_body")

MIN_RATE = 16_384
"""Bytes a second. What comes faster than this is never late, however large it is."""


class BodyTooSlow(DomainError):
    """The body did not come in time."""

    status = 408
    code = "body_too_slow"

    def __init__(self) -> None:
        super().__init__(
            "The body did not come in time: send it at once.",
            headers={"Connection": "close"},  # RFC 9110, 15.5.9
        )


def has_body(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request announces a body."""
    return headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers


class TimelyBody:
    """The `receive` of one request. The body may take `seconds`, and longer only as it keeps coming."""

    __slots__ = ("_deadline", "_ended", "_receive")

    def __init__(self, receive: Receive, seconds: float) -> None:
        self._receive = receive
        self._deadline = asyncio.get_running_loop().time() + seconds
        self._ended = False

    async def __call__(self) -> Any:
        if self._ended:
            return await self._receive()  # the end of the connection, for which a stream may wait long
        try:
            async with asyncio.timeout_at(self._deadline):
                message: Any = await self._receive()
        except TimeoutError as error:
            raise BodyTooSlow from error
        self._deadline += len(message.get("body", b"")) / MIN_RATE
        self._ended = not message.get("more_body", False)
        return message
