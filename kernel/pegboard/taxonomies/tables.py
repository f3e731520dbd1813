"""The tables of taxonomies, as Piccolo sees them; their queries are SQL, in the repository and the seed."""

from piccolo.columns import UUID, Text, Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

__all__ = ("TABLES", "KernelTaxonomy", "KernelTaxonomyTerm")


class KernelTaxonomy(Table, tablename="kernel_taxonomies"):
    """A named list or tree of terms; shared by all tenants where it has none."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=True, default=None)
    name = Text(null=False, default=None)
    title = Text(null=False, default=None)
    plugin = Text(null=False, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


class KernelTaxonomyTerm(Table, tablename="kernel_taxonomy_terms"):
    """A term of a taxonomy; retired where its plugin no longer brings it."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=True, default=None)
    taxonomy_id = UUID(null=False, default=None)
    parent_id = UUID(null=True, default=None)
    slug = Text(null=False, default=None)
    label = Text(null=False, default=None)
    sort_key = Text(null=False, default=None)
    retired_at = Timestamptz(null=True, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


TABLES: tuple[type[Table], ...] = (KernelTaxonomy, KernelTaxonomyTerm)
