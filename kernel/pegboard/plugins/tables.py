"""The tables of plugin revisions, as Piccolo sees them; their queries are SQL, in `revisions` and `processes`."""

from piccolo.columns import JSONB, UUID, Array, BigInt, Integer, Text, Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

__all__ = (
    "TABLES",
    "KernelPluginContract",
    "KernelPluginFile",
    "KernelPluginPlan",
    "KernelPluginQuarantine",
    "KernelPluginRevision",
    "KernelProcess",
)


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
    decisions = JSONB(null=True, default=None)
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


class KernelPluginQuarantine(Table, tablename="kernel_plugin_quarantine"):
    """A time for which a plugin is or was kept out, because its code failed."""

    id = UUID(primary_key=True, default=None)
    plugin = Text(null=False, default=None)
    version = Text(null=False, default=None)
    cause = Text(null=False, default=None)
    reason = Text(null=False, default=None)
    node = Text(null=False, default=None)
    released_at = Timestamptz(null=True, default=None)
    released_by = UUID(null=True, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())


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
    breakers = JSONB(null=False, default="{}")
    versions = JSONB(null=False, default="{}")
    left_out = JSONB(null=False, default="{}")
    heard_since = Timestamptz(null=False, default=TimestamptzNow())
    heartbeat_at = Timestamptz(null=False, default=TimestamptzNow())
    created_at = Timestamptz(null=False, default=TimestamptzNow())


class KernelPluginPlan(Table, tablename="kernel_plugin_plans"):
    """What a change of plugins would do, and what that was judged on."""

    id = UUID(primary_key=True, default=None)
    action = JSONB(null=False, default=None)
    content = JSONB(null=False, default=None)
    basis = JSONB(null=False, default=None)
    fingerprint = Text(null=False, default=None)
    created_by = UUID(null=True, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    expires_at = Timestamptz(null=False, default=None)
    applied_at = Timestamptz(null=True, default=None)
    revision = BigInt(null=True, default=None)


class KernelPluginContract(Table, tablename="kernel_plugin_contracts"):
    """What a version of a plugin brings, as it last ran."""

    plugin = Text(primary_key=True, default=None)
    version = Text(null=False, default=None)
    contract = JSONB(null=False, default=None)
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


TABLES: tuple[type[Table], ...] = (
    KernelPluginRevision,
    KernelPluginFile,
    KernelPluginQuarantine,
    KernelProcess,
    KernelPluginPlan,
    KernelPluginContract,
)
