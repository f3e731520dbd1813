"""Permissions of tenancy.

Of organisations, a permission says two things. Granted to `member`, it lets somebody ask at all; granted to
`organisation_<role>`, it says in which organisations that is answered: those where they have that role. So an
organisation's roles are roles of the permission matrix, whose names begin so: plugins grant to them, or bring further
ones, with their hook `roles`, and a marketplace's administrator edits them like all others.
"""

from pegboard_sdk.access import Permission, RoleGrant

__all__ = (
    "GRANTS",
    "INVITATION_ANSWER",
    "INVITATION_LIST",
    "INVITATION_REVOKE",
    "INVITATION_SEND",
    "MEMBER_EDIT",
    "MEMBER_REMOVE",
    "ORGANISATION_CREATE",
    "ORGANISATION_DELETE",
    "ORGANISATION_EDIT",
    "ORGANISATION_LEAVE",
    "ORGANISATION_LIST",
    "ORGANISATION_READ",
    "ORGANISATION_SUSPEND",
    "ORGANISATION_TRANSFER",
    "PERMISSIONS",
    "TENANT_CREATE",
    "TENANT_LIST",
    "TENANT_NAME_HOST",
    "TENANT_RENAME",
    "TENANT_SUSPEND",
)

TENANT_LIST = "kernel:tenant.list"
TENANT_CREATE = "kernel:tenant.create"
TENANT_RENAME = "kernel:tenant.rename"
TENANT_SUSPEND = "kernel:tenant.suspend"
TENANT_NAME_HOST = "kernel:tenant.name_host"

ORGANISATION_CREATE = "account:organisation.create"
ORGANISATION_READ = "account:organisation.read"
ORGANISATION_EDIT = "account:organisation.edit"
ORGANISATION_DELETE = "account:organisation.delete"
ORGANISATION_TRANSFER = "account:organisation.transfer"
ORGANISATION_LEAVE = "account:organisation.leave"
MEMBER_EDIT = "account:organisation_member.edit"
MEMBER_REMOVE = "account:organisation_member.remove"
INVITATION_LIST = "account:organisation_invitation.list"
INVITATION_SEND = "account:organisation_invitation.send"
INVITATION_REVOKE = "account:organisation_invitation.revoke"
INVITATION_ANSWER = "account:organisation_invitation.answer"
ORGANISATION_LIST = "account:organisation.list"
ORGANISATION_SUSPEND = "account:organisation.suspend"

PERMISSIONS = (
    Permission(TENANT_LIST, "see all marketplaces of the platform"),
    Permission(TENANT_CREATE, "make a marketplace and its first administrator"),
    Permission(TENANT_RENAME, "rename marketplaces"),
    Permission(TENANT_SUSPEND, "suspend marketplaces and let them go on"),
    Permission(TENANT_NAME_HOST, "say which host names lead to a marketplace"),
    Permission(ORGANISATION_CREATE, "make an organisation and own it"),
    Permission(ORGANISATION_READ, "see the organisations that they belong to"),
    Permission(ORGANISATION_EDIT, "edit an organisation's profile"),
    Permission(ORGANISATION_DELETE, "delete an organisation"),
    Permission(ORGANISATION_TRANSFER, "make another member the owner of an organisation in their place"),
    Permission(ORGANISATION_LEAVE, "leave an organisation"),
    Permission(MEMBER_EDIT, "change the roles of an organisation's members"),
    Permission(MEMBER_REMOVE, "remove members from an organisation"),
    Permission(INVITATION_LIST, "see whom an organisation has invited"),
    Permission(INVITATION_SEND, "invite people to an organisation"),
    Permission(INVITATION_REVOKE, "take an organisation's invitations back"),
    Permission(INVITATION_ANSWER, "accept and decline invitations that were sent to them"),
    Permission(ORGANISATION_LIST, "list all organisations of the marketplace"),
    Permission(ORGANISATION_SUSPEND, "suspend organisations of the marketplace and let them go on"),
)

_MANAGER = (
    ORGANISATION_READ,
    ORGANISATION_EDIT,
    ORGANISATION_LEAVE,
    MEMBER_EDIT,
    MEMBER_REMOVE,
    INVITATION_LIST,
    INVITATION_SEND,
    INVITATION_REVOKE,
)
_OWNER = (*_MANAGER, ORGANISATION_DELETE, ORGANISATION_TRANSFER)

GRANTS = (
    RoleGrant("member", (*_OWNER, ORGANISATION_CREATE, INVITATION_ANSWER)),
    RoleGrant("administrator", (ORGANISATION_LIST, ORGANISATION_SUSPEND)),
    RoleGrant("operator", (TENANT_LIST, TENANT_CREATE, TENANT_RENAME, TENANT_SUSPEND, TENANT_NAME_HOST)),
    RoleGrant("organisation_owner", _OWNER),
    RoleGrant("organisation_manager", _MANAGER),
    RoleGrant("organisation_member", (ORGANISATION_READ, ORGANISATION_LEAVE)),
)
