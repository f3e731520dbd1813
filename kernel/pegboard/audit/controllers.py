"""The audit trail's administration: verifying it, its signed head, and exports that others can verify."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from pegboard_sdk.errors import InvalidInput
from pegboard_sdk.http import Controller, Stream, get, post

from pegboard.audit.chain import AuditHead, SealKeys
from pegboard.audit.errors import NothingSealed, TrailUnsound
from pegboard.audit.export import export_trail
from pegboard.audit.permissions import AUDIT_EXPORT, AUDIT_VERIFY
from pegboard.audit.verification import current_head, verify_trail
from pegboard.audit.walk import AuditReport
from pegboard.work import SteppedWork, Work

__all__ = ("CONTROLLERS", "AuditExport", "AuditTrailController", "AuditVerification")

VERIFYING = 660.0
"""Seconds: half a minute for a million entries. More than that is the command line's."""

Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class AuditVerification(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to verify against: heads of this trail that were exported earlier."""

    heads: Annotated[Sequence[AuditHead], msgspec.Meta(max_length=100)] = ()


class AuditExport(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which entries to export: from `since` on, before `until`. Default: all."""

    since: Moment | None = None
    until: Moment | None = None


class AuditTrailController(Controller):
    """The marketplace's own audit trail."""

    path = "/admin/audit"

    @get("/head", permission=AUDIT_VERIFY, errors=(NothingSealed, TrailUnsound))
    async def read_audit_head(self, uow: Work) -> AuditHead:
        """The trail's signed head. Keep it elsewhere: with it, verifying shows that nothing up to it is missing."""
        runtime = uow.runtime
        head = await current_head(runtime.database, SealKeys(runtime.vault), uow.tenant_id)
        if head is None:
            raise NothingSealed
        return head

    # Reads for as long as it takes, and holds no transaction meanwhile.
    @post(
        "/verifications", permission=AUDIT_VERIFY, external=True, status=200, timeout=VERIFYING, errors=(InvalidInput,)
    )
    async def verify_audit_trail(self, data: AuditVerification, uow: SteppedWork) -> AuditReport:
        """Verify that no entry was changed, removed or inserted; what was is in `findings`, first row first."""
        foreign = [head.number for head in data.heads if head.tenant_id != str(uow.tenant_id)]
        if foreign:
            raise InvalidInput(f"The head of number {foreign[0]} is another marketplace's.")
        runtime, report = uow.runtime, AuditReport(tenant_id=str(uow.tenant_id))
        async for step in verify_trail(runtime.database, SealKeys(runtime.vault), uow.tenant_id, data.heads):
            if isinstance(step, AuditReport):
                report = step
        async with uow.step() as step:
            await step.audit(
                AUDIT_VERIFY,
                object_type="audit_trail",
                object_id=uow.tenant_id,
                after={"sound": report.sound, "seals": report.seals, "findings": len(report.findings)},
            )
        return report

    @post(
        "/exports",
        permission=AUDIT_EXPORT,
        status=200,
        idempotency="none",
        fresh=True,
        media_type="application/x-ndjson",
    )
    async def export_audit_trail(self, data: AuditExport, uow: Work) -> Stream:
        """Export sealed entries as lines of JSON that others can verify without us; see the guide to the audit trail.

        A file without a line of the kind `head` at its end is not whole: ask again.
        """
        await uow.audit(
            AUDIT_EXPORT,
            object_type="audit_trail",
            object_id=uow.tenant_id,
            after={"since": data.since, "until": data.until},
        )
        runtime = uow.runtime
        lines = export_trail(
            runtime.database, SealKeys(runtime.vault), uow.tenant_id, since=data.since, until=data.until
        )
        return Stream(
            lines,
            media_type="application/x-ndjson",
            headers={"Content-Disposition": 'attachment; filename="audit.ndjson"'},
        )


CONTROLLERS = (AuditTrailController,)
