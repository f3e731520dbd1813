"""What each plugin's migrations made, what was uninstalled, and what is left to say of records that are gone."""

from pegboard_sdk.database import protect_table, sql_migration

ID = "2026-11-24T00:11:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "What plugins made, uninstall receipts, record types, tombstones"

# Everything in the database that somebody made and that has a name of its own, outside the server's own schemas. What
# only comes along is left out: row and array types, toast tables, a range type's functions, what belongs to extensions.
# So are NOT NULL constraints: PostgreSQL has them as objects since 18 only. `relation` is the table that an object is a
# part of and goes with; `root` is the name that a plugin's prefix is looked for in.
OBJECTS = r"""
CREATE VIEW kernel_schema_objects AS
WITH spaces AS (
    SELECT oid FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
), relations AS (
    SELECT c.oid, c.relname, c.relkind FROM pg_class c WHERE c.relnamespace IN (SELECT oid FROM spaces)
), things AS (
    SELECT 'pg_namespace'::regclass::oid AS classid, n.oid AS objid, 0 AS objsubid, NULL::oid AS relation,
           n.nspname AS name, n.nspname AS root
    FROM pg_namespace n JOIN spaces USING (oid) WHERE n.nspname <> 'public'
    UNION ALL
    SELECT 'pg_class'::regclass, r.oid, 0,
           coalesce(i.indrelid, (SELECT d.refobjid FROM pg_depend d
               WHERE r.relkind = 'S' AND d.classid = 'pg_class'::regclass AND d.objid = r.oid
               AND d.deptype IN ('a', 'i') AND d.refclassid = 'pg_class'::regclass LIMIT 1)),
           r.relname, coalesce((SELECT t.relname FROM pg_class t WHERE t.oid = i.indrelid), r.relname)
    FROM relations r LEFT JOIN pg_index i ON i.indexrelid = r.oid
    WHERE r.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'i', 'I')
    UNION ALL
    SELECT 'pg_class'::regclass, r.oid, a.attnum, r.oid, a.attname, r.relname
    FROM relations r JOIN pg_attribute a ON a.attrelid = r.oid
    WHERE r.relkind IN ('r', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT 'pg_constraint'::regclass, c.oid, 0, c.conrelid, c.conname, r.relname
    FROM pg_constraint c JOIN relations r ON r.oid = c.conrelid WHERE c.contype IN ('c', 'f', 'p', 'u', 'x')
    UNION ALL
    SELECT 'pg_trigger'::regclass, t.oid, 0, t.tgrelid, t.tgname, r.relname
    FROM pg_trigger t JOIN relations r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal
    UNION ALL
    SELECT 'pg_policy'::regclass, p.oid, 0, p.polrelid, p.polname, r.relname
    FROM pg_policy p JOIN relations r ON r.oid = p.polrelid
    UNION ALL
    SELECT 'pg_rewrite'::regclass, w.oid, 0, w.ev_class, w.rulename, r.relname
    FROM pg_rewrite w JOIN relations r ON r.oid = w.ev_class WHERE w.rulename <> '_RETURN'
    UNION ALL
    SELECT 'pg_statistic_ext'::regclass, s.oid, 0, s.stxrelid, s.stxname, r.relname
    FROM pg_statistic_ext s JOIN relations r ON r.oid = s.stxrelid
    UNION ALL
    SELECT 'pg_proc'::regclass, oid, 0, NULL, proname, proname FROM pg_proc
    WHERE pronamespace IN (SELECT oid FROM spaces)
    UNION ALL
    SELECT 'pg_type'::regclass, t.oid, 0, NULL, t.typname, t.typname FROM pg_type t
    WHERE t.typnamespace IN (SELECT oid FROM spaces)
    AND (t.typtype IN ('e', 'd', 'r') OR (SELECT c.relkind = 'c' FROM pg_class c WHERE c.oid = t.typrelid))
    UNION ALL
    SELECT 'pg_operator'::regclass, oid, 0, NULL, oprname, oprname FROM pg_operator
    WHERE oprnamespace IN (SELECT oid FROM spaces)
    UNION ALL
    SELECT 'pg_collation'::regclass, oid, 0, NULL, collname, collname FROM pg_collation
    WHERE collnamespace IN (SELECT oid FROM spaces)
    UNION ALL
    SELECT 'pg_ts_dict'::regclass, oid, 0, NULL, dictname, dictname FROM pg_ts_dict
    WHERE dictnamespace IN (SELECT oid FROM spaces)
    UNION ALL
    SELECT 'pg_ts_config'::regclass, oid, 0, NULL, cfgname, cfgname FROM pg_ts_config
    WHERE cfgnamespace IN (SELECT oid FROM spaces)
    UNION ALL
    SELECT 'pg_extension'::regclass, oid, 0, NULL, extname, extname FROM pg_extension WHERE extname <> 'plpgsql'
)
SELECT t.classid, t.objid, t.objsubid, t.relation, t.name::text, t.root::text, i.type AS kind, i.identity
FROM things t, pg_identify_object(t.classid, t.objid, t.objsubid) i
WHERE NOT EXISTS (
    SELECT FROM pg_depend d
    WHERE d.classid = t.classid AND d.objid = coalesce(
        CASE WHEN t.classid = 'pg_class'::regclass AND t.objsubid > 0 THEN t.relation END, t.objid)
    AND (d.deptype = 'e' OR d.deptype = 'i' AND d.classid = 'pg_proc'::regclass)
);
REVOKE ALL ON kernel_schema_objects FROM PUBLIC, pegboard_app;
"""

