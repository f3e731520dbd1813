"""The inbox of webhooks."""

from pegboard_sdk.database import protect_table, sql_migration

ID = "2026-11-24T00:01:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "inbox of webhooks"

DELIVERIES = """
CREATE TABLE integrations_deliveries (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES kernel_tenants (id) ON DELETE RESTRICT,
    provider text NOT NULL,
    delivery_id text NOT NULL,
    event text NOT NULL,
    payload bytea NOT NULL,
    digest bytea NOT NULL,
    replays integer NOT NULL DEFAULT 0 CHECK (replays >= 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, id),
    UNIQUE (tenant_id, provider, delivery_id)
);
CREATE INDEX integrations_deliveries_newest ON integrations_deliveries (tenant_id, created_at DESC, id DESC);
"""


async def forwards():
    return sql_migration(
        app="integrations",
        id=ID,
        description=DESCRIPTION,
        forwards=(DELIVERIES, protect_table("integrations_deliveries")),
        backwards=("DROP TABLE integrations_deliveries",),
    )
