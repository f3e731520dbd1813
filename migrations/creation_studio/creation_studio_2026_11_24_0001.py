"""Gigs and their tags, the search through them, and orders with their deliveries."""

from pegboard_sdk.database import protect_table, sql_migration

ID = "2026-11-24T00:01:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Gigs, full-text search, orders"

# Case, accents and compatibility forms don't matter to who searches. Bodies in the form RETURN … are parsed here and
# now: what they call does not depend on the caller's search path.
SEARCH_TEXT = r"""
CREATE FUNCTION creation_studio_fold(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN regexp_replace(replace(lower(normalize(value, NFKD)), 'ß', 'ss'), '[\u0300-\u036f]', '', 'g');

CREATE FUNCTION creation_studio_text_search(language text) RETURNS regconfig LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE language
    WHEN 'ar' THEN 'pg_catalog.arabic'::regconfig
    WHEN 'da' THEN 'pg_catalog.danish'::regconfig
    WHEN 'de' THEN 'pg_catalog.german'::regconfig
    WHEN 'el' THEN 'pg_catalog.greek'::regconfig
    WHEN 'en' THEN 'pg_catalog.english'::regconfig
    WHEN 'es' THEN 'pg_catalog.spanish'::regconfig
    WHEN 'fi' THEN 'pg_catalog.finnish'::regconfig
    WHEN 'fr' THEN 'pg_catalog.french'::regconfig
    WHEN 'hu' THEN 'pg_catalog.hungarian'::regconfig
    WHEN 'it' THEN 'pg_catalog.italian'::regconfig
    WHEN 'nl' THEN 'pg_catalog.dutch'::regconfig
    WHEN 'no' THEN 'pg_catalog.norwegian'::regconfig
    WHEN 'pt' THEN 'pg_catalog.portuguese'::regconfig
    WHEN 'ro' THEN 'pg_catalog.romanian'::regconfig
    WHEN 'ru' THEN 'pg_catalog.russian'::regconfig
    WHEN 'sv' THEN 'pg_catalog.swedish'::regconfig
    WHEN 'tr' THEN 'pg_catalog.turkish'::regconfig
    ELSE 'pg_catalog.simple'::regconfig
END;
"""

# Words are kept as they are and, beside that, as their stems in the gig's language: who searches in another language
# still finds whole words. Titles weigh most, then category and tags, then descriptions.
SEARCH_DOCUMENT = """
CREATE FUNCTION creation_studio_lexemes(language text, value text) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN to_tsvector(creation_studio_text_search(language), creation_studio_fold(value))
    || to_tsvector('pg_catalog.simple'::regconfig, creation_studio_fold(value));

CREATE FUNCTION creation_studio_gig_document(
    language text, title text, category text, tags text[], description text
) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN setweight(creation_studio_lexemes(language, title), 'A')
    || setweight(
        creation_studio_lexemes(language, replace(concat_ws(' ', category, array_to_string(tags, ' ')), '-', ' ')), 'B')
    || setweight(creation_studio_lexemes(language, description), 'D');

CREATE FUNCTION creation_studio_search_query(language text, value text) RETURNS tsquery
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN websearch_to_tsquery(creation_studio_text_search(language), creation_studio_fold(value))
    || websearch_to_tsquery('pg_catalog.simple'::regconfig, creation_studio_fold(value));
"""

GIGS = """
CREATE TABLE creation_studio_gigs (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    owner_id uuid NOT NULL,
    state text NOT NULL DEFAULT 'draft' CHECK (state IN ('draft', 'published', 'archived')),
    title text NOT NULL CHECK (length(title) BETWEEN 5 AND 120),
    description text NOT NULL DEFAULT '' CHECK (length(description) <= 10000),
    language text NOT NULL CHECK (language ~ '^[a-z]{2}$'),
    price_amount bigint NOT NULL CHECK (price_amount BETWEEN 1 AND 1000000000),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    delivery_days integer NOT NULL CHECK (delivery_days BETWEEN 1 AND 365),
    category_id uuid REFERENCES kernel_taxonomy_terms (id) ON DELETE RESTRICT,
    category text,
    tags text[] NOT NULL DEFAULT '{}' CHECK (cardinality(tags) <= 10),
    version integer NOT NULL DEFAULT 1,
    published_at timestamptz,
    deleted_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    document tsvector GENERATED ALWAYS AS (
        creation_studio_gig_document(language, title, category, tags, description)
    ) STORED,
    UNIQUE (tenant_id, id),
    CHECK ((category_id IS NULL) = (category IS NULL)),
    CHECK (state <> 'published' OR (published_at IS NOT NULL AND deleted_at IS NULL)),
    FOREIGN KEY (tenant_id, owner_id) REFERENCES kernel_accounts (tenant_id, id) ON DELETE RESTRICT
);
CREATE INDEX creation_studio_gigs_newest ON creation_studio_gigs (tenant_id, published_at DESC, id DESC)
    WHERE state = 'published';
CREATE INDEX creation_studio_gigs_owner_newest ON creation_studio_gigs (tenant_id, owner_id, published_at DESC, id DESC)
    WHERE state = 'published';
CREATE INDEX creation_studio_gigs_category_newest
    ON creation_studio_gigs (tenant_id, category, published_at DESC, id DESC) WHERE state = 'published';
CREATE INDEX creation_studio_gigs_owner ON creation_studio_gigs (tenant_id, owner_id, id DESC);
CREATE INDEX creation_studio_gigs_category ON creation_studio_gigs (category_id);
CREATE INDEX creation_studio_gigs_document ON creation_studio_gigs USING gin (document) WHERE state = 'published';
"""

