"""Access tokens for OAuth clients: given for their credentials (OAuth 2.1, 4.2), revoked (RFC 7009) and looked into
(RFC 7662).
"""

from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from pegboard_sdk.access import Principal
from pegboard_sdk.errors import Unauthorized

from pegboard.audit.writer import insert_entry, record_refusal
from pegboard.identity.repository import IdentityRepository
from pegboard.identity.sessions import SessionService
from pegboard.identity.tokens import AUDIENCE, MAX_LENGTH, AccessToken
from pegboard.machines.client_authentication import ClientForm, authenticate_client, read_proof
from pegboard.machines.oauth_errors import InvalidClient, InvalidScope, UnauthorizedClient, UnsupportedGrantType
from pegboard.machines.oauth_schemas import ClientToken, Introspection, TokenForm, TokenQuestion
from pegboard.machines.permissions import TOKEN_INTROSPECT
from pegboard.machines.repository import CredentialRepository

if TYPE_CHECKING:
    from pegboard_sdk.work import Record

    from pegboard.runtime import Runtime
    from pegboard.work import SteppedWork, Work

__all__ = ("TOKEN_ISSUE", "TOKEN_REVOKE", "OAuthService")

TOKEN_ISSUE = "account:token.issue"  # noqa: S105  # what is audited
TOKEN_REVOKE = "account:token.revoke"  # noqa: S105
_MAX_TOKENS = 120
"""Tokens a minute that one client gets: each is good for minutes, so more is a mistake of its own."""


class _Issued(msgspec.Struct, frozen=True, kw_only=True):
    session_id: UUID
    account_id: UUID
    roles: list[str]
    scope: str
    ttl: int


