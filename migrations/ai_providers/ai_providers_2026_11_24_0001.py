"""Usage of language models, and the days' quotas."""

from pegboard_sdk.database import protect_table, sql_migration

ID = "2026-11-24T00:01:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "usage and quotas"

USAGE = """
CREATE TABLE ai_providers_usage (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    account_id uuid NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    state text NOT NULL DEFAULT 'reserved' CHECK (state IN ('reserved', 'settled', 'failed', 'lost')),
    day date NOT NULL,
    reserved_tokens integer NOT NULL CHECK (reserved_tokens > 0),
    prompt_tokens integer NOT NULL DEFAULT 0 CHECK (prompt_tokens >= 0),
    completion_tokens integer NOT NULL DEFAULT 0 CHECK (completion_tokens >= 0),
    estimated boolean NOT NULL DEFAULT false,
    request_id text NOT NULL,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, id),
    FOREIGN KEY (tenant_id, account_id) REFERENCES kernel_accounts (tenant_id, id) ON DELETE RESTRICT
);
CREATE INDEX ai_providers_usage_account ON ai_providers_usage (tenant_id, account_id, id DESC);
CREATE INDEX ai_providers_usage_reserved ON ai_providers_usage (tenant_id, expires_at) WHERE state = 'reserved';
"""

QUOTAS = """
CREATE TABLE ai_providers_quotas (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    account_id uuid NOT NULL,
    day date NOT NULL,
    used_tokens bigint NOT NULL DEFAULT 0 CHECK (used_tokens >= 0),
    reserved_tokens bigint NOT NULL DEFAULT 0 CHECK (reserved_tokens >= 0),
    exhausted_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, id),
    UNIQUE (tenant_id, account_id, day),
    FOREIGN KEY (tenant_id, account_id) REFERENCES kernel_accounts (tenant_id, id) ON DELETE RESTRICT
);
"""


async def forwards():
    return sql_migration(
        app="ai_providers",
        id=ID,
        description=DESCRIPTION,
        forwards=(
            USAGE,
            QUOTAS,
            protect_table("ai_providers_usage", privileges="SELECT, INSERT, UPDATE"),
            protect_table("ai_providers_quotas", privileges="SELECT, INSERT, UPDATE"),
        ),
        backwards=("DROP TABLE ai_providers_quotas", "DROP TABLE ai_providers_usage"),
    )
