"""Drafting, publishing, finding and archiving gigs."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET
from pegboard_sdk import Record, UnitOfWork
from pegboard_sdk.errors import FieldError, InvalidInput
from pegboard_sdk.http import check_if_match
from pegboard_sdk.pagination import decode_cursor
from pegboard_sdk.services import Taxonomies, TermView

from pegboard_creation_studio import permissions
from pegboard_creation_studio.errors import (
    CurrencyNotOffered,
    GigInWrongState,
    GigNotFound,
    NotYourGig,
    TermUnknown,
    TitleTooShort,
)
from pegboard_creation_studio.events import GigArchived, GigPublished
from pegboard_creation_studio.repository import gigs as repository
from pegboard_creation_studio.repository.gigs import GigContent, to_gig
from pegboard_creation_studio.schemas import TITLE_MIN, Gig, GigCreate, GigPatch, Price
from pegboard_creation_studio.service.transitions import next_state
from pegboard_creation_studio.settings import Settings
from pegboard_creation_studio.states import GIGS, Party
from pegboard_creation_studio.taxonomies import CATEGORIES, SKILLS

__all__ = ("GigService",)

# What the audit trail leaves out: long, and kept in the gig itself.
UNAUDITED = ("description",)


class GigService:
    """What may be done with gigs, in one unit of work."""

    def __init__(self, uow: UnitOfWork) -> None:
        self.uow = uow

    async def create(self, data: GigCreate) -> Gig:
        """Draft a gig of the principal's.

        Raises:
            CurrencyNotOffered, TermUnknown, TitleTooShort: a value breaks a rule; `errors` says which.
        """
        owner_id = self.uow.principal.account
        category = await self._category(data.category)
        tags = await self._tags(data.tags)
        content = GigContent(
            title=_title(data.title),
            description=data.description,
            language=data.language or self._settings.default_language,
            price_amount=data.price.amount,
            currency=self._currency(data.price),
            delivery_days=data.delivery_days,
            category_id=category and category.id,
            category=category and category.slug,
            tags=[term.slug for term in tags],
        )
        gig = to_gig(await repository.insert_gig(self.uow, owner_id, content, tags))
        await self._audit(permissions.GIG_CREATE, gig.id, after={"title": gig.title})
        return gig

    async def edit(self, gig_id: UUID, data: GigPatch, if_match: str | None) -> Gig:
        """Change a gig that is based on the version which `if_match` names. Without a difference its version stays.

        Raises:
            GigNotFound, NotYourGig, GigInWrongState: there is none that the principal may edit.
            PreconditionRequired, PreconditionFailed: `if_match` is missing or names another version.
            CurrencyNotOffered, TermUnknown, TitleTooShort: a value breaks a rule; `errors` says which.
        """
        row, _ = await self._lock(gig_id, "edit")
        check_if_match(if_match, row["version"])
        old = GigContent.of(row)
        tags = None if data.tags is UNSET else await self._tags(data.tags)
        new = msgspec.structs.replace(old, **await self._changes(data, tags))
        changed = [name for name in GigContent.__struct_fields__ if getattr(old, name) != getattr(new, name)]
        if not changed:
            return to_gig(row)
        if tags is not None and "tags" in changed:
            await repository.replace_tags(self.uow, gig_id, tags)
        gig = to_gig(await repository.update_gig(self.uow, gig_id, new))
        audited = [name for name in changed if name not in UNAUDITED]
        await self._audit(
            permissions.GIG_EDIT,
            gig_id,
            before={name: getattr(old, name) for name in audited},
            after={name: getattr(new, name) for name in audited},
        )
        return gig

    async def publish(self, gig_id: UUID) -> Gig:
        """Let everybody see and order a draft.

        Raises:
            GigNotFound, NotYourGig, GigInWrongState: there is none that the principal may publish.
        """
        gig = await self._move(gig_id, "publish", permissions.GIG_PUBLISH)
        await self.uow.emit(GigPublished(gig_id=gig.id, owner_id=gig.owner_id))
        return gig

    async def archive(self, gig_id: UUID) -> Gig:
        """Take a gig off the market for good: its owner, or a moderator. Orders that were placed go on.

        Raises:
            GigNotFound, NotYourGig, GigInWrongState: there is none that the principal may archive.
        """
        gig = await self._move(gig_id, "archive", permissions.GIG_ARCHIVE)
        await self.uow.emit(GigArchived(gig_id=gig.id, owner_id=gig.owner_id, archived_by=self.uow.principal.account))
        return gig

    async def delete(self, gig_id: UUID) -> None:
        """Delete a draft or an archived gig; `restore` undoes it. Deleting it twice changes nothing.

        Raises:
            GigNotFound, NotYourGig, GigInWrongState: there is none that the principal may delete.
        """
        row, _ = await self._lock(gig_id, "delete", deleted=True)
        if row["deleted_at"] is None:
            await repository.set_deleted(self.uow, gig_id, deleted=True)
            await self._audit(permissions.GIG_DELETE, gig_id, before={"deleted": False}, after={"deleted": True})

    async def restore(self, gig_id: UUID) -> Gig:
        """Bring a deleted gig back, in the state that it had. Restoring what is there changes nothing.

        Raises:
            GigNotFound, NotYourGig: there is none that the principal may restore.
        """
        row, _ = await self._lock(gig_id, "delete", deleted=True)
        if row["deleted_at"] is not None:
            row = await repository.set_deleted(self.uow, gig_id, deleted=False)
            await self._audit(permissions.GIG_DELETE, gig_id, before={"deleted": True}, after={"deleted": False})
        return to_gig(row)

    async def get(self, gig_id: UUID) -> tuple[int, str]:
        """A gig's version and its JSON (`Gig`): published gigs for everybody, others for their owner.

        Raises:
            GigNotFound: there is none that the principal may see.
        """
        principal = self.uow.principal
        found = await repository.get_gig(
            self.uow, gig_id, account_id=principal.account_id, is_moderator=principal.may(permissions.GIG_MODERATE)
        )
        if found is None:
            raise _not_found()
        return found

    async def list_published(
        self, *, owner_id: UUID | None, category: str | None, tag: str | None, limit: int, cursor: str | None
    ) -> bytes:
        """The JSON of a page of published gigs (`GigSummary`), newest first.

        Raises:
            InvalidCursor: the cursor is not of this list.
        """
        after: Any = decode_cursor(cursor, (datetime, UUID))
        return await repository.list_published_gigs(
            self.uow, owner_id=owner_id, category=category, tag=tag, limit=limit, after=after
        )

    async def list_own(self, *, limit: int, cursor: str | None) -> bytes:
        """The JSON of a page of the principal's gigs (`GigSummary`) in all states, the last drafted first.

        Raises:
            InvalidCursor: the cursor is not of this list.
        """
        after: Any = decode_cursor(cursor, (UUID,))
        return await repository.list_own_gigs(self.uow, self.uow.principal.account, limit=limit, after=after)

    async def search(self, query: str, *, language: str | None, limit: int, cursor: str | None) -> bytes:
        """The JSON of a page of the published gigs (`GigSummary`) that match `query`, the best first.

        `query` is what people type into search boxes: words, "phrases", or, -excluded. `language` (ISO 639-1) is the
        one whose word forms count as one word.

        Raises:
            InvalidCursor: the cursor is not of this list.
        """
        after: Any = decode_cursor(cursor, (float, UUID))
        language = language or self._settings.default_language
        return await repository.search_gigs(self.uow, query, language, limit=limit, after=after)

    async def _move(self, gig_id: UUID, action: str, permission: str) -> Gig:
        """Do an action that changes the state, and audit it."""
        row, state = await self._lock(gig_id, action)
        gig = to_gig(await repository.set_state(self.uow, gig_id, state))
        await self._audit(permission, gig_id, before={"state": row["state"]}, after={"state": state})
        return gig

    async def _lock(self, gig_id: UUID, action: str, *, deleted: bool = False) -> tuple[Record, str]:
        """The gig's row, locked, and the state that `action` by the principal leads to.

        A deleted gig is not found, unless `deleted`.
        """
        row = await repository.lock_gig(self.uow, gig_id)
        if row is None:
            raise _not_found()
        principal = self.uow.principal
        is_owner = row["owner_id"] == principal.account_id
        is_hidden = row["state"] == "draft" or row["deleted_at"] is not None
        if (is_hidden and not is_owner) or (row["deleted_at"] is not None and not deleted):
            raise _not_found()
        party: Party = "owner" if is_owner else "moderator"
        if not is_owner and not principal.may(permissions.GIG_MODERATE):
            raise NotYourGig("Only its owner may do this to a gig.")
        return row, next_state(
            GIGS, row["state"], action, party, noun="gig", forbidden=NotYourGig, wrong=GigInWrongState
        )

    async def _changes(self, data: GigPatch, tags: Sequence[TermView] | None) -> dict[str, Any]:
        """The patch by column."""
        changes: dict[str, Any] = {
            name: value
            for name in ("description", "language", "delivery_days")
            if (value := getattr(data, name)) is not UNSET
        }
        if data.title is not UNSET:
            changes["title"] = _title(data.title)
        if data.price is not UNSET:
            changes |= {"price_amount": data.price.amount, "currency": self._currency(data.price)}
        if data.category is not UNSET:
            category = await self._category(data.category)
            changes |= {"category_id": category and category.id, "category": category and category.slug}
        if tags is not None:
            changes["tags"] = [term.slug for term in tags]
        return changes

    def _currency(self, price: Price) -> str:
        offered = self._settings.currencies
        if price.currency not in offered:
            raise CurrencyNotOffered(
                "Choose another currency.",
                errors=[FieldError("/price/currency", f"must be one of {', '.join(offered)}")],
            )
        return price.currency

    async def _category(self, slug: str | None) -> TermView | None:
        if slug is None:
            return None
        return (await self._terms(CATEGORIES, [slug], ["/category"]))[0]

    async def _tags(self, slugs: Sequence[str]) -> list[TermView]:
        """The terms of a gig's tags; one that is there twice counts once."""
        unique = list(dict.fromkeys(slugs))
        return await self._terms(SKILLS, unique, [f"/tags/{slugs.index(slug)}" for slug in unique])

    async def _terms(self, taxonomy: str, slugs: Sequence[str], pointers: Sequence[str]) -> list[TermView]:
        """The terms of `slugs`, which stand at `pointers` in the request."""
        try:
            return await self.uow.service(Taxonomies).resolve(self.uow, taxonomy, slugs)
        except InvalidInput as error:
            places = {f"/{place}": pointer for place, pointer in enumerate(pointers)}
            errors = [FieldError(places.get(each.pointer, each.pointer), each.detail) for each in error.errors]
            raise TermUnknown(error.detail, errors=errors) from error

    async def _audit(self, action: str, gig_id: UUID, **changes: Mapping[str, Any]) -> None:
        await self.uow.audit(action, object_type="gig", object_id=gig_id, **changes)

    @property
    def _settings(self) -> Settings:
        return self.uow.settings(Settings)


def _title(text: str) -> str:
    """A title without blanks around it."""
    title = text.strip()
    if len(title) < TITLE_MIN:
        raise TitleTooShort(
            "Write a longer title.", errors=[FieldError("/title", f"must have at least {TITLE_MIN} characters")]
        )
    return title


def _not_found() -> GigNotFound:
    return GigNotFound("There is no gig with this id.")
