"""A registry with a kind of approval that a test can look into."""

from collections.abc import Awaitable, Callable

import msgspec
from pegboard.plugins.registry import Registry
from pegboard_sdk import UnitOfWork
from pegboard_sdk.authorization import ApprovalKind

__all__ = ("KIND", "PERMISSION", "Payload", "deeds", "note", "with_kind")

KIND = "finance.test_deed"
PERMISSION = "finance:refund.approve"


class Payload(msgspec.Struct, frozen=True):
    """What is to be done."""

    number: int


def with_kind(
    registry: Registry, execute: Callable[[UnitOfWork, Payload], Awaitable[None]], *, ttl: float = 600.0
) -> Registry:
    """The platform's registry, in which finance has one more kind."""
    kind = ApprovalKind(
        name=KIND, summary="deeds of tests", permission=PERMISSION, payload=Payload, execute=execute, ttl=ttl
    )
    return msgspec.structs.replace(
        registry,
        approval_kinds={**registry.approval_kinds, KIND: kind},
        owners={**registry.owners, KIND: "finance"},
    )


async def note(uow: UnitOfWork, payload: Payload) -> None:
    """Do the deed: the audit trail counts how often."""
    await uow.audit("finance:test_deed.do", object_type="finance.test_deed", object_id=str(payload.number))


async def deeds(uow: UnitOfWork) -> int:
    """How many deeds were done in the tenant."""
    return await uow.fetchval(
        "SELECT count(*) FROM kernel_audit_entries WHERE tenant_id = $1 AND action = 'finance:test_deed.do'",
        uow.tenant_id,
    )
