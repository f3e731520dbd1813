"""Maintenance mode: whether the platform is under maintenance, and what it says meanwhile."""

from pegboard_sdk.database import sql_migration

ID = "2026-11-24T00:22:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Maintenance mode"

# One row, for the whole platform; `since` is null while there is no maintenance. The application's role has no use for
# it: processes read it as the system's, and operators change it so.
MAINTENANCE = """
CREATE TABLE kernel_maintenance (
    id boolean PRIMARY KEY DEFAULT true CHECK (id),
    since timestamptz,
    until timestamptz,
    message text NOT NULL DEFAULT '' CHECK (length(message) <= 500),
    holds_jobs boolean NOT NULL DEFAULT false,
    changed_by uuid,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (since IS NOT NULL OR (until IS NULL AND message = '' AND NOT holds_jobs))
);
INSERT INTO kernel_maintenance DEFAULT VALUES;
"""


async def forwards():
    return sql_migration(
        app="kernel",
        id=ID,
        description=DESCRIPTION,
        forwards=(MAINTENANCE,),
        backwards=("DROP TABLE kernel_maintenance",),
    )
