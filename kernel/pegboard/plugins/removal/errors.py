"""What uninstalling refuses."""

from pegboard_sdk.errors import Conflict, NotFound

__all__ = ("ExportRefused", "PluginAbsent", "PluginDataInUse", "PluginStillOn")


class PluginStillOn(Conflict):
    """The plugin, or one that needs it, is on."""

    code = "plugin_on"


class PluginAbsent(NotFound):
    """Nothing of the plugin is in the database."""

    code = "plugin_absent"


class PluginDataInUse(Conflict):
    """Something that isn't the plugin's needs what would be dropped, or somebody uses it right now."""

    code = "plugin_data_in_use"


class ExportRefused(ValueError):
    """The data can't be written where they should be, or can't be read whole. Exports are the command line's alone."""
