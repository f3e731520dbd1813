"""Seals of the audit trail: a chain per tenant, its signed heads, and how far the sealer has come."""

from pegboard_sdk.database import protect_table, sql_migration

ID = "2026-11-24T00:17:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Audit seals and heads"

# Which transaction wrote an entry: whatever is not visible to the sealer's snapshot has an id at or above its horizon,
# so it asks from the last horizon on and misses nothing. Entries that are there get this transaction's id, and the
# table is not rewritten. Neighbouring releases write entries without naming the column.
TRANSACTIONS = """
ALTER TABLE kernel_audit_entries ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE INDEX kernel_audit_entries_xid ON kernel_audit_entries (xid);
"""

# No foreign keys, as with the entries: a check would lock each entry's row, and a missing one is what `verify` is for.
SEALS = """
CREATE TABLE kernel_audit_seals (
    tenant_id uuid NOT NULL,
    number bigint NOT NULL CHECK (number > 0),
    entry_id uuid NOT NULL,
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    mac bytea NOT NULL CHECK (octet_length(mac) = 32),
    key_id text NOT NULL,
    sealed_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, number),
    UNIQUE (tenant_id, entry_id)
);
CREATE TRIGGER kernel_audit_seals_no_change BEFORE UPDATE OR DELETE ON kernel_audit_seals
    FOR EACH ROW EXECUTE FUNCTION kernel_audit_refuse_change();
CREATE TRIGGER kernel_audit_seals_no_truncate BEFORE TRUNCATE ON kernel_audit_seals
    FOR EACH STATEMENT EXECUTE FUNCTION kernel_audit_refuse_change();
ALTER TABLE kernel_audit_seals ENABLE ALWAYS TRIGGER kernel_audit_seals_no_change;
ALTER TABLE kernel_audit_seals ENABLE ALWAYS TRIGGER kernel_audit_seals_no_truncate;
"""

# The last seal of each chain, signed. It moves on with the chain, so it alone can be updated.
HEADS = """
CREATE TABLE kernel_audit_heads (
    tenant_id uuid PRIMARY KEY,
    number bigint NOT NULL CHECK (number > 0),
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    mac bytea NOT NULL CHECK (octet_length(mac) = 32),
    key_id text NOT NULL,
    signed_at timestamptz NOT NULL,
    signature bytea NOT NULL CHECK (octet_length(signature) = 64)
);
CREATE TRIGGER kernel_audit_heads_no_removal BEFORE DELETE ON kernel_audit_heads
    FOR EACH ROW EXECUTE FUNCTION kernel_audit_refuse_change();
CREATE TRIGGER kernel_audit_heads_no_truncate BEFORE TRUNCATE ON kernel_audit_heads
    FOR EACH STATEMENT EXECUTE FUNCTION kernel_audit_refuse_change();
ALTER TABLE kernel_audit_heads ENABLE ALWAYS TRIGGER kernel_audit_heads_no_removal;
ALTER TABLE kernel_audit_heads ENABLE ALWAYS TRIGGER kernel_audit_heads_no_truncate;
"""

# Transaction ids mean something in one database cluster only: in another, such as one that was restored from a dump,
# the sealer looks at everything once.
SEALER = """
CREATE TABLE kernel_audit_sealer (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    cluster bigint NOT NULL,
    horizon xid8 NOT NULL
);
REVOKE ALL ON kernel_audit_sealer FROM PUBLIC, pegboard_app;
"""


async def forwards():
    return sql_migration(
        app="kernel",
        id=ID,
        description=DESCRIPTION,
        forwards=(
            TRANSACTIONS,
            SEALS,
            protect_table("kernel_audit_seals", privileges="SELECT"),
            "REVOKE UPDATE, DELETE, TRUNCATE ON kernel_audit_seals FROM pegboard_app, pegboard_system",
            HEADS,
            protect_table("kernel_audit_heads", privileges="SELECT"),
            "REVOKE DELETE, TRUNCATE ON kernel_audit_heads FROM pegboard_app, pegboard_system",
            SEALER,
        ),
        backwards=(
            "DROP TABLE kernel_audit_sealer, kernel_audit_heads, kernel_audit_seals",
            "ALTER TABLE kernel_audit_entries DROP COLUMN xid",
        ),
    )
