"""The permission of maintenance mode."""

from pegboard_sdk.access import Permission, RoleGrant

__all__ = ("GRANTS", "MAINTENANCE_SET", "PERMISSIONS")

MAINTENANCE_SET = "kernel:maintenance.set"

PERMISSIONS = (Permission(MAINTENANCE_SET, "begin and end maintenance, and use the platform meanwhile"),)
GRANTS = (RoleGrant("operator", (MAINTENANCE_SET,)),)
