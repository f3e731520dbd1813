"""The routes of one's own sessions: where one is logged in, and a fresh proof of who one is."""

from typing import Any
from uuid import UUID

from pegboard_sdk.errors import InvalidCursor, NotFound, Unauthorized
from pegboard_sdk.http import Controller, Request, Response, delete, get, post
from pegboard_sdk.pagination import Cursor, Limit, Page

from pegboard.factors.errors import LockedOut
from pegboard.identity.errors import BadCredentials
from pegboard.identity.permissions import SESSION_END, SESSION_LIST, SESSION_PROVE
from pegboard.identity.schemas import Challenge, FreshToken, LogInSession, Proof
from pegboard.identity.sessions import SessionService
from pegboard.identity.signed_in import fresh_token
from pegboard.identity.step_up import StepUpService
from pegboard.web.devices import device_of
from pegboard.work import SteppedWork, Work

__all__ = ("SessionController",)


class SessionController(Controller):
    """What somebody who is logged in sees and does about it."""

    path = "/auth"

    @get("/sessions", permission=SESSION_LIST, errors=(Unauthorized, InvalidCursor))
    async def list_sessions(self, uow: Work, limit: Limit = 20, cursor: Cursor = None) -> Page[LogInSession]:
        """Where the account is logged in, newest first."""
        return await SessionService(uow.runtime).list(uow, limit=limit, cursor=cursor)

    @delete("/sessions/{session_id:uuid}", permission=SESSION_END, errors=(Unauthorized, NotFound))
    async def end_session(self, session_id: UUID, uow: Work) -> None:
        """Log out one session of the account: its tokens are good for nothing any more."""
        await SessionService(uow.runtime).end(uow, session_id)

    @delete("/sessions", permission=SESSION_END, errors=(Unauthorized,))
    async def end_other_sessions(self, uow: Work) -> None:
        """Log out everywhere but here."""
        await SessionService(uow.runtime).end_others(uow)

    @post(
        "/step-up",
        permission=SESSION_PROVE,
        external=True,
        idempotency="none",
        guessable=True,
        status=200,
        errors=(Unauthorized, BadCredentials, LockedOut),
        also={202: "The password is right, and the account needs another factor: answer the challenge."},
    )
    async def step_up(
        self, data: Proof, request: Request[Any, Any, Any], uow: SteppedWork
    ) -> Response[FreshToken | Challenge]:
        """Prove anew who you are: what answers 401 `auth.step_up_required` takes the access token that this gives."""
        outcome = await StepUpService(uow.runtime).by_password(uow, data.password, device=device_of(request))
        return fresh_token(uow, request, outcome)
