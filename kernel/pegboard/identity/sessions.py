"""Opening, refreshing and ending sessions. One that a log-in began is a family of refresh tokens."""

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from pegboard_sdk.access import Principal
from pegboard_sdk.errors import DomainError

from pegboard.audit.writer import insert_entry
from pegboard.identity.devices import UNKNOWN, Device
from pegboard.identity.errors import RefreshTokenInvalid, RefreshTokenReused, SessionEnded
from pegboard.identity.permissions import SESSION_END
from pegboard.identity.refresh_tokens import RefreshTokens
from pegboard.identity.repository import IdentityRepository, RevokeReason
from pegboard.identity.schemas import TokenPair

if TYPE_CHECKING:
    from pegboard.runtime import Runtime
    from pegboard.work import SteppedWork, Work

__all__ = ("SESSION_OPEN", "OpenSession", "SessionService")

SESSION_OPEN = "account:session.open"


class OpenSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session and the refresh token that continues it."""

    session_id: UUID
    account_id: UUID
    tenant_id: UUID
    roles: list[str]
    refresh_token: str
    expires_in: int
    """Seconds until it ends unless it is refreshed."""
    authenticated_at: int
    """When its owner last proved who they are (Unix seconds)."""
    methods: list[str]


class SessionService:
    """The rules of sessions."""

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime
        self._config = runtime.config.auth
        self._authenticator = runtime.authenticator
        self._refresh_tokens = RefreshTokens(runtime.vault)

    async def open(
        self, work: "Work", account_id: UUID, *, methods: Sequence[str] = ("pwd",), device: Device = UNKNOWN
    ) -> OpenSession:
        """Open a session for an account, in the caller's transaction. Who that is was checked before, by `methods`."""
        repository = IdentityRepository(work)
        token = self._refresh_tokens.first()
        ttl = min(self._config.refresh_ttl, self._config.session_max_age)
        session = await repository.insert_session(account_id, ttl=ttl, device=device, methods=methods)
        session_id = session["id"]
        await repository.insert_token(session_id, self._refresh_tokens.digest(token), parent_id=None, ttl=ttl)
        actor = Principal(kind="account", tenant_id=work.tenant_id, account_id=account_id, session_id=session_id)
        await insert_entry(work, SESSION_OPEN, object_type="account", object_id=account_id, actor=actor)
        return OpenSession(
            session_id=session_id,
            account_id=account_id,
            tenant_id=work.tenant_id,
            roles=await repository.roles(account_id),
            refresh_token=token,
            expires_in=ttl,
            authenticated_at=session["authenticated_at"],
            methods=list(methods),
        )

    async def refresh(self, uow: "SteppedWork", token: str, *, device: Device = UNKNOWN) -> TokenPair:
        """Exchange a refresh token for its child and a new access token.

        The same token again gives the same child while that is unused, for `auth.refresh_grace` seconds: an answer may
        get lost, and two tabs may refresh at once. Any later use means that two parties hold the token, so the session
        ends (RFC 9700, 4.14.2).

        Raises:
            RefreshTokenInvalid: it is unknown, or older than `auth.refresh_ttl`.
            RefreshTokenReused: it was exchanged before; the session is ended now.
            SessionEnded: the session was ended or is older than `auth.session_max_age`, or the account is disabled.
        """
        async with uow.step() as work:
            outcome = await self._exchange(work, token, device)
        # Raised only now: the end of a session must be committed, not rolled back by its own error.
        if isinstance(outcome, DomainError):
            raise outcome
        return self.issue(outcome)

    async def log_out(self, work: "Work") -> None:
        """End the principal's session. Its writes are refused from the commit on, its reads within a second."""
        session_id = work.principal.session_id
        if session_id is not None:
            await self.revoke(work, "logout", session_id=session_id)

    async def revoke(
        self, work: "Work", reason: RevokeReason, *, session_id: UUID | None = None, account_id: UUID | None = None
    ) -> None:
        """End a session, or all of an account, in the caller's transaction."""
        revoked = await IdentityRepository(work).revoke(reason, session_id=session_id, account_id=account_id)
        for ended in revoked:
            await insert_entry(work, SESSION_END, object_type="session", object_id=ended, after={"reason": reason})

        async def tell() -> None:
            for ended in revoked:
                self._authenticator.revocations.add(ended)

        work.after_commit(tell)

    def issue(self, session: OpenSession) -> TokenPair:
        """The tokens of a session that was opened or refreshed. Call it after the commit."""
        tokens = self._authenticator.tokens
        return TokenPair(
            access_token=tokens.sign(
                account_id=session.account_id,
                tenant_id=session.tenant_id,
                session_id=session.session_id,
                roles=session.roles,
                authenticated_at=session.authenticated_at,
                methods=session.methods,
            ),
            refresh_token=session.refresh_token,
            expires_in=tokens.ttl,
            refresh_expires_in=session.expires_in,
        )

    async def _exchange(self, work: "Work", token: str, device: Device) -> OpenSession | DomainError:
        repository = IdentityRepository(work)
        digest = self._refresh_tokens.digest(token)
        session_id = await repository.lock_session_of(digest)
        if session_id is None:
            return RefreshTokenInvalid()
        state = await repository.refresh_state(digest, grace=self._config.refresh_grace)
        ttl = min(self._config.refresh_ttl, self._config.session_max_age - state["session_age"])
        if ttl <= 0 or not state["session_stands"] or state["status"] != "active":
            return SessionEnded()
        if not state["token_stands"]:
            return RefreshTokenInvalid()
        child = self._refresh_tokens.child(token)
        child_digest = self._refresh_tokens.digest(child)
        if not state["used"]:
            await repository.mark_used(state["token_id"])
            await repository.insert_token(session_id, child_digest, parent_id=state["token_id"], ttl=ttl)
            await repository.extend_session(session_id, ttl=ttl, device=device)
        elif not state["in_grace"] or state["child_used"]:
            await self.revoke(work, "reuse", session_id=session_id)
            return RefreshTokenReused()
        elif state["child"] != child_digest:
            return RefreshTokenInvalid()  # the master key was changed within the grace interval
        return OpenSession(
            session_id=session_id,
            account_id=state["account_id"],
            tenant_id=work.tenant_id,
            roles=await repository.roles(state["account_id"]),
            refresh_token=child,
            expires_in=ttl,
            authenticated_at=state["authenticated_at"],
            methods=state["methods"],
        )
