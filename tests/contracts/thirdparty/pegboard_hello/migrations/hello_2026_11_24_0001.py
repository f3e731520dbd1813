"""The table of greetings."""

from pegboard_sdk.database import protect_table, sql_migration

ID = "2026-11-24T00:01:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "greetings"

GREETINGS = """
CREATE TABLE hello_greetings (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    account_id uuid NOT NULL,
    gig_id uuid,
    text text NOT NULL,
    delivered_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, id),
    UNIQUE (tenant_id, gig_id),
    FOREIGN KEY (tenant_id, account_id) REFERENCES kernel_accounts (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX hello_greetings_account ON hello_greetings (tenant_id, account_id, id DESC);
"""


async def forwards():
    return sql_migration(
        app="hello",
        id=ID,
        description=DESCRIPTION,
        forwards=(GREETINGS, protect_table("hello_greetings", privileges="SELECT, INSERT, UPDATE")),
        backwards=("DROP TABLE hello_greetings",),
    )
