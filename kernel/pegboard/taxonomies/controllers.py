"""Taxonomies over HTTP: read by everybody, also who is not logged in."""

from typing import Annotated

from pegboard_sdk.errors import InvalidCursor
from pegboard_sdk.http import Controller, JsonBytes, PathParameter, QueryParameter, get
from pegboard_sdk.pagination import Cursor, Limit, Page
from pegboard_sdk.work import UnitOfWork

from pegboard.taxonomies.permissions import READ
from pegboard.taxonomies.schemas import Taxonomy, Term
from pegboard.taxonomies.service import TaxonomyNotFound, TaxonomyService

__all__ = ("CONTROLLERS", "TaxonomyController")

Name = Annotated[str, PathParameter(pattern="^[a-z][a-z0-9_]*$", max_length=63, description="The taxonomy's name.")]
Prefix = Annotated[
    str,
    QueryParameter(
        name="q",
        max_length=100,
        pattern=r"^[^\x00]*$",
        description="What the terms' labels begin with; case and accents don't matter.",
    ),
]


class TaxonomyController(Controller):
    """Taxonomies and their terms."""

    path = "/taxonomies"

    @get(permission=READ, errors=(InvalidCursor,))
    async def list_taxonomies(
        self, uow: UnitOfWork, limit: Limit = 20, cursor: Cursor = None
    ) -> JsonBytes[Page[Taxonomy]]:
        """List the taxonomies by name."""
        return JsonBytes(await TaxonomyService().list_all(uow, limit=limit, cursor=cursor))

    @get("/{name:str}/terms", permission=READ, errors=(InvalidCursor, TaxonomyNotFound))
    async def list_taxonomy_terms(
        self, name: Name, uow: UnitOfWork, prefix: Prefix = "", limit: Limit = 20, cursor: Cursor = None
    ) -> JsonBytes[Page[Term]]:
        """List a taxonomy's terms by label: all, or those that begin with `q`."""
        return JsonBytes(await TaxonomyService().list_terms(uow, name, prefix=prefix, limit=limit, cursor=cursor))


CONTROLLERS = (TaxonomyController,)
