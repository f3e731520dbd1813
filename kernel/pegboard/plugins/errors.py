"""What the administration of plugins refuses."""

from pegboard_sdk.errors import Conflict, NotFound

__all__ = ("PluginDependency", "PluginUnknown", "PluginUnusable", "PluginsFileLocked", "PluginsFileUnwritable")


class PluginUnknown(NotFound):
    """No installed package offers the plugin."""

    code = "plugin_unknown"


class PluginDependency(Conflict):
    """The plugin needs others that are off, or others that are on need it."""

    code = "plugin_dependency"


class PluginUnusable(Conflict):
    """The plugin can't be loaded as it is."""

    code = "plugin_unusable"


class PluginsFileLocked(Conflict):
    """The environment decides whether the plugin is on, not the file."""

    code = "plugin_set_by_environment"


class PluginsFileUnwritable(Conflict):
    """`plugins.toml` can't be written."""

    code = "plugins_file_unwritable"
