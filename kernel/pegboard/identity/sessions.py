"""Opening, refreshing and ending sessions. One that a log-in began is a family of refresh tokens."""

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from pegboard_sdk.access import Principal
from pegboard_sdk.errors import DomainError, Forbidden, NotFound
from pegboard_sdk.pagination import Page, decode_cursor, encode_cursor

from pegboard.audit.writer import insert_entry
from pegboard.factors.requirements import roles_in_session
from pegboard.identity.devices import UNKNOWN, Device
from pegboard.identity.errors import RefreshTokenInvalid, RefreshTokenReused, SessionEnded
from pegboard.identity.letters import session_stolen
from pegboard.identity.markets import market_of
from pegboard.identity.permissions import SESSION_END, SESSION_PROVE
from pegboard.identity.refresh_tokens import RefreshTokens
from pegboard.identity.repository import IdentityRepository, RevokeReason, SessionKind
from pegboard.identity.schemas import LogInSession, TokenPair
from pegboard.mail.outbox import send_mail

if TYPE_CHECKING:
    from pegboard.runtime import Runtime
    from pegboard.work import SteppedWork, Work

__all__ = ("SESSION_OPEN", "OpenSession", "ProvenSession", "SessionService")

SESSION_OPEN = "account:session.open"


class ProvenSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session as its access tokens tell of it."""

    session_id: UUID
    account_id: UUID
    tenant_id: UUID
    roles: list[str]
    authenticated_at: int
    """When its owner last proved who they are (Unix seconds)."""
    methods: list[str]


class OpenSession(ProvenSession, frozen=True, kw_only=True):
    """A session and the refresh token that continues it."""

    refresh_token: str
    expires_in: int
    """Seconds until it ends unless it is refreshed."""


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
            roles=await roles_in_session(work, account_id, methods),
            refresh_token=token,
            expires_in=ttl,
            authenticated_at=session["authenticated_at"],
            methods=list(methods),
        )

    async def refresh(self, uow: "SteppedWork", token: str, *, device: Device = UNKNOWN) -> OpenSession:
        """Exchange a refresh token for its child and a new access token.

        The same token again gives the same child while that is unused, for `auth.refresh_grace` seconds: an answer may
        get lost, and two tabs may refresh at once. Any later use means that two parties hold the token, so the session
        ends (RFC 9700, 4.14.2) and its owner is told by mail.

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
        return outcome

    async def log_out(self, work: "Work") -> None:
        """End the principal's session. Its writes are refused from the commit on, its reads within a second."""
        session_id = work.principal.session_id
        if session_id is not None:
            await self.revoke(work, "logout", session_id=session_id)

    async def list(self, work: "Work", *, limit: int, cursor: str | None) -> Page[LogInSession]:
        """Where the principal is logged in, newest first.

        Raises:
            Unauthorized: nobody is logged in.
            InvalidCursor: `cursor` is not the `next_cursor` of a page.
        """
        after = decode_cursor(cursor, [UUID])
        rows = await IdentityRepository(work).log_ins(
            work.principal.account, after=after[0] if after else None, limit=limit + 1
        )
        current = work.principal.session_id
        items = [
            LogInSession(
                id=row["id"],
                current=row["id"] == current,
                ip=row["ip"],
                user_agent=row["user_agent"],
                methods=row["methods"],
                created_at=row["created_at"],
                last_used_at=row["last_used_at"],
                authenticated_at=row["authenticated_at"],
                expires_at=row["expires_at"],
            )
            for row in rows[:limit]
        ]
        return Page(items, encode_cursor(items[-1].id) if len(rows) > limit else None)

    async def end(self, work: "Work", session_id: UUID) -> None:
        """End one of the principal's log-ins. One that has ended already stays so.

        Raises:
            Unauthorized: nobody is logged in.
            NotFound: the principal has no such session.
        """
        if await IdentityRepository(work).log_in(session_id, account_id=work.principal.account) is None:
            raise NotFound("You have no such session.")
        await self.revoke(work, "owner", session_id=session_id)

    async def end_others(self, work: "Work") -> None:
        """End all log-ins of the principal but the one that asks.

        Raises:
            Unauthorized: nobody is logged in.
        """
        principal = work.principal
        await self.revoke(work, "owner", account_id=principal.account, kind="log_in", besides=principal.session_id)

    async def prove(self, work: "Work", *, methods: Sequence[str]) -> ProvenSession:
        """The principal has just proved anew, by `methods`, who they are: their session's proof is fresh.

        Raises:
            Unauthorized: nobody is logged in.
            Forbidden: the session is an API key's or a client's: a program proves nothing about a person.
        """
        principal = work.principal
        repository = IdentityRepository(work)
        proven = await repository.prove(principal.session_id, methods) if principal.session_id is not None else None
        if principal.session_id is None or proven is None:
            raise Forbidden("Only who logged in can prove anew who they are: an API key or a client can't.")
        await insert_entry(
            work,
            SESSION_PROVE,
            object_type="session",
            object_id=principal.session_id,
            after={"methods": sorted(methods)},
        )
        return ProvenSession(
            session_id=principal.session_id,
            account_id=principal.account,
            tenant_id=work.tenant_id,
            roles=await roles_in_session(work, principal.account, proven["methods"]),
            authenticated_at=proven["authenticated_at"],
            methods=proven["methods"],
        )

    async def revoke(
        self,
        work: "Work",
        reason: RevokeReason,
        *,
        session_id: UUID | None = None,
        account_id: UUID | None = None,
        kind: SessionKind | None = None,
        besides: UUID | None = None,
    ) -> None:
        """End a session, or those of an account, in the caller's transaction: all, or those of a `kind`, without the
        one named `besides`.
        """
        revoked = await IdentityRepository(work).revoke(
            reason, session_id=session_id, account_id=account_id, kind=kind, besides=besides
        )
        for ended in revoked:
            await insert_entry(work, SESSION_END, object_type="session", object_id=ended, after={"reason": reason})

        async def tell() -> None:
            for ended in revoked:
                self._authenticator.revocations.add(ended)

        work.after_commit(tell)

    def issue(self, session: OpenSession) -> TokenPair:
        """The tokens of a session that was opened or refreshed. Call it after the commit."""
        return TokenPair(
            access_token=self.sign(session),
            refresh_token=session.refresh_token,
            expires_in=self._authenticator.tokens.ttl,
            refresh_expires_in=session.expires_in,
        )

    def sign(self, session: ProvenSession) -> str:
        """An access token of a session. Call it after the commit."""
        return self._authenticator.tokens.sign(
            account_id=session.account_id,
            tenant_id=session.tenant_id,
            session_id=session.session_id,
            roles=session.roles,
            authenticated_at=session.authenticated_at,
            methods=session.methods,
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
            await self._warn(work, session_id, state["account_id"])
            return RefreshTokenReused()
        elif state["child"] != child_digest:
            return RefreshTokenInvalid()  # the master key was changed within the grace interval
        return OpenSession(
            session_id=session_id,
            account_id=state["account_id"],
            tenant_id=work.tenant_id,
            roles=await roles_in_session(work, state["account_id"], state["methods"]),
            refresh_token=child,
            expires_in=ttl,
            authenticated_at=state["authenticated_at"],
            methods=state["methods"],
        )

    @staticmethod
    async def _warn(work: "Work", session_id: UUID, account_id: UUID) -> None:
        repository = IdentityRepository(work)
        account = await repository.account(account_id)
        session = await repository.log_in(session_id, account_id=account_id)
        if account is not None and session is not None:
            where = " · ".join(filter(None, (session["user_agent"], session["ip"]))) or "of an unknown device"
            await send_mail(work, session_stolen(account["email"], await market_of(work), where))
