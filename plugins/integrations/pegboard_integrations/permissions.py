"""Who may look at webhooks."""

from pegboard_sdk import Permission, RoleGrant

__all__ = ("DELIVERY_READ", "DELIVERY_REPLAY", "GRANTS", "PERMISSIONS")

DELIVERY_READ = "integrations:delivery.read"
DELIVERY_REPLAY = "integrations:delivery.replay"

PERMISSIONS: tuple[Permission, ...] = (
    Permission(DELIVERY_READ, "see the webhooks that came in"),
    Permission(DELIVERY_REPLAY, "have a webhook take effect again"),
)

GRANTS: tuple[RoleGrant, ...] = (RoleGrant("administrator", (DELIVERY_READ, DELIVERY_REPLAY)),)
