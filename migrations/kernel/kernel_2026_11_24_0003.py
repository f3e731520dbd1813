"""The audit trail: entries that nobody can change."""

from pegboard_sdk.database import protect_table, sql_migration

ID = "2026-11-24T00:03:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Audit entries, append-only"

# `id` is a UUIDv7, so it sorts by time: the unique key and the three indexes serve the newest-first search by time,
# actor, action and object. No foreign keys: an entry outlives what it tells of.
ENTRIES = """
CREATE TABLE kernel_audit_entries (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    occurred_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor_kind text NOT NULL CHECK (actor_kind IN ('account', 'anonymous', 'system')),
    actor_id uuid,
    session_id uuid,
    action text NOT NULL CHECK (action <> ''),
    object_type text NOT NULL,
    object_id text,
    before jsonb,
    after jsonb,
    outcome text NOT NULL DEFAULT 'success' CHECK (outcome IN ('success', 'refused', 'failed')),
    reason text,
    request_id text NOT NULL,
    UNIQUE (tenant_id, id)
);
CREATE INDEX kernel_audit_entries_actor ON kernel_audit_entries (tenant_id, actor_id, id);
CREATE INDEX kernel_audit_entries_action ON kernel_audit_entries (tenant_id, action, id);
CREATE INDEX kernel_audit_entries_object ON kernel_audit_entries (tenant_id, object_id, id);
"""

# Privileges stop the roles that we run as; the triggers stop the owner too, and ALWAYS also in replica mode.
APPEND_ONLY = """
CREATE FUNCTION kernel_audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = 'audit entries can''t be changed or removed';
END
$$;
CREATE TRIGGER kernel_audit_entries_no_change BEFORE UPDATE OR DELETE ON kernel_audit_entries
    FOR EACH ROW EXECUTE FUNCTION kernel_audit_refuse_change();
CREATE TRIGGER kernel_audit_entries_no_truncate BEFORE TRUNCATE ON kernel_audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION kernel_audit_refuse_change();
ALTER TABLE kernel_audit_entries ENABLE ALWAYS TRIGGER kernel_audit_entries_no_change;
ALTER TABLE kernel_audit_entries ENABLE ALWAYS TRIGGER kernel_audit_entries_no_truncate;
"""


async def forwards():
    return sql_migration(
        app="kernel",
        id=ID,
        description=DESCRIPTION,
        forwards=(
            ENTRIES,
            APPEND_ONLY,
            protect_table("kernel_audit_entries", privileges="SELECT, INSERT"),
            "REVOKE UPDATE, DELETE, TRUNCATE ON kernel_audit_entries FROM pegboard_app, pegboard_system",
        ),
        backwards=(
            "DROP TABLE kernel_audit_entries",
            "DROP FUNCTION kernel_audit_refuse_change()",
        ),
    )
