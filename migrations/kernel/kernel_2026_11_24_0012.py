"""What each process says of its plugins' breakers, and looks at whose code holds memory.

The platform's, not a tenant's: only *system* reaches them.
"""

from pegboard_sdk.database import sql_migration

ID = "2026-11-24T00:12:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "breakers, looks at memory"

BREAKERS = "ALTER TABLE kernel_processes ADD COLUMN breakers jsonb NOT NULL DEFAULT '{}'"

# A view has the columns that its table had when it was made.
LIVE = """
CREATE OR REPLACE VIEW kernel_live_processes AS
SELECT * FROM kernel_processes WHERE heartbeat_at > now() - interval '10 seconds'
"""

LOOKS = """
CREATE TABLE kernel_memory_looks (
    id uuid PRIMARY KEY,
    seconds double precision NOT NULL
        CONSTRAINT kernel_memory_looks_seconds CHECK (seconds > 0 AND seconds <= 60),
    expected uuid[] NOT NULL,
    requested_by uuid,
    created_at timestamptz NOT NULL DEFAULT now()
);
REVOKE ALL ON kernel_memory_looks FROM PUBLIC, pegboard_app;
"""

REPORTS = """
CREATE TABLE kernel_memory_reports (
    id uuid PRIMARY KEY,
    look_id uuid NOT NULL REFERENCES kernel_memory_looks (id) ON DELETE CASCADE,
    process uuid NOT NULL,
    kind text NOT NULL,
    node text NOT NULL,
    pid integer NOT NULL,
    owners jsonb NOT NULL,
    error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (look_id, process)
);
REVOKE ALL ON kernel_memory_reports FROM PUBLIC, pegboard_app;
"""


async def forwards():
    return sql_migration(
        app="kernel",
        id=ID,
        description=DESCRIPTION,
        forwards=(BREAKERS, LIVE, LOOKS, REPORTS),
        backwards=(
            "DROP TABLE kernel_memory_reports",
            "DROP TABLE kernel_memory_looks",
            "DROP VIEW kernel_live_processes",
            "ALTER TABLE kernel_processes DROP COLUMN breakers",
            LIVE,
        ),
    )