# `creation_studio_gigs.tags` is what answers show; these rows are what lists are filtered by, and what keeps a term
# from being deleted while a gig has it. Shared terms have no tenant, so the foreign key to them can't name one.
GIG_TAGS = """
CREATE TABLE creation_studio_gig_tags (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    gig_id uuid NOT NULL,
    term_id uuid NOT NULL REFERENCES kernel_taxonomy_terms (id) ON DELETE RESTRICT,
    slug text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, id),
    UNIQUE (tenant_id, gig_id, slug),
    FOREIGN KEY (tenant_id, gig_id) REFERENCES creation_studio_gigs (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX creation_studio_gig_tags_slug ON creation_studio_gig_tags (tenant_id, slug, gig_id);
CREATE INDEX creation_studio_gig_tags_term ON creation_studio_gig_tags (term_id);
"""

# Row-level security hides rows before any operator that might tell of them is asked, and `@@` might: as the
# application, PostgreSQL reads all of a tenant's gigs instead of the index. This function runs as *system*, which sees
# all rows, and filters by the tenant itself; it gives ids, and the rows are read under row-level security by who calls
# it. A query that only excludes words is no search: it would list everything. The cursor is the last row's rank and id.
# MATERIALIZED, or the query is parsed again for each row.
SEARCH = """
CREATE FUNCTION creation_studio_search_gigs(query text, language text, after_rank real, after_id uuid)
RETURNS TABLE (gig_id uuid, rank real)
LANGUAGE sql STABLE SECURITY DEFINER ROWS 101 SET search_path = pg_catalog, pg_temp AS $$
    WITH search AS MATERIALIZED (SELECT public.creation_studio_search_query($2, $1) AS query)
    SELECT found.id, found.rank
    FROM (
        SELECT g.id, ts_rank(g.document, search.query) AS rank
        FROM search, public.creation_studio_gigs g
        WHERE querytree(search.query) NOT IN ('', 'T')
            AND g.tenant_id = (SELECT public.kernel_current_tenant())
            AND g.state = 'published'
            AND g.document @@ search.query
    ) found
    WHERE $4 IS NULL OR (found.rank, found.id) < ($3, $4)
    ORDER BY found.rank DESC, found.id DESC
    LIMIT 101
$$;
ALTER FUNCTION creation_studio_search_gigs(text, text, real, uuid) OWNER TO pegboard_system;
"""

ORDERS = """
CREATE TABLE creation_studio_orders (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    gig_id uuid NOT NULL,
    buyer_id uuid NOT NULL,
    seller_id uuid NOT NULL,
    escrow_id uuid NOT NULL,
    state text NOT NULL DEFAULT 'pending_payment' CHECK (
        state IN ('pending_payment', 'in_progress', 'delivered', 'completed', 'cancelled', 'refunded')
    ),
    gig_title text NOT NULL,
    price_amount bigint NOT NULL CHECK (price_amount BETWEEN 1 AND 1000000000),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    delivery_days integer NOT NULL CHECK (delivery_days BETWEEN 1 AND 365),
    note text NOT NULL DEFAULT '' CHECK (length(note) <= 2000),
    due_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, id),
    UNIQUE (tenant_id, escrow_id),
    CHECK (buyer_id <> seller_id),
    CHECK (state NOT IN ('in_progress', 'delivered', 'completed') OR due_at IS NOT NULL),
    FOREIGN KEY (tenant_id, gig_id) REFERENCES creation_studio_gigs (tenant_id, id) ON DELETE RESTRICT,
    FOREIGN KEY (tenant_id, buyer_id) REFERENCES kernel_accounts (tenant_id, id) ON DELETE RESTRICT,
    FOREIGN KEY (tenant_id, seller_id) REFERENCES kernel_accounts (tenant_id, id) ON DELETE RESTRICT
);
CREATE INDEX creation_studio_orders_buyer ON creation_studio_orders (tenant_id, buyer_id, id DESC);
CREATE INDEX creation_studio_orders_seller ON creation_studio_orders (tenant_id, seller_id, id DESC);
CREATE INDEX creation_studio_orders_gig ON creation_studio_orders (tenant_id, gig_id);
"""

DELIVERIES = """
CREATE TABLE creation_studio_order_deliveries (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    order_id uuid NOT NULL,
    message text NOT NULL CHECK (length(message) BETWEEN 1 AND 5000),
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, id),
    FOREIGN KEY (tenant_id, order_id) REFERENCES creation_studio_orders (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX creation_studio_order_deliveries_order ON creation_studio_order_deliveries (tenant_id, order_id, id);
"""


async def forwards():
    return sql_migration(
        app="creation_studio",
        id=ID,
        description=DESCRIPTION,
        forwards=(
            SEARCH_TEXT,
            SEARCH_DOCUMENT,
            GIGS,
            GIG_TAGS,
            ORDERS,
            DELIVERIES,
            protect_table("creation_studio_gigs", privileges="SELECT, INSERT, UPDATE"),
            protect_table("creation_studio_gig_tags", privileges="SELECT, INSERT, DELETE"),
            protect_table("creation_studio_orders", privileges="SELECT, INSERT, UPDATE"),
            protect_table("creation_studio_order_deliveries", privileges="SELECT, INSERT"),
            SEARCH,
        ),
        backwards=(
            "DROP FUNCTION creation_studio_search_gigs(text, text, real, uuid)",
            "DROP TABLE creation_studio_order_deliveries, creation_studio_orders",
            "DROP TABLE creation_studio_gig_tags, creation_studio_gigs",
            "DROP FUNCTION creation_studio_search_query(text, text)",
            "DROP FUNCTION creation_studio_gig_document(text, text, text, text[], text)",
            "DROP FUNCTION creation_studio_lexemes(text, text)",
            "DROP FUNCTION creation_studio_text_search(text)",
            "DROP FUNCTION creation_studio_fold(text)",
        ),
    )
