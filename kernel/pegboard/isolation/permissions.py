"""Permissions of looking into the platform's processes: the platform operator's."""

from pegboard_sdk.access import Permission, RoleGrant

__all__ = ("GRANTS", "MEMORY_LOOK", "PERMISSIONS")

MEMORY_LOOK = "kernel:memory.look"

PERMISSIONS = (Permission(MEMORY_LOOK, "have the processes find out whose code holds their memory"),)
GRANTS = (RoleGrant("operator", (MEMORY_LOOK,)),)
