"""Writing the audit trail: what was done in the transaction that did it, what was refused in one of its own."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pegboard_sdk.access import Principal
from pegboard_sdk.ids import new_id
from pegboard_sdk.services import AuditOutcome

from pegboard.audit.redaction import redacted_fields, redacted_text
from pegboard.authorization.dynamic_segregation import judge_action

if TYPE_CHECKING:
    from pegboard.runtime import Runtime
    from pegboard.work import Work

__all__ = ("entry_of", "insert_entry", "record_refusal", "write_entries", "write_entry")

_INSERT = """
INSERT INTO kernel_audit_entries
    (id, tenant_id, actor_kind, actor_id, session_id, action, object_type, object_id,
     before, after, outcome, reason, request_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""


async def insert_entry(
    work: "Work",
    action: str,
    *,
    object_type: str,
    object_id: UUID | str | None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    actor: Principal | None = None,
    personal: Collection[str] = (),
) -> None:
    """Write that `action` was done, in the transaction of `work`: it is on record if and only if it happened.

    `actor` is the work's principal unless given: whoever logs in becomes somebody on the way. `before` and `after` hold
    the changed fields only. Secrets and personal data in them are covered (`redaction.py`); `personal` names further
    fields that are.

    Raises:
        AlreadyDidTheOther: segregation of duties keeps the actor from doing this on the object.
    """
    await judge_action(work, actor or work.principal, action, object_type, object_id)
    await write_entry(
        work,
        actor or work.principal,
        action,
        object_type=object_type,
        object_id=object_id,
        before=before,
        after=after,
        request_id=work.request_id,
        personal=personal,
    )


async def record_refusal(
    runtime: "Runtime",
    principal: Principal,
    action: str,
    reason: str,
    request_id: str,
    *,
    object_type: str = "",
    object_id: UUID | str | None = None,
) -> None:
    """Write that `principal` tried `action` and was refused, in a transaction of its own.

    Call it after the action's rollback. The session is not checked: that it has ended may be the reason. `reason` is a
    short text without secrets or personal data.
    """
    async with runtime.database.transaction(principal.tenant_id) as connection:
        await write_entry(
            connection,
            principal,
            action,
            object_type=object_type,
            object_id=object_id,
            outcome="refused",
            reason=reason,
            request_id=request_id,
        )


async def write_entry(
    connection: Any,
    principal: Principal,
    action: str,
    *,
    object_type: str,
    object_id: UUID | str | None,
    request_id: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    outcome: AuditOutcome = "success",
    reason: str | None = None,
    personal: Collection[str] = (),
) -> None:
    """Write an entry over a connection, for where there is no unit of work. `principal` is who acted."""
    values = entry_of(
        principal,
        action,
        object_type=object_type,
        object_id=object_id,
        request_id=request_id,
        before=before,
        after=after,
        outcome=outcome,
        reason=reason,
        personal=personal,
    )
    await connection.execute(_INSERT, *values)


def entry_of(
    principal: Principal,
    action: str,
    *,
    object_type: str,
    object_id: UUID | str | None,
    request_id: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    outcome: AuditOutcome = "success",
    reason: str | None = None,
    personal: Collection[str] = (),
) -> tuple[Any, ...]:
    """An entry that is yet to be written, for `write_entries`."""
    return (
        new_id(),
        principal.tenant_id,
        principal.kind,
        principal.account_id,
        principal.session_id,
        action,
        object_type,
        None if object_id is None else redacted_text(str(object_id)),
        redacted_fields(before, object_type=object_type, personal=personal),
        redacted_fields(after, object_type=object_type, personal=personal),
        outcome,
        redacted_text(reason),
        request_id,
    )


async def write_entries(connection: Any, entries: Sequence[tuple[Any, ...]]) -> None:
    """Write several entries in one round trip."""
    await connection.executemany(_INSERT, entries)
