"""Permissions of the plugin administration: the platform operator's."""

from pegboard_sdk.access import Permission, RoleGrant

__all__ = ("GRANTS", "PERMISSIONS")

PERMISSIONS = (
    Permission("kernel:plugin.read", "see which plugins there are, their state and what they bring"),
    Permission("kernel:plugin.toggle", "turn plugins on and off"),
)
GRANTS = (RoleGrant("operator", [permission.name for permission in PERMISSIONS]),)
