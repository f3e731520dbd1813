"""Governance over HTTP."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pegboard_sdk import UnitOfWork
from pegboard_sdk.http import Controller, FromPath, PathParameter, QueryParameter, delete, get, post, put
from pegboard_sdk.pagination import Cursor, Limit, Page
from pegboard_sdk.services import AuditEntryView, AuditLog, AuditOutcome

from pegboard_governance.errors import NoticeNotCurrent, PurposeExists, PurposeNotFound
from pegboard_governance.permissions import (
    AUDIT_READ,
    CONSENT_CHANGE,
    CONSENT_READ,
    CONSENT_READ_ANY,
    PURPOSE_MANAGE,
    PURPOSE_READ,
)
from pegboard_governance.schemas import (
    Consent,
    ConsentCreate,
    ConsentRecord,
    Notice,
    NoticeCreate,
    Purpose,
    PurposeCreate,
)
from pegboard_governance.service import ConsentService, PurposeService

__all__ = ("AuditController", "ConsentController", "PurposeController", "SubjectController")

PurposeSlug = Annotated[str, PathParameter(description="The purpose's slug.")]
PurposeFilter = Annotated[
    str | None, QueryParameter(name="purpose", max_length=64, description="Only changes of this purpose.")
]


class PurposeController(Controller):
    """What data is processed for."""

    path = "/purposes"

    @get(permission=PURPOSE_READ)
    async def list_purposes(self, uow: UnitOfWork, limit: Limit = 20, cursor: Cursor = None) -> Page[Purpose]:
        """Purposes by slug, each with the notice in force."""
        return await PurposeService(uow).page(limit, cursor)

    @post(permission=PURPOSE_MANAGE, errors=(PurposeExists,))
    async def create_purpose(self, data: PurposeCreate, uow: UnitOfWork) -> Purpose:
        """Define a purpose with its first notice."""
        return await PurposeService(uow).create(data)

    @get("/{slug:str}", permission=PURPOSE_READ, errors=(PurposeNotFound,))
    async def read_purpose(self, slug: PurposeSlug, uow: UnitOfWork) -> Purpose:
        """A purpose with the notice in force."""
        return await PurposeService(uow).get(slug)

    @get("/{slug:str}/notices", permission=PURPOSE_READ, errors=(PurposeNotFound,))
    async def list_notices(
        self, slug: PurposeSlug, uow: UnitOfWork, limit: Limit = 20, cursor: Cursor = None
    ) -> Page[Notice]:
        """All versions of a purpose's notice, newest first."""
        return await PurposeService(uow).notices(slug, limit, cursor)

    @post("/{slug:str}/notices", permission=PURPOSE_MANAGE, errors=(PurposeNotFound,))
    async def publish_notice(self, slug: PurposeSlug, data: NoticeCreate, uow: UnitOfWork) -> Purpose:
        """Publish a new version of the notice. Consents to earlier versions stay on record and no longer count."""
        return await PurposeService(uow).publish_notice(slug, data)


class ConsentController(Controller):
    """One's own consents."""

    path = "/consents"

    @get(permission=CONSENT_READ)
    async def list_consents(self, uow: UnitOfWork) -> Page[Consent]:
        """Where one stands on each purpose that one ever decided on, all on one page."""
        return Page(await ConsentService(uow).states(uow.principal.account))

    @get("/history", permission=CONSENT_READ)
    async def list_consent_history(
        self, uow: UnitOfWork, purpose: PurposeFilter = None, limit: Limit = 20, cursor: Cursor = None
    ) -> Page[ConsentRecord]:
        """What one gave and withdrew, newest first."""
        return await ConsentService(uow).history(uow.principal.account, purpose, limit, cursor)

    @put("/{slug:str}", permission=CONSENT_CHANGE, errors=(PurposeNotFound, NoticeNotCurrent))
    async def give_consent(self, slug: PurposeSlug, data: ConsentCreate, uow: UnitOfWork) -> Consent:
        """Consent to a purpose, naming the version of the notice that was shown."""
        return await ConsentService(uow).give(uow.principal.account, slug, data.notice_version)

    @delete("/{slug:str}", permission=CONSENT_CHANGE, errors=(PurposeNotFound,))
    async def withdraw_consent(self, slug: PurposeSlug, uow: UnitOfWork) -> None:
        """Withdraw a consent."""
        await ConsentService(uow).withdraw(uow.principal.account, slug)


class SubjectController(Controller):
    """Anybody's consents, for administrators."""

    path = "/accounts/{account_id:uuid}/consents"

    @get(permission=CONSENT_READ_ANY)
    async def list_account_consents(self, account_id: FromPath[UUID], uow: UnitOfWork) -> Page[Consent]:
        """Where an account stands, all on one page. Nothing for an account that never decided."""
        return Page(await ConsentService(uow).states(account_id))

    @get("/history", permission=CONSENT_READ_ANY)
    async def list_account_consent_history(
        self,
        account_id: FromPath[UUID],
        uow: UnitOfWork,
        purpose: PurposeFilter = None,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[ConsentRecord]:
        """What an account gave and withdrew, newest first: the proof of consent."""
        return await ConsentService(uow).history(account_id, purpose, limit, cursor)


class AuditController(Controller):
    """The audit trail, for administrators."""

    path = "/audit"

    @get(permission=AUDIT_READ)
    async def search_audit(
        self,
        uow: UnitOfWork,
        actor: Annotated[UUID | None, QueryParameter(name="actor", description="The account that acted.")] = None,
        action: Annotated[
            str | None, QueryParameter(name="action", max_length=200, description="The permission that was used.")
        ] = None,
        object_type: Annotated[
            str | None, QueryParameter(name="object_type", max_length=100, description="The kind of what was changed.")
        ] = None,
        object_id: Annotated[
            str | None, QueryParameter(name="object_id", max_length=200, description="The id of what was changed.")
        ] = None,
        outcome: Annotated[
            AuditOutcome | None, QueryParameter(name="outcome", description="Whether it was allowed.")
        ] = None,
        since: Annotated[
            datetime | None, QueryParameter(name="since", description="From this time on, with a zone.")
        ] = None,
        until: Annotated[
            datetime | None, QueryParameter(name="until", description="Before this time, with a zone.")
        ] = None,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[AuditEntryView]:
        """Entries that match everything given, newest first."""
        return await uow.service(AuditLog).search(
            uow,
            actor_id=actor,
            action=action,
            object_type=object_type,
            object_id=object_id,
            outcome=outcome,
            since=since,
            until=until,
            limit=limit,
            cursor=cursor,
        )
