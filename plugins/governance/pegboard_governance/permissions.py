"""Who may do what with purposes, consents and the audit trail."""

from pegboard_sdk import Permission, RoleGrant

__all__ = (
    "AUDIT_READ",
    "CONSENT_CHANGE",
    "CONSENT_READ",
    "CONSENT_READ_ANY",
    "GRANTS",
    "PERMISSIONS",
    "PURPOSE_MANAGE",
    "PURPOSE_READ",
)

PURPOSE_READ = "governance:purpose.read"
PURPOSE_MANAGE = "governance:purpose.manage"
CONSENT_READ = "governance:consent.read"
CONSENT_CHANGE = "governance:consent.change"
CONSENT_READ_ANY = "governance:consent.read_any"
AUDIT_READ = "governance:audit.read"

PERMISSIONS: tuple[Permission, ...] = (
    Permission(PURPOSE_READ, "see what data is processed for, and the notices"),
    Permission(PURPOSE_MANAGE, "define purposes and publish notices"),
    Permission(CONSENT_READ, "see their own consents and the history of them"),
    Permission(CONSENT_CHANGE, "give and withdraw their own consents"),
    Permission(CONSENT_READ_ANY, "see anybody's consents and the history of them"),
    Permission(AUDIT_READ, "search the audit trail"),
)

GRANTS: tuple[RoleGrant, ...] = (
    RoleGrant("anonymous", (PURPOSE_READ,)),
    RoleGrant("member", (PURPOSE_READ, CONSENT_READ, CONSENT_CHANGE)),
    RoleGrant("administrator", (PURPOSE_READ, PURPOSE_MANAGE, CONSENT_READ_ANY, AUDIT_READ)),
)
