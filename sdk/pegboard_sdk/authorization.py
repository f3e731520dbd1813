"""Who may not do what together, what an object's own rule says, and what takes two people: the hooks
`segregation_rules`, `object_rules` and `approval_kinds`.

    SEGREGATION = (
        StaticSegregation(
            name="finance.clerk_and_controller",
            first="finance_clerk",
            second="finance_controller",
            summary="Who asks for refunds must not be who approves them.",
        ),
    )

Rules of a marketplace's own are added by its administrators, as data.
"""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import msgspec

from pegboard_sdk.access import Principal
from pegboard_sdk.work import UnitOfWork

__all__ = ("ApprovalKind", "DynamicSegregation", "ObjectRule", "ObjectVerdict", "StaticSegregation")

P = TypeVar("P", bound=msgspec.Struct)


class StaticSegregation(msgspec.Struct, frozen=True, kw_only=True):
    """Two duties that nobody may hold at the same time.

    `name` is `<plugin>.<snake_case>`. `first` and `second` are roles or permissions. `summary` is a sentence for who
    is refused. The kernel checks it when a role is given, the permission matrix is edited, or somebody's rights are
    raised for a while. What the plugins' own defaults give one role is reported to administrators, not refused: a rule
    between two permissions of `administrator`, which has all of them, binds once one was withdrawn there.
    """

    name: str
    first: str
    second: str
    summary: str


class DynamicSegregation(msgspec.Struct, frozen=True, kw_only=True):
    """Who did `first` on an object can't do `second` on it.

    `name` is `<plugin>.<snake_case>`. `first` and `second` are actions as they are given to `uow.audit`, and
    `object_type` is the entries'. The kernel looks when `second` is put on record, in the action's transaction: the
    audit trail says who did what, so a rule binds what happened before it, too. `summary` is a sentence for who is
    refused.
    """

    name: str
    object_type: str
    first: str
    second: str
    summary: str


class ObjectVerdict(msgspec.Struct, frozen=True):
    """What an object's own rule says of somebody who holds the permission.

    `visible`: whether they may know that it is there (404 otherwise). `why` is a sentence without personal data.
    """

    visible: bool
    allowed: bool
    why: str


class ObjectRule(msgspec.Struct, frozen=True, kw_only=True):
    """The rule of a kind of object, for explaining decisions to administrators.

    `object_type` is as in the audit trail, such as `finance.escrow`. `judge` takes a unit of work that reads, the
    principal in question (not who asks), the permission and the object's id as text. Let it be the function that the
    service itself decides by, so that what is explained is what happens.
    """

    object_type: str
    judge: Callable[[UnitOfWork, Principal, str, str], Awaitable[ObjectVerdict]]


class ApprovalKind(msgspec.Struct, Generic[P], frozen=True, kw_only=True):
    """Something that is done only once a second person has approved it.

    `name` is `<plugin>.<snake_case>`; `permission` is what who decides must hold; `summary` completes "approve …".
    `payload` is a Struct of ids: what will be done, exactly. `execute` does it, with the unit of work of who approves
    and in the transaction of the approval: both happen, once, or neither. It re-reads what the payload names; a
    `DomainError` that it raises leaves the request open. `ttl` is how many seconds a request stays open.
    """

    name: str
    summary: str
    permission: str
    payload: type[P]
    execute: Callable[[UnitOfWork, P], Awaitable[None]]
    ttl: float = 7 * 86_400.0
