"""What may be done with taxonomies, and by whom."""

from pegboard_sdk.access import Permission, RoleGrant

__all__ = ("GRANTS", "PERMISSIONS", "READ")

READ = "account:taxonomy.read"

PERMISSIONS: tuple[Permission, ...] = (Permission(READ, "list taxonomies and their terms"),)
GRANTS: tuple[RoleGrant, ...] = tuple(RoleGrant(role, (READ,)) for role in ("anonymous", "member", "administrator"))
