"""Four eyes (`pegboard_sdk.services.Approvals`): one person asks, another decides, and it is done once or not at all.

What was approved is done in the transaction of the approval, so there is no approved request that was not carried out,
and none that was carried out twice: the row is locked, and leaves `pending` once.
"""

from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from pegboard_sdk.authorization import ApprovalKind
from pegboard_sdk.errors import Conflict, Forbidden, InvalidInput, NotFound
from pegboard_sdk.pagination import Page, decode_cursor, encode_cursor
from pegboard_sdk.services import Approvals, ApprovalState, ApprovalView, Service
from pegboard_sdk.work import UnitOfWork

from pegboard.audit.writer import insert_entry
from pegboard.authorization.approval_repository import ApprovalRepository
from pegboard.authorization.errors import ApprovalClosed, OwnRequest
from pegboard.authorization.permissions import APPROVAL_DECIDE, APPROVAL_EXPIRE, APPROVAL_REQUEST, APPROVAL_WITHDRAW

if TYPE_CHECKING:
    from pegboard.work import Work

__all__ = ("SERVICES", "ApprovalService", "expire_approvals")

KERNEL = "kernel"
BATCH = 500
_encoder = msgspec.json.Encoder(order="sorted")


class ApprovalService:
    """The kernel's implementation; it keeps nothing between calls. `uow.caller` is the plugin that asks."""

    async def request(
        self,
        uow: "Work",
        kind: str,
        payload: msgspec.Struct,
        *,
        object_type: str,
        object_id: UUID | str,
        summary: str,
        reason: str = "",
    ) -> ApprovalView:
        """See `Approvals.request`."""
        declared = self._own_kind(uow, kind)
        if not isinstance(payload, declared.payload):
            raise TypeError(f"a request for {kind} takes a {declared.payload.__qualname__}")
        if not summary.strip() or len(summary) > 500 or len(reason) > 500:
            raise InvalidInput("A request says in 1 to 500 characters what will be done, and in up to 500 why.")
        repository, encoded = ApprovalRepository(uow), _encoder.encode(payload).decode()
        for _ in range(2):
            made = await repository.insert(
                kind=kind,
                permission=declared.permission,
                object_type=object_type,
                object_id=str(object_id),
                payload=encoded,
                summary=summary,
                reason=reason,
                ttl=declared.ttl,
            )
            if made is not None:
                after = {"approval": made.id, "kind": kind, "summary": summary, "reason": reason}
                await insert_entry(uow, APPROVAL_REQUEST, object_type=object_type, object_id=object_id, after=after)
                return made
            found = await repository.lock_open(kind, object_type, str(object_id), encoded)
            if found is None:
                continue  # it was decided this moment
            there, same = found
            if there.state == "expired":
                await self._expire(uow, await repository.close(there.id, "expired", None, None))
                continue
            if same and there.requested_by == uow.principal.account_id:
                return there
            break
        raise Conflict("A request like this is waiting for a decision: see GET /api/v1/approvals.")

    async def get(self, uow: "Work", approval_id: UUID) -> ApprovalView:
        """See `Approvals.get`."""
        approval, _ = await self._find(uow, approval_id)
        return approval

    async def show(self, uow: "Work", approval_id: UUID) -> ApprovalView:
        """A request as who asked for it sees it, and who may decide it.

        Raises:
            NotFound: there is none, or it is neither theirs nor theirs to decide.
        """
        approval, _ = await self._find(uow, approval_id)
        self._require_visible(uow, approval)
        return approval

    async def list(
        self, uow: "Work", *, state: ApprovalState | None, kind: str | None, limit: int, cursor: str | None
    ) -> Page[ApprovalView]:
        """The principal's own requests and those that they may decide, newest first.

        Raises:
            InvalidCursor: `cursor` is not the `next_cursor` of a page.
        """
        after = decode_cursor(cursor, [UUID])
        rows = await ApprovalRepository(uow).newest(
            account_id=uow.principal.account,
            kinds=[name for name, one in uow.registry.approval_kinds.items() if uow.principal.may(one.permission)],
            state=state,
            kind=kind,
            after=after[0] if after else None,
            limit=limit + 1,
        )
        return Page(rows[:limit], encode_cursor(rows[limit - 1].id) if len(rows) > limit else None)

    async def approve(self, uow: "Work", approval_id: UUID, *, reason: str = "") -> ApprovalView:
        """See `Approvals.approve`."""
        approval, payload = await self._decidable(uow, approval_id)
        kind = uow.registry.approval_kinds.get(approval.kind)
        if kind is None:
            raise ApprovalClosed("The plugin that would do this is off: it can be rejected, or approved later.")
        closed = await ApprovalRepository(uow).close(approval.id, "executed", uow.principal.account_id, reason)
        await self._decided(uow, closed)
        # The plugin's code acts for itself, as the person who approves.
        await kind.execute(
            uow.acting_as(uow.registry.owners[kind.name]), msgspec.json.decode(payload, type=kind.payload)
        )
        return closed

    async def reject(self, uow: "Work", approval_id: UUID, *, reason: str) -> ApprovalView:
        """See `Approvals.reject`."""
        approval, _ = await self._decidable(uow, approval_id)
        closed = await ApprovalRepository(uow).close(approval.id, "rejected", uow.principal.account_id, reason)
        await self._decided(uow, closed)
        return closed

    async def withdraw(self, uow: "Work", approval_id: UUID) -> ApprovalView:
        """See `Approvals.withdraw`."""
        approval, _ = await self._find(uow, approval_id, lock=True)
        if approval.requested_by is None or approval.requested_by != uow.principal.account_id:
            raise NotFound("You have no such request.")
        self._require_open(approval)
        closed = await ApprovalRepository(uow).close(approval.id, "withdrawn", uow.principal.account_id, None)
        await insert_entry(
            uow,
            APPROVAL_WITHDRAW,
            object_type=closed.object_type,
            object_id=closed.object_id,
            before={"state": "pending"},
            after={"approval": closed.id, "state": closed.state},
        )
        return closed

    async def _find(self, uow: "Work", approval_id: UUID, *, lock: bool = False) -> tuple[ApprovalView, str]:
        found = await ApprovalRepository(uow).find(approval_id, lock=lock)
        if found is None or (uow.caller != KERNEL and self._owner(uow, found[0].kind) != uow.caller):
            raise NotFound("There is no such request for approval.")
        return found

    async def _decidable(self, uow: "Work", approval_id: UUID) -> tuple[ApprovalView, str]:
        """An open request that the principal may decide, which nobody else decides until the end."""
        approval, payload = await self._find(uow, approval_id, lock=True)
        self._require_visible(uow, approval)
        if uow.principal.kind != "account":
            raise Forbidden("Approving is for people: the platform can't do it by itself.")
        if approval.requested_by == uow.principal.account_id:
            raise OwnRequest
        self._require_open(approval)
        return approval, payload

    def _require_visible(self, uow: "Work", approval: ApprovalView) -> None:
        """It is there for who asked for it and for who holds the permission to decide it: nobody else hears of it."""
        principal = uow.principal
        own = approval.requested_by is not None and approval.requested_by == principal.account_id
        if not own and not principal.may(self._permission(uow, approval)):
            raise NotFound("There is no such request for approval.")

    @staticmethod
    def _require_open(approval: ApprovalView) -> None:
        if approval.state == "expired":
            raise ApprovalClosed("This request has expired: it has to be made again.")
        if approval.state != "pending":
            raise ApprovalClosed(f"This request is {approval.state} already.")

    @staticmethod
    def _permission(uow: "Work", approval: ApprovalView) -> str:
        """What deciding needs: what the plugin says now, or what it said then where it is off."""
        kind = uow.registry.approval_kinds.get(approval.kind)
        return approval.permission if kind is None else kind.permission

    @staticmethod
    def _owner(uow: "Work", kind: str) -> str | None:
        return uow.registry.owners.get(kind) if kind in uow.registry.approval_kinds else None

    def _own_kind(self, uow: "Work", kind: str) -> ApprovalKind:
        declared = uow.registry.approval_kinds.get(kind)
        if declared is None or (uow.caller != KERNEL and self._owner(uow, kind) != uow.caller):
            raise LookupError(f"{uow.caller} has no approval kind {kind}: return it from the hook approval_kinds")
        return declared

    @staticmethod
    async def _decided(uow: "Work", closed: ApprovalView) -> None:
        await insert_entry(
            uow,
            APPROVAL_DECIDE,
            object_type=closed.object_type,
            object_id=closed.object_id,
            before={"state": "pending"},
            after={
                "approval": closed.id,
                "kind": closed.kind,
                "state": closed.state,
                "requested_by": closed.requested_by,
                "reason": closed.decision_reason,
            },
        )

    @staticmethod
    async def _expire(uow: "UnitOfWork", closed: ApprovalView) -> None:
        await uow.audit(
            APPROVAL_EXPIRE,
            object_type=closed.object_type,
            object_id=closed.object_id,
            before={"state": "pending"},
            after={"approval": closed.id, "state": closed.state},
        )


async def expire_approvals(uow: UnitOfWork) -> int:
    """Put on record that requests have expired: a batch; gives how many. They can't be decided from the moment on that
    their time is over, whenever this runs.
    """
    closed = await ApprovalRepository(uow).expire(limit=BATCH)
    for approval in closed:
        await ApprovalService._expire(uow, approval)
    return len(closed)


SERVICES = (Service(Approvals, ApprovalService()),)
