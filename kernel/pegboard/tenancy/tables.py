"""The tables of tenancy, as Piccolo sees them; their queries are SQL, in the repositories."""

from piccolo.columns import UUID, BigInt, Boolean, Bytea, Integer, Text, Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

__all__ = (
    "TABLES",
    "KernelOrganisation",
    "KernelOrganisationInvitation",
    "KernelOrganisationMember",
    "KernelTenantHost",
)


class KernelTenantHost(Table, tablename="kernel_tenant_hosts"):
    """A host name that leads to a tenant. The application's role may not read it."""

    host = Text(primary_key=True, null=False, default=None)
    tenant = UUID(null=False, default=None)
    canonical = Boolean(null=False, default=False)
    created_at = Timestamptz(null=False, default=TimestamptzNow())


class KernelOrganisation(Table, tablename="kernel_organisations"):
    """An agency or a company inside a marketplace."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    type = Text(null=False, default=None)
    name = Text(null=False, default=None)
    description = Text(null=False, default="")
    website = Text(null=False, default="")
    status = Text(null=False, default="active")
    version = BigInt(null=False, default=1)
    created_by = UUID(null=True, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


class KernelOrganisationMember(Table, tablename="kernel_organisation_members"):
    """An account in an organisation, with its role there."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    organisation_id = UUID(null=False, default=None)
    account_id = UUID(null=False, default=None)
    role = Text(null=False, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


class KernelOrganisationInvitation(Table, tablename="kernel_organisation_invitations"):
    """Somebody who reads mail at `email` may become a member, by a token of which this has the digest."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    organisation_id = UUID(null=False, default=None)
    email = Text(null=False, default=None)
    role = Text(null=False, default=None)
    digest = Bytea(null=False, default=None)
    state = Text(null=False, default="open")
    sent = Integer(null=False, default=1)
    invited_by = UUID(null=True, default=None)
    expires_at = Timestamptz(null=False, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


TABLES: tuple[type[Table], ...] = (
    KernelTenantHost,
    KernelOrganisation,
    KernelOrganisationMember,
    KernelOrganisationInvitation,
)
