"""Service accounts, API keys, clients' credentials and their access tokens; signing keys that change."""

from pegboard_sdk.database import protect_table, sql_migration

ID = "2026-11-24T00:19:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Service accounts, machine credentials; rotation of signing keys"

# A service account is an account without a person: nobody logs in to it, and no mail reaches it.
SERVICE_ACCOUNTS = """
ALTER TABLE kernel_accounts
    ADD COLUMN kind text NOT NULL DEFAULT 'person'
        CONSTRAINT kernel_accounts_kind CHECK (kind IN ('person', 'service')),
    ALTER COLUMN email DROP NOT NULL,
    ADD CONSTRAINT kernel_accounts_person CHECK (
        CASE kind WHEN 'person' THEN email IS NOT NULL
        ELSE num_nonnulls(email, password_hash, email_verified_at) = 0 END
    );
CREATE UNIQUE INDEX kernel_accounts_service_name ON kernel_accounts (tenant_id, lower(display_name))
    WHERE kind = 'service';
"""

# A credential is a session (its label, expiry, last use and end are there) and what authenticates it. `public_id` is
# what it is found by: the readable part of a key or secret, the thumbprint of a public key. `digest` is the SHA-256 of
# a secret, sealed by the vault under the master key `key_id`. `changed_xid` is the last transaction that changed what
# the credential may do: processes ask for those since their last snapshot, as the revocation feed does.
CREDENTIALS = """
CREATE TABLE kernel_machine_credentials (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    account_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('api_key', 'client_secret', 'public_key')),
    public_id text NOT NULL CHECK (public_id ~ '^[A-Za-z0-9_-]{8,64}$'),
    digest bytea,
    key_id text,
    public_key jsonb,
    scopes text[] NOT NULL CHECK (cardinality(scopes) BETWEEN 1 AND 100),
    rate integer CHECK (rate > 0),
    replaced_by uuid,
    created_by uuid,
    changed_xid xid8,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, id),
    UNIQUE (tenant_id, public_id),
    CHECK (CASE kind WHEN 'public_key' THEN public_key IS NOT NULL AND num_nonnulls(digest, key_id) = 0
           ELSE public_key IS NULL AND num_nulls(digest, key_id) = 0 END),
    FOREIGN KEY (tenant_id, id) REFERENCES kernel_sessions (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, account_id) REFERENCES kernel_accounts (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX kernel_machine_credentials_account ON kernel_machine_credentials (tenant_id, account_id, id);
CREATE INDEX kernel_machine_credentials_public_id ON kernel_machine_credentials (public_id);
CREATE INDEX kernel_machine_credentials_changed ON kernel_machine_credentials (changed_xid)
    WHERE changed_xid IS NOT NULL;
"""

# A client's access token is a session of its own, which ends with the credential that it was given for.
TOKENS = """
ALTER TABLE kernel_sessions
    ADD COLUMN credential_id uuid,
    ADD CONSTRAINT kernel_sessions_credential FOREIGN KEY (tenant_id, credential_id)
        REFERENCES kernel_machine_credentials (tenant_id, id) ON DELETE CASCADE;
CREATE INDEX kernel_sessions_credential ON kernel_sessions (tenant_id, credential_id) WHERE credential_id IS NOT NULL;
"""

# Assertions are good for one use (RFC 7523, 3): their ids are kept until they would have expired anyhow.
ASSERTIONS = """
CREATE TABLE kernel_client_assertions (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    credential_id uuid NOT NULL,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, credential_id, digest),
    FOREIGN KEY (tenant_id, credential_id) REFERENCES kernel_machine_credentials (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX kernel_client_assertions_expires ON kernel_client_assertions (tenant_id, expires_at);
"""

# A key is published before `signs_from`, signs until `retired_at`, and verifies until `verifies_until`.
SIGNING_KEYS = """
ALTER TABLE kernel_signing_keys
    ADD COLUMN signs_from timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN verifies_until timestamptz,
    ADD COLUMN changed_xid xid8;
UPDATE kernel_signing_keys SET signs_from = created_at;
GRANT DELETE ON kernel_signing_keys TO pegboard_system;
"""


async def forwards():
    return sql_migration(
        app="kernel",
        id=ID,
        description=DESCRIPTION,
        forwards=(
            SERVICE_ACCOUNTS,
            CREDENTIALS,
            TOKENS,
            ASSERTIONS,
            SIGNING_KEYS,
            protect_table("kernel_machine_credentials", privileges="SELECT, INSERT, UPDATE, DELETE"),
            protect_table("kernel_client_assertions", privileges="SELECT, INSERT, DELETE"),
        ),
        backwards=(
            "REVOKE DELETE ON kernel_signing_keys FROM pegboard_system",
            "ALTER TABLE kernel_signing_keys DROP COLUMN signs_from, DROP COLUMN verifies_until,"
            " DROP COLUMN changed_xid",
            "DROP TABLE kernel_client_assertions",
            "ALTER TABLE kernel_sessions DROP COLUMN credential_id",
            "DROP TABLE kernel_machine_credentials",
            # The owner sees no rows of a table under forced row-level security.
            "ALTER TABLE kernel_accounts NO FORCE ROW LEVEL SECURITY",
            "DELETE FROM kernel_accounts WHERE kind = 'service'",
            "ALTER TABLE kernel_accounts FORCE ROW LEVEL SECURITY",
            "DROP INDEX kernel_accounts_service_name",
            "ALTER TABLE kernel_accounts DROP COLUMN kind, ALTER COLUMN email SET NOT NULL",
        ),
    )
