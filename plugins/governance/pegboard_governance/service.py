"""The rules of consent.

A consent is given to a purpose under the notice that the person was shown (GDPR, article 7: it must be demonstrable,
and as easy to withdraw as to give). A new notice does not carry old consents over.
"""

from datetime import datetime
from uuid import UUID

from pegboard_sdk import Record, UnitOfWork
from pegboard_sdk.pagination import Page, decode_cursor, encode_cursor

from pegboard_governance.errors import NoticeNotCurrent, PurposeExists, PurposeNotFound
from pegboard_governance.events import ConsentGiven, ConsentWithdrawn, NoticePublished
from pegboard_governance.permissions import CONSENT_CHANGE, PURPOSE_MANAGE
from pegboard_governance.repository import ConsentRepository, PurposeRepository
from pegboard_governance.schemas import Consent, ConsentRecord, Notice, NoticeCreate, Purpose, PurposeCreate

__all__ = ("ConsentLookup", "ConsentService", "PurposeService")


class PurposeService:
    """Purposes and their notices."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow
        self._purposes = PurposeRepository(uow)

    async def create(self, data: PurposeCreate) -> Purpose:
        """Define a purpose with its first notice.

        Raises:
            PurposeExists: the slug is taken.
        """
        purpose_id = await self._purposes.insert(data.slug, data.title, data.notice)
        if purpose_id is None:
            raise PurposeExists(f"There is a purpose {data.slug} already: publish a new notice for it instead.")
        await self._uow.audit(
            PURPOSE_MANAGE,
            object_type="purpose",
            object_id=purpose_id,
            after={"slug": data.slug, "title": data.title, "notice_version": 1},
        )
        return await self.get(data.slug)

    async def publish_notice(self, slug: str, data: NoticeCreate) -> Purpose:
        """Publish the next version of a purpose's notice. From now on only consents to it count.

        Raises:
            PurposeNotFound: there is no such purpose.
        """
        version = await self._purposes.add_notice(slug, data.text)
        if version is None:
            raise _not_found(slug)
        await self._uow.audit(
            PURPOSE_MANAGE,
            object_type="purpose",
            object_id=slug,
            before={"notice_version": version - 1},
            after={"notice_version": version},
        )
        await self._uow.emit(NoticePublished(purpose=slug, notice_version=version))
        return await self.get(slug)

    async def get(self, slug: str) -> Purpose:
        """A purpose with the notice in force.

        Raises:
            PurposeNotFound: there is no such purpose.
        """
        row = await self._purposes.get(slug)
        if row is None:
            raise _not_found(slug)
        return _purpose(row)

    async def page(self, limit: int, cursor: str | None) -> Page[Purpose]:
        """Purposes by slug.

        Raises:
            InvalidCursor: the cursor is not this list's.
        """
        position = decode_cursor(cursor, (str,))
        rows = await self._purposes.page(position[0] if position else None, limit + 1)
        following = encode_cursor(rows[limit - 1]["slug"]) if len(rows) > limit else None
        return Page([_purpose(row) for row in rows[:limit]], following)

    async def notices(self, slug: str, limit: int, cursor: str | None) -> Page[Notice]:
        """A purpose's notices, newest first.

        Raises:
            PurposeNotFound: there is no such purpose.
            InvalidCursor: the cursor is not this list's.
        """
        position = decode_cursor(cursor, (int,))
        rows = await self._purposes.notices(slug, position[0] if position else None, limit + 1)
        if not rows and position is None:
            raise _not_found(slug)
        following = encode_cursor(rows[limit - 1]["version"]) if len(rows) > limit else None
        return Page([_notice(row) for row in rows[:limit]], following)


class ConsentService:
    """One account's consents."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow
        self._purposes = PurposeRepository(uow)
        self._consents = ConsentRepository(uow)

    async def give(self, account_id: UUID, slug: str, notice_version: int) -> Consent:
        """Consent to a purpose under the notice in force. Giving it twice changes nothing.

        Raises:
            PurposeNotFound: there is no such purpose.
            NoticeNotCurrent: `notice_version` is not the notice in force.
        """
        purpose = await self._purposes.get(slug)
        if purpose is None:
            raise _not_found(slug)
        if purpose["version"] != notice_version:
            raise NoticeNotCurrent(
                f"The notice in force is version {purpose['version']}: show it to the person and ask again."
            )
        before = await self._consents.lock(account_id, purpose["id"])
        if await self._consents.change(account_id, purpose["id"], "given", notice_version) is not None:
            await self._changed(account_id, purpose, before, "given", notice_version)
            await self._uow.emit(ConsentGiven(account_id=account_id, purpose=slug, notice_version=notice_version))
        return await self._one(account_id, slug)

    async def withdraw(self, account_id: UUID, slug: str) -> None:
        """Withdraw a consent. Withdrawing what was never given, or twice, changes nothing.

        Raises:
            PurposeNotFound: there is no such purpose.
        """
        purpose = await self._purposes.get(slug)
        if purpose is None:
            raise _not_found(slug)
        before = await self._consents.lock(account_id, purpose["id"])
        if before is None or before["state"] == "withdrawn":
            return
        version = before["notice_version"]
        if await self._consents.change(account_id, purpose["id"], "withdrawn", version) is not None:
            await self._changed(account_id, purpose, before, "withdrawn", version)
            await self._uow.emit(ConsentWithdrawn(account_id=account_id, purpose=slug))

    async def states(self, account_id: UUID) -> list[Consent]:
        """Where an account stands on each purpose that it ever decided on."""
        return [_consent(row) for row in await self._consents.states(account_id)]

    async def history(self, account_id: UUID, slug: str | None, limit: int, cursor: str | None) -> Page[ConsentRecord]:
        """An account's changes, newest first, of one purpose or all.

        Raises:
            InvalidCursor: the cursor is not this list's.
        """
        position = decode_cursor(cursor, (datetime, UUID))
        before = (position[0], position[1]) if position else None
        rows = await self._consents.history(account_id, slug, before, limit + 1)
        following = encode_cursor(rows[limit - 1]["created_at"], rows[limit - 1]["id"]) if len(rows) > limit else None
        return Page([_record(row) for row in rows[:limit]], following)

    async def _one(self, account_id: UUID, slug: str) -> Consent:
        return _consent((await self._consents.states(account_id, slug))[0])

    async def _changed(
        self, account_id: UUID, purpose: Record, before: Record | None, state: str, notice_version: int
    ) -> None:
        await self._consents.record(account_id, purpose["id"], state, notice_version)
        await self._uow.audit(
            CONSENT_CHANGE,
            object_type="consent",
            object_id=purpose["slug"],
            before=None if before is None else {"state": before["state"], "notice_version": before["notice_version"]},
            after={"state": state, "notice_version": notice_version},
        )


class ConsentLookup:
    """`pegboard_sdk.services.Consent`: what other plugins ask."""

    async def has(self, uow: UnitOfWork, *, account_id: UUID, purpose: str) -> bool:
        """Whether the account's consent to the purpose stands, for the notice in force."""
        return await ConsentRepository(uow).stands(account_id, purpose)


def _not_found(slug: str) -> PurposeNotFound:
    return PurposeNotFound(f"There is no purpose {slug}. GET /api/v1/governance/purposes lists them.")


def _notice(row: Record) -> Notice:
    return Notice(version=row["version"], text=row["text"], published_at=row["created_at"])


def _purpose(row: Record) -> Purpose:
    return Purpose(slug=row["slug"], title=row["title"], notice=_notice(row))


def _consent(row: Record) -> Consent:
    return Consent(
        purpose=row["slug"],
        state=row["state"],
        notice_version=row["notice_version"],
        current=row["current"],
        changed_at=row["updated_at"],
    )


def _record(row: Record) -> ConsentRecord:
    return ConsentRecord(
        id=row["id"],
        purpose=row["slug"],
        state=row["state"],
        notice_version=row["notice_version"],
        recorded_at=row["created_at"],
    )