# By identity, not by number: numbers don't survive a restored backup. `number` keeps the order in which things were
# made; without a `migration` an entry was derived from its name, since the migration had run before this table was.
MADE = """
CREATE TABLE kernel_plugin_objects (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    plugin text NOT NULL,
    migration text,
    kind text NOT NULL,
    identity text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (kind, identity)
);
CREATE INDEX kernel_plugin_objects_plugin ON kernel_plugin_objects (plugin, number);
REVOKE ALL ON kernel_plugin_objects FROM PUBLIC, pegboard_app;
"""

# Of two plugins whose names begin an object's name, the longer one is meant.
BACK_FILL = """
INSERT INTO kernel_plugin_objects (plugin, kind, identity)
SELECT app.name, o.kind, o.identity
FROM kernel_schema_objects o CROSS JOIN LATERAL (
    SELECT DISTINCT m.app_name AS name, length(m.app_name) AS length FROM migration m
    WHERE m.app_name <> 'kernel' AND starts_with(o.root, m.app_name || '_')
    ORDER BY length DESC LIMIT 1
) app
ORDER BY o.objid, o.objsubid
"""

# What was said to whoever uninstalled a plugin, signed. Nobody changes it: it is what is left of the plugin.
RECEIPTS = """
CREATE TABLE kernel_plugin_receipts (
    id uuid PRIMARY KEY,
    plugin text NOT NULL,
    action text NOT NULL CONSTRAINT kernel_plugin_receipts_action CHECK (action IN ('keep', 'export', 'purge')),
    receipt text NOT NULL,
    key_id text NOT NULL,
    signature bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX kernel_plugin_receipts_plugin ON kernel_plugin_receipts (plugin, id);
REVOKE ALL ON kernel_plugin_receipts FROM PUBLIC, pegboard_app;
REVOKE UPDATE, DELETE, TRUNCATE ON kernel_plugin_receipts FROM pegboard_system;
"""

