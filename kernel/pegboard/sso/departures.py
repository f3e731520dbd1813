"""Sending somebody to an identity provider."""

from typing import TYPE_CHECKING

import msgspec

from pegboard.sso.errors import ReturnNotAllowed
from pegboard.sso.flows import BEGUN_TTL, Flows
from pegboard.sso.presets import facts_of
from pegboard.sso.protocols import protocol_of
from pegboard.sso.providers import Providers
from pegboard.sso.state import FlowSecrets, new_secret

if TYPE_CHECKING:
    from pegboard.work import SteppedWork

__all__ = ("Departure", "depart")


class Departure(msgspec.Struct, frozen=True, kw_only=True):
    """Where to send the browser. `browser` goes into its cookie, unless an app asked; `cross_site` says that the
    provider sends it back by a form, with which a browser sends no other cookies.
    """

    authorization_url: str
    expires_in: int
    browser: str | None
    cross_site: bool


async def depart(
    uow: "SteppedWork",
    name: str,
    *,
    return_to: str,
    code_challenge: str | None,
    browser: str | None,
    callback: str,
    link: bool = False,
) -> Departure:
    """Begin a log-in by a provider, or, with `link`, link whom it proves to the account that is logged in.

    Who may have what comes of it: with `code_challenge` whoever has its verifier, as an app does; without, the browser
    with the cookie, which may have one (`browser`) already. `callback` is the address that the provider sends it to.

    Raises:
        ProviderUnknown: there is no such provider.
        ReturnNotAllowed: `return_to` is not on its list.
        ProviderAnswerInvalid, OutboundFailed: its addresses can't be found.
    """
    async with uow.step() as work:
        provider = await Providers(uow.runtime).find(work, name)
    if return_to not in provider.settings.return_to:
        raise ReturnNotAllowed
    secrets = FlowSecrets.new(uow.runtime.vault, uow.tenant_id)
    url = await protocol_of(uow.runtime, provider.settings).authorization_url(uow, provider, secrets, callback)
    if code_challenge is not None:
        browser = None
    elif browser is None:
        browser = new_secret()
    principal = uow.principal
    async with uow.step() as work:
        await Flows(work, uow.runtime.vault).begin(
            provider=name,
            state=secrets.state,
            browser=browser,
            code_challenge=code_challenge,
            return_to=return_to,
            redirect_uri=callback,
            account_id=principal.account_id if link else None,
            session_id=principal.session_id if link else None,
        )
    return Departure(
        authorization_url=url,
        expires_in=BEGUN_TTL,
        browser=browser,
        cross_site=facts_of(provider.settings).posts_answer,
    )
