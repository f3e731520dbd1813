"""What tenancy refuses."""

from pegboard_sdk.errors import Conflict, DomainError, Forbidden, NotFound

__all__ = (
    "BadHost",
    "BadTenant",
    "DefaultTenantStays",
    "HostTaken",
    "HostUnknown",
    "InvitationInvalid",
    "InvitationOpen",
    "LastOwner",
    "NotInOrganisation",
    "OrganisationNotFound",
    "OrganisationSuspended",
    "OtherTenant",
    "SlugTaken",
    "TenantNotFound",
    "TenantSuspended",
    "TooManyInvitations",
)


class BadTenant(DomainError):
    """The tenant header is not a UUID, or there are several that disagree."""

    code = "bad_tenant"


class BadHost(DomainError):
    """The request has several Host headers, or one that is no host name (RFC 9112, 3.2)."""

    code = "bad_host"


class OtherTenant(Forbidden):
    """Token, header and host don't name the same tenant."""

    code = "tenant.other"


class HostUnknown(DomainError):
    """No tenant has this host name."""

    status = 421
    code = "tenant.host_unknown"

    def __init__(self) -> None:
        super().__init__("No marketplace is served under this host name. Check the address.")


class TenantSuspended(Forbidden):
    """The platform's operator has suspended the tenant."""

    code = "tenant.suspended"

    def __init__(self) -> None:
        super().__init__("This marketplace is suspended; nothing is lost. Ask the platform's operator.")


class TenantNotFound(NotFound):
    """There is no such tenant."""

    code = "tenant.not_found"

    def __init__(self) -> None:
        super().__init__("There is no such marketplace.")


class SlugTaken(Conflict):
    """Another tenant has this short name."""

    code = "tenant.slug_taken"

    def __init__(self, slug: str) -> None:
        super().__init__(f"There is a marketplace with the short name {slug}: choose another.")


class HostTaken(Conflict):
    """The host name leads to another tenant."""

    code = "tenant.host_taken"

    def __init__(self, host: str) -> None:
        super().__init__(f"{host} is another marketplace's: take it from there first.")


class DefaultTenantStays(Conflict):
    """The default tenant is where the platform's operators are."""

    code = "tenant.default_stays"


class OrganisationNotFound(NotFound):
    """There is no such organisation, or who asks is no member of it."""

    code = "organisation.not_found"

    def __init__(self) -> None:
        super().__init__("There is no such organisation among yours.")


class NotInOrganisation(Forbidden):
    """Their role in the organisation does not grant this."""

    code = "organisation.not_granted"

    def __init__(self, permission: str) -> None:
        super().__init__(f"Your role in this organisation does not grant {permission}: ask one of its owners.")


class OrganisationSuspended(Forbidden):
    """The marketplace's administrator has suspended the organisation."""

    code = "organisation.suspended"

    def __init__(self) -> None:
        super().__init__("This organisation is suspended. Ask the marketplace's administrator.")


class LastOwner(Conflict):
    """Nobody would be left who owns the organisation."""

    code = "organisation.last_owner"

    def __init__(self) -> None:
        super().__init__("This is the organisation's last owner: make somebody else an owner first.")


class InvitationOpen(Conflict):
    """There is an open invitation for this address."""

    code = "organisation.invitation_open"

    def __init__(self) -> None:
        super().__init__("There is an open invitation for this address: send it again, or revoke it.")


class TooManyInvitations(Conflict):
    """The organisation, or one address, has got as many as there may be."""

    code = "organisation.too_many_invitations"


class InvitationInvalid(DomainError):
    """An invitation's token is unknown, used, revoked or too old, or it was sent to another address."""

    code = "organisation.invitation_invalid"

    def __init__(self) -> None:
        super().__init__(
            "This invitation is not valid for you: log in with the address that it was sent to, and confirm that"
            " address; or ask for another invitation."
        )
