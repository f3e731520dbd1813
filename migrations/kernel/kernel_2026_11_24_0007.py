"""Taxonomies: the terms that plugins tag things with."""

from pegboard_sdk.database import protect_table, sql_migration

ID = "2026-11-24T00:07:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Taxonomies and their terms"

# Rows without a tenant are what plugins brought (`plugin` says which); every tenant reads them, none changes them.
TAXONOMIES = """
CREATE TABLE kernel_taxonomies (
    id uuid PRIMARY KEY,
    tenant_id uuid REFERENCES kernel_tenants (id) ON DELETE RESTRICT,
    name text NOT NULL CHECK (name ~ '^[a-z][a-z0-9_]{0,62}$'),
    title text NOT NULL CHECK (length(title) BETWEEN 1 AND 200),
    plugin text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, id),
    UNIQUE NULLS NOT DISTINCT (tenant_id, name)
);
"""

# `sort_key` is the label without case and accents. Compared byte by byte ("C"), a prefix is a range of it, and ranges,
# unlike ILIKE, may use an index under row-level security. A term that its plugin no longer brings is retired, not
# deleted: things are still tagged with it. The indexes lead with the taxonomy, since shared terms have no tenant.
TERMS = """
CREATE TABLE kernel_taxonomy_terms (
    id uuid PRIMARY KEY,
    tenant_id uuid REFERENCES kernel_tenants (id) ON DELETE RESTRICT,
    taxonomy_id uuid NOT NULL REFERENCES kernel_taxonomies (id) ON DELETE CASCADE,
    parent_id uuid,
    slug text NOT NULL CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' AND length(slug) <= 100),
    label text NOT NULL CHECK (length(label) BETWEEN 1 AND 200),
    sort_key text COLLATE "C" NOT NULL,
    retired_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, id),
    UNIQUE (taxonomy_id, id),
    UNIQUE NULLS NOT DISTINCT (taxonomy_id, slug, tenant_id),
    FOREIGN KEY (taxonomy_id, parent_id) REFERENCES kernel_taxonomy_terms (taxonomy_id, id)
        ON DELETE SET NULL (parent_id)
);
CREATE INDEX kernel_taxonomy_terms_parent ON kernel_taxonomy_terms (taxonomy_id, parent_id);
CREATE INDEX kernel_taxonomy_terms_sort ON kernel_taxonomy_terms (taxonomy_id, sort_key, id) WHERE retired_at IS NULL;
"""


async def forwards():
    return sql_migration(
        app="kernel",
        id=ID,
        description=DESCRIPTION,
        forwards=(
            TAXONOMIES,
            TERMS,
            protect_table("kernel_taxonomies", privileges="SELECT, INSERT, UPDATE", shared=True),
            protect_table("kernel_taxonomy_terms", privileges="SELECT, INSERT, UPDATE", shared=True),
        ),
        backwards=("DROP TABLE kernel_taxonomy_terms, kernel_taxonomies",),
    )
