"""Who may do what with gigs and orders."""

from pegboard_sdk import Permission, RoleGrant

__all__ = (
    "GIG_ARCHIVE",
    "GIG_CREATE",
    "GIG_DELETE",
    "GIG_EDIT",
    "GIG_MODERATE",
    "GIG_PUBLISH",
    "GIG_READ",
    "GRANTS",
    "ORDER_ACCEPT",
    "ORDER_CANCEL",
    "ORDER_DELIVER",
    "ORDER_PLACE",
    "ORDER_READ",
    "PERMISSIONS",
)

GIG_READ = "creation_studio:gig.read"
GIG_CREATE = "creation_studio:gig.create"
GIG_EDIT = "creation_studio:gig.edit"
GIG_PUBLISH = "creation_studio:gig.publish"
GIG_ARCHIVE = "creation_studio:gig.archive"
GIG_DELETE = "creation_studio:gig.delete"
GIG_MODERATE = "creation_studio:gig.moderate"
ORDER_PLACE = "creation_studio:order.place"
ORDER_READ = "creation_studio:order.read"
ORDER_DELIVER = "creation_studio:order.deliver"
ORDER_ACCEPT = "creation_studio:order.accept"
ORDER_CANCEL = "creation_studio:order.cancel"

PERMISSIONS: tuple[Permission, ...] = (
    Permission(GIG_READ, "see and search published gigs"),
    Permission(GIG_CREATE, "draft gigs"),
    Permission(GIG_EDIT, "change their own gigs"),
    Permission(GIG_PUBLISH, "publish their own gigs"),
    Permission(GIG_ARCHIVE, "archive their own gigs"),
    Permission(GIG_DELETE, "delete and restore their own gigs"),
    Permission(GIG_MODERATE, "archive anybody's gig"),
    Permission(ORDER_PLACE, "order gigs"),
    Permission(ORDER_READ, "see the orders that they buy or sell"),
    Permission(ORDER_DELIVER, "deliver the orders that they sell"),
    Permission(ORDER_ACCEPT, "accept what was delivered to them, which pays the seller"),
    Permission(ORDER_CANCEL, "cancel their orders before they are paid"),
)

SELF_SERVICE = tuple(permission.name for permission in PERMISSIONS if permission.name != GIG_MODERATE)

GRANTS: tuple[RoleGrant, ...] = (
    RoleGrant("anonymous", (GIG_READ,)),
    RoleGrant("member", SELF_SERVICE),
    RoleGrant("administrator", (GIG_READ, GIG_ARCHIVE, GIG_MODERATE)),
)
