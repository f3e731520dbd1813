"""Gigs over HTTP."""

from typing import Annotated
from uuid import UUID

from pegboard_sdk import UnitOfWork
from pegboard_sdk.errors import InvalidCursor, PreconditionFailed, PreconditionRequired
from pegboard_sdk.http import (
    Controller,
    IfMatch,
    JsonBytes,
    QueryParameter,
    Response,
    delete,
    get,
    patch,
    post,
    with_etag,
)
from pegboard_sdk.pagination import Cursor, Limit, Page

from pegboard_creation_studio import permissions
from pegboard_creation_studio.errors import (
    CurrencyNotOffered,
    GigInWrongState,
    GigNotFound,
    NotYourGig,
    TermUnknown,
    TitleTooShort,
)
from pegboard_creation_studio.schemas import Gig, GigCreate, GigPatch, GigSummary
from pegboard_creation_studio.service.gigs import GigService

__all__ = ("GigController",)

REFUSED_VALUES = (CurrencyNotOffered, TermUnknown, TitleTooShort)
REFUSED_CHANGES = (GigNotFound, NotYourGig, GigInWrongState)

Owner = Annotated[UUID | None, QueryParameter(name="owner", description="The account that offers the gigs.")]
Category = Annotated[
    str | None,
    QueryParameter(
        name="category", max_length=100, pattern="^[a-z0-9-]+$", description="A slug of `service_categories`."
    ),
]
Tag = Annotated[
    str | None, QueryParameter(name="tag", max_length=100, pattern="^[a-z0-9-]+$", description="A slug of `skills`.")
]
Words = Annotated[
    str,
    QueryParameter(
        name="q",
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00]*$",
        description='Words to find; "a phrase", or, and -excluded words are understood.',
    ),
]
Language = Annotated[
    str | None,
    QueryParameter(
        name="language", pattern="^[a-z]{2}$", description="The language whose word forms count as one (ISO 639-1)."
    ),
]


class GigController(Controller):
    """Services that providers offer."""

    path = "/gigs"

    @get(permission=permissions.GIG_READ, errors=(InvalidCursor,))
    async def list_gigs(
        self,
        uow: UnitOfWork,
        owner: Owner = None,
        category: Category = None,
        tag: Tag = None,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> JsonBytes[Page[GigSummary]]:
        """List published gigs, newest first."""
        return JsonBytes(
            await GigService(uow).list_published(owner_id=owner, category=category, tag=tag, limit=limit, cursor=cursor)
        )

    @get("/search", permission=permissions.GIG_READ, errors=(InvalidCursor,))
    async def search_gigs(
        self, words: Words, uow: UnitOfWork, language: Language = None, limit: Limit = 20, cursor: Cursor = None
    ) -> JsonBytes[Page[GigSummary]]:
        """Search published gigs, the best match first."""
        return JsonBytes(await GigService(uow).search(words, language=language, limit=limit, cursor=cursor))

    @get("/mine", permission=permissions.GIG_EDIT, errors=(InvalidCursor,))
    async def list_own_gigs(
        self, uow: UnitOfWork, limit: Limit = 20, cursor: Cursor = None
    ) -> JsonBytes[Page[GigSummary]]:
        """List one's own gigs, drafts and archived ones too, the last drafted first."""
        return JsonBytes(await GigService(uow).list_own(limit=limit, cursor=cursor))

    @get("/{gig_id:uuid}", permission=permissions.GIG_READ, errors=(GigNotFound,))
    async def read_gig(self, gig_id: UUID, uow: UnitOfWork) -> JsonBytes[Gig]:
        """Show a published gig, or one's own. The ETag is what edits are based on."""
        version, content = await GigService(uow).get(gig_id)
        return JsonBytes(content, headers={"ETag": f'"{version}"'})

    @post(permission=permissions.GIG_CREATE, errors=REFUSED_VALUES)
    async def create_gig(self, data: GigCreate, uow: UnitOfWork) -> Response[Gig]:
        """Draft a gig."""
        gig = await GigService(uow).create(data)
        return with_etag(gig, gig.version, status_code=201)

    @patch(
        "/{gig_id:uuid}",
        permission=permissions.GIG_EDIT,
        errors=(*REFUSED_CHANGES, *REFUSED_VALUES, PreconditionFailed, PreconditionRequired),
    )
    async def update_gig(
        self, gig_id: UUID, data: GigPatch, uow: UnitOfWork, if_match: IfMatch = None
    ) -> Response[Gig]:
        """Change one's gig."""
        gig = await GigService(uow).edit(gig_id, data, if_match)
        return with_etag(gig, gig.version)

    @delete("/{gig_id:uuid}", permission=permissions.GIG_DELETE, errors=REFUSED_CHANGES)
    async def delete_gig(self, gig_id: UUID, uow: UnitOfWork) -> None:
        """Delete one's draft or archived gig; restoring it is possible."""
        await GigService(uow).delete(gig_id)

    @post("/{gig_id:uuid}/restore", permission=permissions.GIG_DELETE, status=200, errors=REFUSED_CHANGES)
    async def restore_gig(self, gig_id: UUID, uow: UnitOfWork) -> Response[Gig]:
        """Bring one's deleted gig back."""
        gig = await GigService(uow).restore(gig_id)
        return with_etag(gig, gig.version)

    @post("/{gig_id:uuid}/publish", permission=permissions.GIG_PUBLISH, status=200, errors=REFUSED_CHANGES)
    async def publish_gig(self, gig_id: UUID, uow: UnitOfWork) -> Response[Gig]:
        """Publish one's draft: everybody can see and order it."""
        gig = await GigService(uow).publish(gig_id)
        return with_etag(gig, gig.version)

    @post("/{gig_id:uuid}/archive", permission=permissions.GIG_ARCHIVE, status=200, errors=REFUSED_CHANGES)
    async def archive_gig(self, gig_id: UUID, uow: UnitOfWork) -> Response[Gig]:
        """Archive one's gig, or as a moderator anybody's: it can't be ordered any more."""
        gig = await GigService(uow).archive(gig_id)
        return with_etag(gig, gig.version)