class OAuthService:
    """The rules of clients' tokens. Clients are of the tenant that the request is for."""

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime
        self._tokens = runtime.authenticator.tokens

    async def issue(self, uow: "SteppedWork", form: TokenForm, authorization: str | None, *, ip: str) -> ClientToken:
        """An access token for the client, with the scopes that it asks for, else with all of its credential's.

        Raises:
            InvalidRequest, InvalidClient: the client does not prove who it is.
            UnsupportedGrantType: it asks for something else.
            InvalidScope: it asks for a scope that its credential doesn't have.
            TooManyRequests: it asks too often.
        """
        if form.grant_type != "client_credentials":
            raise UnsupportedGrantType
        proof = read_proof(form, authorization)
        try:
            async with uow.step() as work:
                credential = await authenticate_client(work, proof)
                self._runtime.limiter.check(f"client:{credential['account_id']}", _MAX_TOKENS)
                issued = await self._issue(work, credential, form.scope, ip)
        except InvalidClient:
            await self._refused(uow, TOKEN_ISSUE, proof.client_id)
            raise
        token = self._tokens.sign(
            account_id=issued.account_id,
            tenant_id=uow.tenant_id,
            session_id=issued.session_id,
            roles=issued.roles,
            scope=issued.scope,
            ttl=issued.ttl,
        )
        return ClientToken(access_token=token, expires_in=issued.ttl, scope=issued.scope)

    async def revoke(self, uow: "SteppedWork", form: TokenQuestion, authorization: str | None) -> None:
        """End an access token of the client's own. One that is unknown, or has ended, is as good as ended.

        Raises:
            InvalidRequest, InvalidClient: the client does not prove who it is.
            UnauthorizedClient: the token is another's.
        """
        client = await self._authenticated(uow, form, authorization, TOKEN_REVOKE)
        try:
            access = await self._tokens.verify(form.token)
        except Unauthorized:
            return
        if access.client_id != client["account_id"] or access.tid != uow.tenant_id:
            raise UnauthorizedClient("A client ends its own tokens only.")
        async with uow.step() as work:
            actor = Principal(kind="account", tenant_id=uow.tenant_id, account_id=access.sub, session_id=client["id"])
            await insert_entry(work, TOKEN_REVOKE, object_type="session", object_id=access.sid, actor=actor)
            await SessionService(self._runtime).revoke(work, "owner", session_id=access.sid)

    async def introspect(self, uow: "SteppedWork", form: TokenQuestion, authorization: str | None) -> Introspection:
        """What a token of the tenant stands for now: an access token, a person's or a client's, or an API key.

        Raises:
            InvalidRequest, InvalidClient: the client does not prove who it is.
            UnauthorizedClient: it lacks the permission, or the scope, to look into tokens.
        """
        client = await self._authenticated(uow, form, authorization, TOKEN_INTROSPECT)
        authenticator, registry = self._runtime.authenticator, uow.registry
        async with uow.step() as work:
            roles = frozenset(await IdentityRepository(work).roles(client["account_id"]))
        held = authenticator.permissions(uow.tenant_id, roles, registry)
        if TOKEN_INTROSPECT not in client["scopes"] or TOKEN_INTROSPECT not in held:
            raise UnauthorizedClient(f"This needs the scope {TOKEN_INTROSPECT}, and a role that grants it.")
        try:
            principal = await authenticator.principal(form.token, registry)
            key = authenticator.machines.is_key(form.token)
            access = await (authenticator.machines.of_key if key else self._tokens.verify)(form.token)
        except Unauthorized:
            return Introspection(active=False)
        if principal.tenant_id != uow.tenant_id:
            return Introspection(active=False)
        return _shown(access, self._tokens.issuer)

    async def _issue(self, work: "Work", credential: "Record", asked: str, ip: str) -> _Issued:
        scopes = asked.split() or credential["scopes"]
        excess = sorted(set(scopes) - set(credential["scopes"]))
        if excess:
            raise InvalidScope(f"The client's credential does not have {', '.join(excess[:5])}.")
        scope = " ".join(sorted(set(scopes)))
        if len(scope) > MAX_LENGTH // 2:
            raise InvalidScope("A token with so many scopes would be too long: ask for those that you need.")
        account_id: UUID = credential["account_id"]
        ttl = max(1, min(self._tokens.ttl, credential["left"]))
        session_id = await CredentialRepository(work).insert_token(account_id, credential["id"], ttl=ttl, ip=ip)
        actor = Principal(kind="account", tenant_id=work.tenant_id, account_id=account_id, session_id=credential["id"])
        await insert_entry(
            work,
            TOKEN_ISSUE,
            object_type="credential",
            object_id=credential["id"],
            after={"session": str(session_id), "scopes": scope.split(), "expires_in": ttl},
            actor=actor,
        )
        roles = await IdentityRepository(work).roles(account_id)
        return _Issued(session_id=session_id, account_id=account_id, roles=roles, scope=scope, ttl=ttl)

    async def _authenticated(
        self, uow: "SteppedWork", form: ClientForm, authorization: str | None, action: str
    ) -> "Record":
        proof = read_proof(form, authorization)
        try:
            async with uow.step() as work:
                return await authenticate_client(work, proof)
        except InvalidClient:
            await self._refused(uow, action, proof.client_id)
            raise

    async def _refused(self, uow: "SteppedWork", action: str, client_id: UUID) -> None:
        await record_refusal(
            self._runtime,
            uow.principal,
            action,
            "bad client credentials",
            uow.request_id,
            object_type="account",
            object_id=client_id,
        )


def _shown(access: AccessToken, issuer: str) -> Introspection:
    return Introspection(
        active=True,
        scope=msgspec.UNSET if access.scope is None else access.scope,
        client_id=msgspec.UNSET if access.client_id is None else access.client_id,
        token_type="Bearer",  # pragma: allowlist secret  # noqa: S106  # RFC 6750's name of the kind
        sub=access.sub,
        iss=issuer,
        aud=AUDIENCE,
        iat=access.iat,
        exp=access.exp,
    )
