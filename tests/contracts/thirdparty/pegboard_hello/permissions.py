"""Who may do what with greetings."""

from pegboard_sdk import Permission, RoleGrant

__all__ = ("GRANTS", "PERMISSIONS", "READ", "SEND")

READ = "hello:greeting.read"
SEND = "hello:greeting.send"

PERMISSIONS = (
    Permission(READ, "see the greetings that they got"),
    Permission(SEND, "greet others"),
)
GRANTS = (RoleGrant("member", (READ, SEND)),)
