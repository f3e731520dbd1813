"""What the administration of plugins refuses."""

from pegboard_sdk.errors import Conflict, NotFound

__all__ = (
    "PlanApplied",
    "PlanExpired",
    "PlanNotFound",
    "PlanRefused",
    "PlanStale",
    "PluginBlocked",
    "PluginDependency",
    "PluginUnknown",
    "PluginUnusable",
    "PluginsFileLocked",
    "PluginsFileUnwritable",
)


class PluginUnknown(NotFound):
    """No installed package offers the plugin."""

    code = "plugin_unknown"


class PluginDependency(Conflict):
    """The plugin needs others that are off, or others that are on need it."""

    code = "plugin_dependency"


class PluginBlocked(Conflict):
    """A pin or a block in `plugins.toml` speaks against the plugin."""

    code = "plugin_blocked"


class PluginUnusable(Conflict):
    """The plugin can't be loaded as it is."""

    code = "plugin_unusable"


class PluginsFileLocked(Conflict):
    """The environment decides whether the plugin is on, not the file."""

    code = "plugin_set_by_environment"


class PluginsFileUnwritable(Conflict):
    """`plugins.toml` can't be written."""

    code = "plugins_file_unwritable"


class PlanNotFound(NotFound):
    """There is no such plan (any more)."""

    code = "plan_not_found"


class PlanStale(Conflict):
    """Something that the plan was judged on has changed."""

    code = "plan_stale"


class PlanExpired(Conflict):
    """The plan is too old to be applied."""

    code = "plan_expired"


class PlanApplied(Conflict):
    """The plan was applied already."""

    code = "plan_applied"


class PlanRefused(Conflict):
    """The plan has problems that have to be mended first."""

    code = "plan_refused"
