"""GitHub: OAuth 2 and no more, so who somebody is, and which address is theirs, its API says.

docs.github.com, "Authorizing OAuth apps" and "REST API endpoints for emails". GitHub Enterprise Server has its API
under `/api/v3` of its own host.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec

from pegboard.sso.claims import checked_email
from pegboard.sso.errors import ProviderAnswerInvalid
from pegboard.sso.issuers import fetch_json
from pegboard.sso.presets import issuer_of, scopes_of
from pegboard.sso.proof import Proof
from pegboard.sso.state import FlowSecrets

if TYPE_CHECKING:
    from pegboard.sso.flows import ClaimedFlow
    from pegboard.sso.providers import Provider
    from pegboard.work import SteppedWork

__all__ = ("GitHub",)

_PUBLIC = "https://github.com"


class _User(msgspec.Struct, frozen=True):
    id: int
    login: str = ""
    name: str | None = None


class _Email(msgspec.Struct, frozen=True):
    email: str
    primary: bool = False
    verified: bool = False


class GitHub:
    """The web application flow, with PKCE."""

    async def authorization_url(
        self, _uow: "SteppedWork", provider: "Provider", secrets: FlowSecrets, redirect_uri: str
    ) -> str:
        """Where to send the browser."""
        parameters = {
            "client_id": provider.settings.client_id,
            "redirect_uri": redirect_uri,
            "scope": scopes_of(provider.settings),
            "state": secrets.state,
            "code_challenge": secrets.challenge,
            "code_challenge_method": "S256",
        }
        return f"{issuer_of(provider.settings)}/login/oauth/authorize?{urlencode(parameters)}"

    async def check_issuer(self, _uow: "SteppedWork", provider: "Provider", named: str | None) -> None:
        """Refuse an answer that names another issuer.

        Raises:
            ProviderAnswerInvalid: it does.
        """
        if named is not None and named.rstrip("/") not in (
            issuer_of(provider.settings),
            f"{issuer_of(provider.settings)}/login/oauth",
        ):
            raise ProviderAnswerInvalid("iss of another issuer")

    async def redeem(
        self,
        uow: "SteppedWork",
        provider: "Provider",
        flow: "ClaimedFlow",
        secrets: FlowSecrets,
        *,
        code: str,
        extra: Mapping[str, str],  # GitHub sends nothing else
    ) -> Proof:
        """Exchange a code for a token, and ask who it is of. The token is forgotten.

        Raises:
            ProviderAnswerInvalid, OutboundFailed: it proves nothing; `reason` says why.
        """
        issuer = issuer_of(provider.settings)
        form = {
            "client_id": provider.settings.client_id,
            "client_secret": provider.secret.reveal(),
            "code": code,
            "redirect_uri": flow.redirect_uri,
            "code_verifier": secrets.verifier,
        }
        # A refused code is answered with 200 too, and an `error`.
        answer = await fetch_json(uow, f"{issuer}/login/oauth/access_token", form=urlencode(form).encode())
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(token, str):
            raise ProviderAnswerInvalid("no access_token")
        api = "https://api.github.com" if issuer == _PUBLIC else f"{issuer}/api/v3"
        user = _read(await fetch_json(uow, f"{api}/user", token=token), _User)
        emails = _read(await fetch_json(uow, f"{api}/user/emails", token=token), list[_Email])
        primary = next((email for email in emails if email.primary and email.verified), None)
        # The number stays when the login is given to somebody else.
        return Proof(
            issuer=issuer,
            subject=str(user.id),
            email=None if primary is None else checked_email(primary.email, True),  # as a claim has it
            name=user.name or user.login,
        )


def _read(document: Any, type: Any) -> Any:
    try:
        return msgspec.convert(document, type)
    except msgspec.ValidationError as error:
        raise ProviderAnswerInvalid("user") from error
