"""Permissions of the audit trail's administration. Searching it over HTTP is the plugin governance's."""

from pegboard_sdk.access import Permission, RoleGrant

__all__ = ("AUDIT_EXPORT", "AUDIT_VERIFY", "GRANTS", "PERMISSIONS")

AUDIT_EXPORT = "account:audit.export"
AUDIT_VERIFY = "account:audit.verify"

PERMISSIONS = (
    Permission(AUDIT_EXPORT, "export the marketplace's audit trail"),
    Permission(AUDIT_VERIFY, "verify the marketplace's audit trail, and read its signed head"),
)

GRANTS = (RoleGrant("administrator", (AUDIT_EXPORT, AUDIT_VERIFY)),)
