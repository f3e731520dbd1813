"""Which plugins are to be on, and how far each process is with it.

These tables are the platform's, not a tenant's: only *system* reaches them, so that no plugin can turn another on.
"""

from pegboard_sdk.database import sql_migration

ID = "2026-11-24T00:06:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Plugin revisions and processes"

REVISIONS = """
CREATE TABLE kernel_plugin_revisions (
    number bigint PRIMARY KEY,
    plugins text[] NOT NULL,
    file_hash text NOT NULL,
    state text NOT NULL
        CONSTRAINT kernel_plugin_revisions_state CHECK (state IN ('preparing', 'active', 'failed', 'superseded')),
    origin text NOT NULL CONSTRAINT kernel_plugin_revisions_origin CHECK (origin IN ('file', 'api', 'cli')),
    requested_by uuid,
    reason text,
    migrator uuid,
    migrated_at timestamptz,
    decided_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT kernel_plugin_revisions_reason CHECK (state <> 'failed' OR reason IS NOT NULL)
)
"""

# At most one set of plugins runs, and at most one is being prepared.
ONE_ACTIVE = """
CREATE UNIQUE INDEX kernel_plugin_revisions_active ON kernel_plugin_revisions (state) WHERE state = 'active'
"""
ONE_PREPARING = """
CREATE UNIQUE INDEX kernel_plugin_revisions_preparing ON kernel_plugin_revisions (state) WHERE state = 'preparing'
"""

# What each machine's plugins.toml held when it was last read: a file that differs from the active revision is news only
# if it changed, else it is a conflict to report.
FILES = """
CREATE TABLE kernel_plugin_files (
    node text NOT NULL,
    path text NOT NULL,
    hash text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (node, path)
)
"""

PROCESSES = """
CREATE TABLE kernel_processes (
    id uuid PRIMARY KEY,
    kind text NOT NULL,
    node text NOT NULL,
    pid integer NOT NULL,
    ready_revision bigint,
    active_revision bigint,
    error text,
    conflict text,
    heartbeat_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now()
)
"""

# A process that has not been heard of for ten seconds is dead: nobody waits for it.
LIVE = """
CREATE VIEW kernel_live_processes AS
SELECT * FROM kernel_processes WHERE heartbeat_at > now() - interval '10 seconds'
"""


async def forwards():
    return sql_migration(
        app="kernel",
        id=ID,
        description=DESCRIPTION,
        forwards=(REVISIONS, ONE_ACTIVE, ONE_PREPARING, FILES, PROCESSES, LIVE),
        backwards=(
            "DROP VIEW kernel_live_processes",
            "DROP TABLE kernel_processes",
            "DROP TABLE kernel_plugin_files",
            "DROP TABLE kernel_plugin_revisions",
        ),
    )
