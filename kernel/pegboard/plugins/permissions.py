"""Permissions of the plugin administration: the platform operator's."""

from pegboard_sdk.access import Permission, RoleGrant

__all__ = ("GRANTS", "PERMISSIONS", "READ", "RELEASE", "TOGGLE", "UNINSTALL")

READ = "kernel:plugin.read"
RELEASE = "kernel:plugin.release"
TOGGLE = "kernel:plugin.toggle"
UNINSTALL = "kernel:plugin.uninstall"

PERMISSIONS = (
    Permission(READ, "see which plugins there are, their state and what they bring"),
    Permission(TOGGLE, "turn plugins on and off"),
    Permission(RELEASE, "let plugins out of quarantine"),
    Permission(UNINSTALL, "uninstall plugins, and drop their data"),
)
GRANTS = (RoleGrant("operator", (READ, RELEASE, TOGGLE, UNINSTALL)),)
