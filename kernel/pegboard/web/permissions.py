"""Permissions of the kernel's own pages."""

from pegboard_sdk.access import Permission, RoleGrant

__all__ = ("GRANTS", "PERMISSIONS")

PERMISSIONS = (
    Permission("kernel:health.read", "see the health of plugins"),
    Permission("kernel:metrics.read", "read the metrics"),
)
GRANTS = (RoleGrant("operator", ("kernel:health.read", "kernel:metrics.read")),)
