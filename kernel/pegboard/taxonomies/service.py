"""The rules of taxonomies; `TaxonomyService` is `pegboard_sdk.services.Taxonomies`, offered by the kernel."""

from collections.abc import Sequence
from uuid import UUID

from pegboard_sdk.errors import FieldError, InvalidInput, NotFound
from pegboard_sdk.pagination import decode_cursor
from pegboard_sdk.services import Service, Taxonomies, TermView
from pegboard_sdk.work import UnitOfWork

from pegboard.taxonomies import repository

__all__ = ("SERVICES", "TaxonomyNotFound", "TaxonomyService", "TermUnknown")


class TaxonomyNotFound(NotFound):
    """There is no taxonomy of this name."""

    code = "taxonomy_not_found"


class TermUnknown(InvalidInput):
    """A slug is not one of the taxonomy's. Each error's pointer is the slug's place in the list: `/0`, `/1`, …"""

    code = "taxonomy_term_unknown"


class TaxonomyService:
    """Reads taxonomies; it keeps nothing between calls."""

    async def list_all(self, uow: UnitOfWork, *, limit: int, cursor: str | None) -> bytes:
        """The JSON of a page of taxonomies, by name.

        Raises:
            InvalidCursor: the cursor is not of this list.
        """
        return await repository.list_taxonomies(uow, limit=limit, after=decode_cursor(cursor, (str, UUID)))

    async def list_terms(self, uow: UnitOfWork, taxonomy: str, *, prefix: str, limit: int, cursor: str | None) -> bytes:
        """The JSON of a page of the taxonomy's terms whose labels begin with `prefix`, by label.

        Raises:
            InvalidCursor: the cursor is not of this list.
            TaxonomyNotFound: there is no such taxonomy.
        """
        after = decode_cursor(cursor, (str, UUID))
        page = await repository.list_terms(uow, taxonomy, prefix=prefix, limit=limit, after=after)
        if page is None:
            raise TaxonomyNotFound("There is no taxonomy of this name: GET /api/v1/taxonomies lists them.")
        return page

    async def resolve(self, uow: UnitOfWork, taxonomy: str, slugs: Sequence[str]) -> list[TermView]:
        """The terms, in the order of `slugs`.

        Raises:
            TermUnknown: a slug is unknown or retired; `errors` names each by its place.
        """
        if not slugs:
            return []
        rows = await repository.resolve_terms(uow, taxonomy, slugs)
        found = {row["slug"]: TermView(row["id"], row["slug"], row["label"]) for row in rows}
        unknown = [(place, slug) for place, slug in enumerate(slugs) if slug not in found]
        if unknown:
            raise TermUnknown(
                f"GET /api/v1/taxonomies/{taxonomy}/terms lists the terms that can be used.",
                errors=[FieldError(f"/{place}", f"{slug!r} is not a term of {taxonomy}") for place, slug in unknown],
            )
        return [found[slug] for slug in slugs]


SERVICES = (Service(Taxonomies, TaxonomyService()),)
