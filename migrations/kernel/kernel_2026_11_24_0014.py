"""What each process says of plugins that it should run and doesn't, and since when it has been heard of.

The platform's, not a tenant's: only *system* reaches them.
"""

from pegboard_sdk.database import sql_migration

ID = "2026-11-24T00:14:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "processes: plugins left out, silence"

COLUMNS = """
ALTER TABLE kernel_processes
    ADD COLUMN left_out jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN heard_since timestamptz NOT NULL DEFAULT now()
"""

# A view has the columns that its table had when it was made.
LIVE = """
CREATE OR REPLACE VIEW kernel_live_processes AS
SELECT * FROM kernel_processes WHERE heartbeat_at > now() - interval '10 seconds'
"""

# When all fell silent at once, it was the database that was away: they come back. Once one of them has been heard of
# for as long as makes a silence, those that have not are gone.
AWAITED = """
CREATE VIEW kernel_awaited_processes AS
SELECT * FROM kernel_processes
WHERE active_revision IS NOT NULL AND heartbeat_at <= now() - interval '10 seconds' AND NOT EXISTS (
    SELECT FROM kernel_live_processes steady WHERE steady.heard_since <= now() - interval '10 seconds'
)
"""


async def forwards():
    return sql_migration(
        app="kernel",
        id=ID,
        description=DESCRIPTION,
        forwards=(COLUMNS, LIVE, AWAITED),
        backwards=(
            "DROP VIEW kernel_awaited_processes",
            "DROP VIEW kernel_live_processes",
            "ALTER TABLE kernel_processes DROP COLUMN left_out, DROP COLUMN heard_since",
            LIVE,
        ),
    )
