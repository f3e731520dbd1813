"""Plans of what a change of plugins would do, and what each process runs."""

from pegboard_sdk.database import sql_migration

ID = "2026-11-24T00:10:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "plugin plans, contracts, versions"

PLANS = """
CREATE TABLE kernel_plugin_plans (
    id uuid PRIMARY KEY,
    action jsonb NOT NULL,
    content jsonb NOT NULL,
    basis jsonb NOT NULL,
    fingerprint text NOT NULL,
    created_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    applied_at timestamptz,
    revision bigint
);
REVOKE ALL ON kernel_plugin_plans FROM PUBLIC, pegboard_app;
"""

# What a version of a plugin brings, as it last ran. Once a newer one is installed over it, its code can't be asked any
# more.
CONTRACTS = """
CREATE TABLE kernel_plugin_contracts (
    plugin text NOT NULL,
    version text NOT NULL,
    contract jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (plugin, version)
);
REVOKE ALL ON kernel_plugin_contracts FROM PUBLIC, pegboard_app;
"""

# Processes are restarted one after the other: for a while some run another version of a plugin than others.
VERSIONS = "ALTER TABLE kernel_processes ADD COLUMN versions jsonb NOT NULL DEFAULT '{}'"

# A view has the columns that its table had when it was made.
LIVE = """
CREATE OR REPLACE VIEW kernel_live_processes AS
SELECT * FROM kernel_processes WHERE heartbeat_at > now() - interval '10 seconds'
"""


async def forwards():
    return sql_migration(
        app="kernel",
        id=ID,
        description=DESCRIPTION,
        forwards=(PLANS, CONTRACTS, VERSIONS, LIVE),
        backwards=(
            "DROP VIEW kernel_live_processes",
            "ALTER TABLE kernel_processes DROP COLUMN versions",
            LIVE,
            "DROP TABLE kernel_plugin_contracts",
            "DROP TABLE kernel_plugin_plans",
        ),
    )
