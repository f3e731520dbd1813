"""Somebody comes back from an identity provider."""

import hmac
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import msgspec
import structlog
from pegboard_sdk.errors import DomainError

from pegboard.audit.writer import record_refusal
from pegboard.identity.sessions import SESSION_OPEN
from pegboard.sso.errors import ProviderAnswerInvalid, ProviderRefused, SsoStateInvalid
from pegboard.sso.flows import ClaimedFlow, Flows
from pegboard.sso.proof import Proof
from pegboard.sso.protocols import protocol_of
from pegboard.sso.providers import Providers
from pegboard.sso.state import FlowSecrets, digest, new_secret

if TYPE_CHECKING:
    from pegboard.work import SteppedWork

__all__ = ("Answer", "arrive")

log = structlog.get_logger("pegboard.sso")


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider sent the browser back with. `browser` is the secret of its cookie, `name` what Apple calls the
    person, the first time.
    """

    state: str
    code: str = ""
    error: str = ""
    issuer: str | None = None
    browser: str | None = None
    name: str = ""


async def arrive(uow: "SteppedWork", provider: str, answer: Answer) -> str:
    """The address to send the browser on to: the log-in's `return_to` with a `code` that is good for one exchange, or
    with an `error`. No token travels in an address.

    Raises:
        SsoStateInvalid: the answer belongs to no log-in that waits, so there is nowhere to send it to.
    """
    async with uow.step() as work:
        flow = await Flows(work, uow.runtime.vault).claim(answer.state, provider=provider)
    if flow is None or not _same_browser(flow, answer.browser):
        await _refused(uow, provider, "sso: state")
        raise SsoStateInvalid
    try:
        proof = await _prove(uow, flow, answer)
    except DomainError as error:
        reason = error.reason if isinstance(error, ProviderAnswerInvalid | ProviderRefused) else error.code
        log.warning("sso.refused", provider=provider, reason=reason, request_id=uow.request_id)
        await _refused(uow, provider, f"sso: {reason}")
        return _address(flow, error=error.code)
    code = new_secret()
    async with uow.step() as work:
        await Flows(work, uow.runtime.vault).prove(flow.id, proof, code)
    return _address(flow, code=code)


async def _prove(uow: "SteppedWork", flow: ClaimedFlow, answer: Answer) -> Proof:
    async with uow.step() as work:
        provider = await Providers(uow.runtime).find(work, flow.provider)
    protocol = protocol_of(uow.runtime, provider.settings)
    await protocol.check_issuer(uow, provider, answer.issuer)
    if answer.error or not answer.code:
        raise ProviderRefused("the provider said no" if answer.error else "no code")
    secrets = FlowSecrets.of(uow.runtime.vault, answer.state)
    extra: Mapping[str, str] = {"name": answer.name}
    return await protocol.redeem(uow, provider, flow, secrets, code=answer.code, extra=extra)


def _same_browser(flow: ClaimedFlow, browser: str | None) -> bool:
    """An app's log-in goes through a browser that the app knows nothing of; its verifier binds what comes of it."""
    if flow.browser_digest is None:
        return True
    return browser is not None and hmac.compare_digest(digest(browser), flow.browser_digest)


async def _refused(uow: "SteppedWork", provider: str, reason: str) -> None:
    await record_refusal(
        uow.runtime,
        uow.principal,
        SESSION_OPEN,
        reason,
        uow.request_id,
        object_type="provider",
        object_id=provider,
    )


def _address(flow: ClaimedFlow, **parameters: str) -> str:
    return f"{flow.return_to}?{urlencode({**parameters, 'provider': flow.provider})}"
