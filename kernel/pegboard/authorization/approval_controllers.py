"""The routes of approvals: /approvals. Everybody may ask; what they see and decide is each kind's permission."""

from typing import Annotated
from uuid import UUID

from pegboard_sdk.errors import Forbidden, InvalidCursor, NotFound
from pegboard_sdk.http import Controller, QueryParameter, get, post
from pegboard_sdk.pagination import Cursor, Limit, Page
from pegboard_sdk.services import ApprovalState, ApprovalView

from pegboard.authorization.approvals import ApprovalService
from pegboard.authorization.dynamic_segregation import AlreadyDidTheOther
from pegboard.authorization.errors import ApprovalClosed, OwnRequest
from pegboard.authorization.permissions import APPROVAL_DECIDE, APPROVAL_READ, APPROVAL_WITHDRAW
from pegboard.authorization.schemas import Decision, Rejection
from pegboard.work import Work

__all__ = ("CONTROLLERS", "ApprovalController")

StateFilter = Annotated[ApprovalState | None, QueryParameter(name="state", description="Only those in this state.")]
KindFilter = Annotated[str | None, QueryParameter(max_length=100, description="Only those of this kind.")]


class ApprovalController(Controller):
    """What one person asked for and another decides."""

    path = "/approvals"

    @get(permission=APPROVAL_READ, errors=(InvalidCursor,))
    async def list_approvals(
        self, uow: Work, in_state: StateFilter = None, kind: KindFilter = None, limit: Limit = 20, cursor: Cursor = None
    ) -> Page[ApprovalView]:
        """What you asked for, and what you may decide; newest first."""
        return await ApprovalService().list(uow, state=in_state, kind=kind, limit=limit, cursor=cursor)

    @get("/{approval_id:uuid}", permission=APPROVAL_READ, errors=(NotFound,))
    async def read_approval(self, approval_id: UUID, uow: Work) -> ApprovalView:
        """A request that you made, or may decide."""
        return await ApprovalService().show(uow, approval_id)

    @post(
        "/{approval_id:uuid}/approve",
        permission=APPROVAL_DECIDE,
        fresh=True,
        status=200,
        errors=(NotFound, Forbidden, OwnRequest, AlreadyDidTheOther, ApprovalClosed),
    )
    async def approve_request(self, approval_id: UUID, data: Decision, uow: Work) -> ApprovalView:
        """Approve somebody else's request. What was asked for is done with it; if it can't be, nothing is decided."""
        return await ApprovalService().approve(uow, approval_id, reason=data.reason)

    @post(
        "/{approval_id:uuid}/reject",
        permission=APPROVAL_DECIDE,
        status=200,
        errors=(NotFound, Forbidden, OwnRequest, ApprovalClosed),
    )
    async def reject_request(self, approval_id: UUID, data: Rejection, uow: Work) -> ApprovalView:
        """Reject somebody else's request: it will not be done."""
        return await ApprovalService().reject(uow, approval_id, reason=data.reason)

    @post("/{approval_id:uuid}/withdraw", permission=APPROVAL_WITHDRAW, status=200, errors=(NotFound, ApprovalClosed))
    async def withdraw_request(self, approval_id: UUID, uow: Work) -> ApprovalView:
        """Take your own request back."""
        return await ApprovalService().withdraw(uow, approval_id)


CONTROLLERS = (ApprovalController,)
