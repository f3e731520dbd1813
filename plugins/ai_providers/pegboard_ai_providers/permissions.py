"""Who may use language models."""

from pegboard_sdk import Permission, RoleGrant

__all__ = ("COMPLETION_CREATE", "GRANTS", "PERMISSIONS", "USAGE_READ", "USAGE_READ_ANY")

COMPLETION_CREATE = "ai_providers:completion.create"
USAGE_READ = "ai_providers:usage.read"
USAGE_READ_ANY = "ai_providers:usage.read_any"

PERMISSIONS: tuple[Permission, ...] = (
    Permission(COMPLETION_CREATE, "have a language model answer"),
    Permission(USAGE_READ, "see what they used and what is left of their quota"),
    Permission(USAGE_READ_ANY, "see what anybody used"),
)

GRANTS: tuple[RoleGrant, ...] = (
    RoleGrant("member", (COMPLETION_CREATE, USAGE_READ)),
    RoleGrant("administrator", (USAGE_READ_ANY,)),
)