# What plugins said of their records when they were on last: it has to be known when their code is not.
DECLARATIONS = """
CREATE TABLE kernel_record_types (
    name text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_]*[.][a-z][a-z0-9_]*$'),
    plugin text NOT NULL,
    relation text NOT NULL,
    key text NOT NULL,
    label text NOT NULL,
    deleted text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE kernel_reference_columns (
    relation text NOT NULL,
    attribute text NOT NULL,
    plugin text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (relation, attribute)
);
ALTER TABLE kernel_record_types ENABLE ROW LEVEL SECURITY;
ALTER TABLE kernel_record_types FORCE ROW LEVEL SECURITY;
CREATE POLICY readable ON kernel_record_types FOR SELECT TO pegboard_app USING (true);
CREATE POLICY system_access ON kernel_record_types TO pegboard_system USING (true) WITH CHECK (true);
GRANT SELECT ON kernel_record_types TO pegboard_app;
"""

TOMBSTONES = """
CREATE TABLE kernel_tombstones (
    tenant_id uuid NOT NULL,
    reference text NOT NULL,
    label text,
    plugin text NOT NULL,
    purged_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, reference)
)
"""

# One round trip for any number of references to any number of plugins' records. It runs as who calls it, so row-level
# security shows it no other tenant's. Names and expressions are those that enabled plugins declared. Inside of the
# lateral query nothing but the record's own columns can be meant; keys are compared as UUIDs, which an index serves. A
# declaration that doesn't work is its plugin's failure, not that of whoever refers to its records.
DESCRIBE = """
CREATE FUNCTION kernel_describe_records(wanted text[])
RETURNS TABLE (reference text, plugin text, label text, found text) LANGUAGE plpgsql STABLE AS $$
DECLARE
    type record;
BEGIN
    RETURN QUERY
        SELECT t.reference, t.plugin, t.label, 'tombstone' FROM kernel_tombstones t WHERE t.reference = ANY (wanted);
    FOR type IN
        SELECT * FROM kernel_record_types r
        WHERE r.name IN (SELECT split_part(w, ':', 1) FROM unnest(wanted) w) AND to_regclass(r.relation) IS NOT NULL
    LOOP
      BEGIN
        RETURN QUERY EXECUTE format(
            'SELECT w.reference, $2, record.label,'
            ' CASE WHEN record.deleted IS NULL THEN ''missing'' WHEN record.deleted THEN ''deleted'' ELSE ''row'' END'
            ' FROM (SELECT r AS reference, kernel_referenced_id(r) AS referenced_id FROM unnest($1) r'
            '       WHERE split_part(r, '':'', 1) = $3) w'
            ' LEFT JOIN LATERAL (SELECT (%1$s)::text AS label, coalesce((%2$s), false) AS deleted FROM %3$I'
            '                    WHERE %4$I = w.referenced_id) record ON true',
            type.label, type.deleted, type.relation, type.key)
        USING wanted, type.plugin, type.name;
      EXCEPTION WHEN syntax_error_or_access_rule_violation OR data_exception OR raise_exception THEN
        RAISE WARNING 'records of the type % can''t be named: %', type.name, SQLERRM;
      END;
    END LOOP;
END
$$
"""

# What isn't a UUID is no record's, and no error.
REFERENCED_ID = """
CREATE FUNCTION kernel_referenced_id(reference text) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN split_part(reference, ':', 2) ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
                THEN split_part(reference, ':', 2)::uuid END
$$
"""


async def forwards():
    return sql_migration(
        app="kernel",
        id=ID,
        description=DESCRIPTION,
        forwards=(
            OBJECTS,
            MADE,
            BACK_FILL,
            RECEIPTS,
            DECLARATIONS,
            TOMBSTONES,
            protect_table("kernel_tombstones", privileges="SELECT"),
            REFERENCED_ID,
            DESCRIBE,
        ),
        backwards=(
            "DROP FUNCTION kernel_describe_records(text[])",
            "DROP FUNCTION kernel_referenced_id(text)",
            "DROP TABLE kernel_tombstones, kernel_reference_columns, kernel_record_types, kernel_plugin_receipts",
            "DROP TABLE kernel_plugin_objects",
            "DROP VIEW kernel_schema_objects",
        ),
    )
