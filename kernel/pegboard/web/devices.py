"""Which device a request comes from."""

from typing import Any

from litestar import Request
from pegboard_sdk.http import EXCHANGE
from pegboard_sdk.settings import Secret

from pegboard.identity.devices import Device
from pegboard.web.cookies import SessionCookies
from pegboard.web.exchange import Exchange

__all__ = ("device_of",)

_USER_AGENT_MAX = 300


def device_of(request: Request[Any, Any, Any]) -> Device:
    """The address and the program that `request` comes from, as a session remembers them."""
    exchange: Exchange = request.scope[EXCHANGE]  # type: ignore[literal-required]  # the kernel's own key
    agent = exchange.headers.get(b"user-agent", b"").decode("latin-1")
    printable = "".join(character for character in agent if character.isprintable())
    token = SessionCookies(exchange.runtime).device_token(exchange) or ""
    return Device(ip=exchange.ip, user_agent=printable[:_USER_AGENT_MAX], token=Secret(token))
