"""Plugins that are kept out until an administrator lets them in again.

The platform's, not a tenant's: only *system* reaches it, so that no plugin can release itself.
"""

from pegboard_sdk.database import sql_migration

ID = "2026-11-24T00:09:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Quarantine of plugins"

# Released rows stay, as the history of what went wrong.
QUARANTINE = """
CREATE TABLE kernel_plugin_quarantine (
    id uuid PRIMARY KEY,
    plugin text NOT NULL,
    version text NOT NULL,
    cause text NOT NULL
        CONSTRAINT kernel_plugin_quarantine_cause CHECK (cause IN ('import', 'hook', 'startup', 'health')),
    reason text NOT NULL,
    node text NOT NULL,
    released_at timestamptz,
    released_by uuid,
    created_at timestamptz NOT NULL DEFAULT now()
)
"""
ONE_EACH = """
CREATE UNIQUE INDEX kernel_plugin_quarantine_standing ON kernel_plugin_quarantine (plugin) WHERE released_at IS NULL
"""

# A revision may also come of the kernel's own doing: a plugin that became unwell is taken out.
ORIGINS = """
ALTER TABLE kernel_plugin_revisions
    DROP CONSTRAINT kernel_plugin_revisions_origin,
    ADD CONSTRAINT kernel_plugin_revisions_origin CHECK (origin IN ('file', 'api', 'cli', 'kernel'))
"""
EARLIER_ORIGINS = """
ALTER TABLE kernel_plugin_revisions
    DROP CONSTRAINT kernel_plugin_revisions_origin,
    ADD CONSTRAINT kernel_plugin_revisions_origin CHECK (origin IN ('file', 'api', 'cli'))
"""


async def forwards():
    return sql_migration(
        app="kernel",
        id=ID,
        description=DESCRIPTION,
        forwards=(QUARANTINE, ONE_EACH, ORIGINS),
        backwards=(
            "UPDATE kernel_plugin_revisions SET origin = 'api' WHERE origin = 'kernel'",
            EARLIER_ORIGINS,
            "DROP TABLE kernel_plugin_quarantine",
        ),
    )
