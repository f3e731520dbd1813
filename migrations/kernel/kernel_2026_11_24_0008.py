"""Idempotency keys and their stored answers."""

from pegboard_sdk.database import protect_table, sql_migration

ID = "2026-11-24T00:08:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "idempotency keys"

KEYS = """
CREATE TABLE kernel_idempotency_keys (
    tenant_id uuid NOT NULL REFERENCES kernel_tenants (id) ON DELETE CASCADE,
    digest bytea NOT NULL,
    body_digest bytea NOT NULL,
    answer bytea,
    lease uuid,
    leased_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, digest)
)
"""

EXPIRY = "CREATE INDEX kernel_idempotency_keys_expires_at ON kernel_idempotency_keys (tenant_id, expires_at)"

# One round trip: hold the key until the transaction ends, or say who does; then say what is known of it. The lock's
# number is taken from the digest, so two keys may share one: the second of them is then told to try again, which is
# right though not needed.
BEGIN = """
CREATE FUNCTION kernel_idempotency_begin(wanted bytea, OUT state text, OUT body_digest bytea, OUT answer bytea)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    stored kernel_idempotency_keys%ROWTYPE;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended(encode(wanted, 'hex') || kernel_current_tenant()::text, 0)) THEN
        state := 'busy';
        RETURN;
    END IF;
    DELETE FROM kernel_idempotency_keys k
     WHERE k.tenant_id = kernel_current_tenant() AND k.digest = wanted AND k.expires_at <= now();
    SELECT * INTO stored FROM kernel_idempotency_keys k
     WHERE k.tenant_id = kernel_current_tenant() AND k.digest = wanted;
    IF NOT FOUND THEN
        state := 'new';
        RETURN;
    END IF;
    body_digest := stored.body_digest;
    answer := stored.answer;
    state := CASE
        WHEN stored.answer IS NOT NULL THEN 'done'
        WHEN stored.leased_until > clock_timestamp() THEN 'leased'
        ELSE 'free'
    END;
END
$$
"""


async def forwards():
    return sql_migration(
        app="kernel",
        id=ID,
        description=DESCRIPTION,
        forwards=(KEYS, EXPIRY, BEGIN, protect_table("kernel_idempotency_keys")),
        backwards=("DROP FUNCTION kernel_idempotency_begin(bytea)", "DROP TABLE kernel_idempotency_keys"),
    )
