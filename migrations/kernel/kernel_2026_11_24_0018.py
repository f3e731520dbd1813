"""References that are bare keys, records whose keys are no UUIDs, and casts and publications that plugins make."""

from pegboard_sdk.database import sql_migration

ID = "2026-11-24T00:18:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Reference columns of bare keys; records with keys of any type; casts and publications"

# A column of UUIDs or numbers holds keys, which don't say whose records they are of: its declaration does.
COLUMNS = """
ALTER TABLE kernel_reference_columns ADD COLUMN record_type text NOT NULL DEFAULT ''
    CHECK (record_type ~ '^([a-z][a-z0-9_]*[.][a-z][a-z0-9_]*)?$')
"""

# What isn't a number is no record's, and no error.
REFERENCED_NUMBER = """
CREATE FUNCTION kernel_referenced_number(reference text) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN split_part(reference, ':', 2) ~ '^-?[0-9]{1,18}$' THEN split_part(reference, ':', 2)::bigint END
$$
"""

# The SQL that gives the key within a reference, of the type that the table's column has, so that its index serves.
KEY_WITHIN = """
CREATE FUNCTION kernel_key_within(reference text, relation text, attribute text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format(CASE
        WHEN a.atttypid = 'uuid'::regtype THEN 'kernel_referenced_id(%1$s)'
        WHEN a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) THEN 'kernel_referenced_number(%1$s)'
        ELSE 'substr(%1$s, strpos(%1$s, '':'') + 1)' END, reference)
    FROM (SELECT) one LEFT JOIN pg_attribute a
        ON a.attrelid = to_regclass(format('%I', relation)) AND a.attname = attribute AND NOT a.attisdropped
$$
"""

DESCRIBE = """
CREATE OR REPLACE FUNCTION kernel_describe_records(wanted text[])
RETURNS TABLE (reference text, plugin text, label text, found text) LANGUAGE plpgsql STABLE AS $$
DECLARE
    type record;
BEGIN
    RETURN QUERY
        SELECT t.reference, t.plugin, t.label, 'tombstone' FROM kernel_tombstones t WHERE t.reference = ANY (wanted);
    FOR type IN
        SELECT * FROM kernel_record_types r
        WHERE r.name IN (SELECT split_part(w, ':', 1) FROM unnest(wanted) w)
        AND to_regclass(format('%I', r.relation)) IS NOT NULL
    LOOP
      BEGIN
        RETURN QUERY EXECUTE format(
            'SELECT w.reference, $2, record.label,'
            ' CASE WHEN record.deleted IS NULL THEN ''missing'' WHEN record.deleted THEN ''deleted'' ELSE ''row'' END'
            ' FROM (SELECT r AS reference, {key} AS referenced_key FROM unnest($1) r'
            '       WHERE split_part(r, '':'', 1) = $3) w'
            ' LEFT JOIN LATERAL (SELECT (%1$s)::text AS label, coalesce((%2$s), false) AS deleted FROM %3$I'
            '                    WHERE %4$I = w.referenced_key) record ON true',
            type.label, type.deleted, type.relation, type.key{within})
        USING wanted, type.plugin, type.name;
      EXCEPTION WHEN syntax_error_or_access_rule_violation OR data_exception OR raise_exception THEN
        RAISE WARNING 'records of the type % can''t be named: %', type.name, SQLERRM;
      END;
    END LOOP;
END
$$
"""
# What is in no schema: the server's own casts have numbers below those of what people make.
OBJECTS = """
ALTER VIEW kernel_schema_objects RENAME TO kernel_objects_in_schemas;
CREATE VIEW kernel_schema_objects AS
SELECT * FROM kernel_objects_in_schemas
UNION ALL
SELECT t.classid, t.objid, 0, NULL, i.identity, i.identity, i.type, i.identity
FROM (
    SELECT 'pg_cast'::regclass::oid AS classid, oid AS objid FROM pg_cast WHERE oid >= 16384
    UNION ALL
    SELECT 'pg_publication'::regclass, oid FROM pg_publication
) t, pg_identify_object(t.classid, t.objid, 0) i
WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = t.classid AND d.objid = t.objid AND d.deptype = 'e');
REVOKE ALL ON kernel_schema_objects FROM PUBLIC, pegboard_app
"""

AFTER = DESCRIBE.replace("{key}", "%5$s").replace("{within}", ", kernel_key_within('r', type.relation, type.key)")
BEFORE = DESCRIBE.replace("{key}", "kernel_referenced_id(r)").replace("{within}", "")


async def forwards():
    return sql_migration(
        app="kernel",
        id=ID,
        description=DESCRIPTION,
        forwards=(COLUMNS, REFERENCED_NUMBER, KEY_WITHIN, AFTER, OBJECTS),
        backwards=(
            "DROP VIEW kernel_schema_objects",
            "ALTER VIEW kernel_objects_in_schemas RENAME TO kernel_schema_objects",
            BEFORE,
            "DROP FUNCTION kernel_key_within(text, text, text)",
            "DROP FUNCTION kernel_referenced_number(text)",
            "ALTER TABLE kernel_reference_columns DROP COLUMN record_type",
        ),
    )
