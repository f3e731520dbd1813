"""The vault: secrets as AES-256-GCM envelopes."""

from pegboard_sdk.database import protect_table, sql_migration

ID = "2026-11-24T00:04:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Vault secrets"

# A row without a tenant is the platform's: every tenant may use it, none may write it. The tenant and the name are
# part of what each envelope authenticates, so a row that is copied to another tenant or name can't be opened.
SECRETS = """
CREATE TABLE kernel_secrets (
    id uuid PRIMARY KEY,
    tenant_id uuid,
    name text NOT NULL CHECK (name ~ '^[a-z][a-z0-9_]*\\.[a-z][a-z0-9_]*$'),
    key_id text NOT NULL,
    envelope bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, id),
    UNIQUE NULLS NOT DISTINCT (tenant_id, name)
);
"""


async def forwards():
    return sql_migration(
        app="kernel",
        id=ID,
        description=DESCRIPTION,
        forwards=(SECRETS, protect_table("kernel_secrets", privileges="SELECT", shared=True)),
        backwards=("DROP TABLE kernel_secrets",),
    )
