"""Providers that speak OpenID Connect: where to send somebody, and what their answer proves."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from pegboard.sso.claims import checked_email, texts_of
from pegboard.sso.client_secrets import client_proof
from pegboard.sso.errors import ProviderAnswerInvalid
from pegboard.sso.id_tokens import verify_id_token
from pegboard.sso.issuers import Issuers, fetch_json
from pegboard.sso.presets import facts_of, issuer_of, scopes_of
from pegboard.sso.proof import Proof
from pegboard.sso.state import FlowSecrets

if TYPE_CHECKING:
    from pegboard.sso.flows import ClaimedFlow
    from pegboard.sso.providers import Provider
    from pegboard.work import SteppedWork

__all__ = ("OpenIdConnect",)


class OpenIdConnect:
    """The authorization code flow with PKCE and a nonce."""

    def __init__(self, issuers: Issuers) -> None:
        self._issuers = issuers

    async def authorization_url(
        self, uow: "SteppedWork", provider: "Provider", secrets: FlowSecrets, redirect_uri: str
    ) -> str:
        """Where to send the browser.

        Raises:
            ProviderAnswerInvalid, OutboundFailed: its discovery document can't be had or is not right.
        """
        settings = provider.settings
        metadata = await self._issuers.metadata(uow, issuer_of(settings))
        parameters = {
            "response_type": "code",
            "client_id": settings.client_id,
            "redirect_uri": redirect_uri,
            "scope": scopes_of(settings),
            "state": secrets.state,
            "nonce": secrets.nonce,
            "code_challenge": secrets.challenge,
            "code_challenge_method": "S256",
        }
        if facts_of(settings).posts_answer:
            parameters["response_mode"] = "form_post"
        separator = "&" if "?" in metadata.authorization_endpoint else "?"
        return f"{metadata.authorization_endpoint}{separator}{urlencode(parameters)}"

    async def check_issuer(self, uow: "SteppedWork", provider: "Provider", named: str | None) -> None:
        """Refuse an answer that comes from another issuer than was asked (RFC 9207: mix-up).

        Raises:
            ProviderAnswerInvalid: it names another, or none where the issuer always names itself.
        """
        issuer = issuer_of(provider.settings)
        if named is None:
            metadata = await self._issuers.metadata(uow, issuer)
            if metadata.authorization_response_iss_parameter_supported:
                raise ProviderAnswerInvalid("iss is missing")
        elif named != issuer:
            raise ProviderAnswerInvalid("iss of another issuer")

    async def redeem(
        self,
        uow: "SteppedWork",
        provider: "Provider",
        flow: "ClaimedFlow",
        secrets: FlowSecrets,
        *,
        code: str,
        extra: Mapping[str, str],
    ) -> Proof:
        """Exchange a code for what it proves. `extra` is what else came back, such as Apple's `user`.

        Raises:
            ProviderAnswerInvalid, OutboundFailed: it proves nothing; `reason` says why.
        """
        settings = provider.settings
        issuer, facts = issuer_of(settings), facts_of(settings)
        metadata = await self._issuers.metadata(uow, issuer)
        proof, authorization = client_proof(settings, provider.secret, metadata.token_endpoint_auth_methods_supported)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": flow.redirect_uri,
            "code_verifier": secrets.verifier,
            **proof,
        }
        answer = await fetch_json(
            uow, metadata.token_endpoint, form=urlencode(form).encode(), authorization=authorization
        )
        id_token = answer.get("id_token") if isinstance(answer, dict) else None
        if not isinstance(id_token, str):
            raise ProviderAnswerInvalid("no id_token")
        access_token = answer.get("access_token")
        access_token = access_token if isinstance(access_token, str) else None
        claims = await verify_id_token(
            uow,
            self._issuers,
            id_token,
            issuer=issuer,
            client_id=settings.client_id,
            nonce=secrets.nonce,
            nonce_optional=not facts.returns_nonce,
            begun_at=flow.begun_at,
            access_token=access_token,
        )
        wanted = {"email"} | ({settings.role_claim} if settings.role_map else set())
        if metadata.userinfo_endpoint is not None and access_token is not None and wanted - claims.keys():
            claims = await _with_userinfo(uow, metadata.userinfo_endpoint, access_token, claims)
        return Proof(
            issuer=issuer,
            subject=claims["sub"],
            email=checked_email(claims.get("email"), claims.get("email_verified")),
            name=_name(claims, extra),
            groups=texts_of(claims.get(settings.role_claim)),
            methods=texts_of(claims.get("amr")),
            level=next(iter(texts_of(claims.get("acr"))), ""),
        )


async def _with_userinfo(uow: "SteppedWork", address: str, access_token: str, claims: dict[str, Any]) -> dict[str, Any]:
    """The claims, and what is missing in them from the UserInfo endpoint, which must tell of the same subject
    (OpenID Connect Core 1.0, 5.3.2). What is in the ID token wins: it is signed.
    """
    more = await fetch_json(uow, address, token=access_token)
    if not isinstance(more, dict) or more.get("sub") != claims["sub"]:
        raise ProviderAnswerInvalid("userinfo: sub")
    if "email" in claims:  # the address and whether it was checked belong together
        more.pop("email_verified", None)
    return more | claims


def _name(claims: Mapping[str, Any], extra: Mapping[str, str]) -> str:
    """What somebody is called. It proves nothing."""
    name = claims.get("name") or extra.get("name") or ""
    return name if isinstance(name, str) else ""
