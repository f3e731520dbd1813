"""The tables of plugin revisions, as Piccolo sees them; their queries are SQL, in `revisions` and `processes`."""

from piccolo.columns import UUID, Array, BigInt, Integer, Text, Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

__all__ = ("TABLES", "KernelPluginFile", "KernelPluginRevision", "KernelProcess")


class KernelPluginRevision(Table, tablename="kernel_plugin_revisions"):
    """A set of plugins that was to be on. One is active; one more may be in preparation."""

    number = BigInt(primary_key=True, default=None)
    plugins = Array(base_column=Text(), null=False, default=None)
    file_hash = Text(null=False, default=None)
    state = Text(null=False, default=None)
    origin = Text(null=False, default=None)
    requested_by = UUID(null=True, default=None)
    reason = Text(null=True, default=None)
    migrator = UUID(null=True, default=None)
    migrated_at = Timestamptz(null=True, default=None)
    decided_at = Timestamptz(null=True, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())


class KernelPluginFile(Table, tablename="kernel_plugin_files"):
    """What a machine's `plugins.toml` held when it was last read."""

    node = Text(primary_key=True, default=None)
    path = Text(null=False, default=None)
    hash = Text(null=False, default=None)
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


class KernelProcess(Table, tablename="kernel_processes"):
    """A process of the platform, and how far it is with the revision that is wanted."""

    id = UUID(primary_key=True, default=None)
    kind = Text(null=False, default=None)
    node = Text(null=False, default=None)
    pid = Integer(null=False, default=None)
    ready_revision = BigInt(null=True, default=None)
    active_revision = BigInt(null=True, default=None)
    error = Text(null=True, default=None)
    conflict = Text(null=True, default=None)
    heartbeat_at = Timestamptz(null=False, default=TimestamptzNow())
    created_at = Timestamptz(null=False, default=TimestamptzNow())


TABLES: tuple[type[Table], ...] = (KernelPluginRevision, KernelPluginFile, KernelProcess)
