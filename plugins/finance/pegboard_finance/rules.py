"""What finance keeps apart, and what an escrow says of who may do what with it."""

from uuid import UUID

from pegboard_sdk import Principal, UnitOfWork
from pegboard_sdk.authorization import DynamicSegregation, ObjectRule, ObjectVerdict, StaticSegregation

from pegboard_finance import permissions
from pegboard_finance.repository.escrows import find_escrow

__all__ = ("OBJECT_RULES", "SEGREGATION", "may_see")

SEGREGATION = (
    StaticSegregation(
        name="finance.clerk_and_controller",
        first="finance_clerk",
        second="finance_controller",
        summary="Who asks for refunds must not be who approves them.",
    ),
    DynamicSegregation(
        name="finance.payer_and_approver",
        object_type="finance.escrow",
        first=permissions.ESCROW_FUND,
        second=permissions.REFUND_APPROVE,
        summary="Nobody approves that their own payment is given back.",
    ),
)


def may_see(principal: Principal, *, payer_id: UUID, payee_id: UUID) -> bool:
    """Whether the principal may know of an escrow: its parties, and who refunds or approves refunds."""
    return principal.account_id in (payer_id, payee_id) or any(
        principal.may(permission) for permission in (permissions.ESCROW_REFUND, permissions.REFUND_APPROVE)
    )


async def judge_escrow(uow: UnitOfWork, principal: Principal, permission: str, object_id: str) -> ObjectVerdict:
    """Whether the principal, who holds the permission, may use it on an escrow."""
    try:
        escrow = await find_escrow(uow, UUID(object_id))
    except ValueError:
        escrow = None
    if escrow is None:
        return ObjectVerdict(False, False, "There is no such escrow.")
    if not may_see(principal, payer_id=escrow.payer_id, payee_id=escrow.payee_id):
        return ObjectVerdict(False, False, "The escrow is between other people, so it is not there for the account.")
    if permission == permissions.ESCROW_FUND and principal.account_id != escrow.payer_id:
        return ObjectVerdict(True, False, "Only who owes the escrow's money may pay it.")
    return ObjectVerdict(True, True, "The escrow's own rule allows it.")


OBJECT_RULES = (ObjectRule(object_type="finance.escrow", judge=judge_escrow),)
