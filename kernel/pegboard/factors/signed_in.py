"""The answer to who has answered a challenge: as to any sign-in, and with what a trusted device has to hold."""

import msgspec
from pegboard_sdk.http import Response

from pegboard.identity.schemas import BrowserSession, Challenge, TokenPair
from pegboard.identity.sessions import OpenSession
from pegboard.identity.signed_in import signed_in
from pegboard.web.cookies import SessionCookies
from pegboard.work import WorkContext

__all__ = ("answer_signed_in",)


def answer_signed_in(
    context: WorkContext, session: OpenSession, device: str | None, *, cookies: bool
) -> Response[TokenPair | BrowserSession | Challenge]:
    """Tokens, or `cookies` that hold them; `device`, if it is to be trusted, goes the same way."""
    response = signed_in(context, session, cookies=cookies)
    if device is not None and cookies:
        SessionCookies(context.runtime).put_device(response, device)
    elif device is not None and isinstance(response.content, TokenPair):
        response.content = msgspec.structs.replace(response.content, device_token=device)
    return response
