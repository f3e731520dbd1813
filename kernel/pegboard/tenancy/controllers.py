"""The routes of tenants: /admin/tenants, for the platform's operators."""

from typing import Annotated
from uuid import UUID

from pegboard_sdk.errors import (
    Conflict,
    InvalidCursor,
    InvalidInput,
    PreconditionFailed,
    PreconditionRequired,
)
from pegboard_sdk.http import (
    Controller,
    FromPath,
    IfMatch,
    PathParameter,
    Response,
    delete,
    get,
    patch,
    post,
    put,
    with_etag,
)
from pegboard_sdk.pagination import Cursor, Limit, Page

from pegboard.identity.credentials import normal_email
from pegboard.tenancy.errors import DefaultTenantStays, HostTaken, SlugTaken, TenantNotFound
from pegboard.tenancy.hosts import MAX_HOST
from pegboard.tenancy.permissions import (
    TENANT_CREATE,
    TENANT_LIST,
    TENANT_NAME_HOST,
    TENANT_RENAME,
    TENANT_SUSPEND,
)
from pegboard.tenancy.schemas import HostUse, Suspension, Tenant, TenantCreate, TenantName
from pegboard.tenancy.tenants import TenantService
from pegboard.work import SteppedWork, Work

__all__ = ("CONTROLLERS", "TenantController")

HostName = Annotated[
    str, PathParameter(min_length=1, max_length=MAX_HOST, description="A host name, such as shop.example.com.")
]


class TenantController(Controller):
    """The marketplaces of the platform. All routes are `external`: they work across tenants, which no unit of work
    does.
    """

    path = "/admin/tenants"

    @get(permission=TENANT_LIST, errors=(InvalidCursor,))
    async def list_tenants(self, uow: Work, limit: Limit = 20, cursor: Cursor = None) -> Page[Tenant]:
        """All marketplaces, newest first."""
        return await TenantService(uow).list(limit=limit, cursor=cursor)

    @get("/{tenant_id:uuid}", permission=TENANT_LIST, errors=(TenantNotFound,))
    async def read_tenant(self, tenant_id: UUID, uow: Work) -> Response[Tenant]:
        """One marketplace, with its host names."""
        tenant = await TenantService(uow).get(tenant_id)
        return with_etag(tenant, tenant.version)

    @post(permission=TENANT_CREATE, external=True, fresh=True, errors=(SlugTaken, InvalidInput))
    async def create_tenant(self, data: TenantCreate, uow: SteppedWork) -> Response[Tenant]:
        """Make a marketplace and its first administrator, who gets a message to choose their password."""
        tenant = await TenantService(uow).create(
            slug=data.slug,
            name=data.name,
            email=normal_email(data.administrator_email),
            display_name=data.administrator_name,
        )
        return with_etag(tenant, tenant.version, status_code=201)

    @patch(
        "/{tenant_id:uuid}",
        permission=TENANT_RENAME,
        external=True,
        errors=(TenantNotFound, PreconditionRequired, PreconditionFailed),
    )
    async def rename_tenant(
        self, tenant_id: UUID, data: TenantName, uow: SteppedWork, if_match: IfMatch = None
    ) -> Response[Tenant]:
        """Rename a marketplace."""
        tenant = await TenantService(uow).rename(tenant_id, data.name, if_match=if_match)
        return with_etag(tenant, tenant.version)

    @post(
        "/{tenant_id:uuid}/suspend",
        permission=TENANT_SUSPEND,
        external=True,
        fresh=True,
        status=200,
        errors=(TenantNotFound, DefaultTenantStays),
    )
    async def suspend_tenant(self, tenant_id: UUID, data: Suspension, uow: SteppedWork) -> Tenant:
        """Suspend a marketplace: it answers no request, and its jobs wait."""
        return await TenantService(uow).set_status(tenant_id, "suspended", data.reason)

    @post(
        "/{tenant_id:uuid}/resume",
        permission=TENANT_SUSPEND,
        external=True,
        fresh=True,
        status=200,
        errors=(TenantNotFound, DefaultTenantStays),
    )
    async def resume_tenant(self, tenant_id: UUID, uow: SteppedWork) -> Tenant:
        """Let a suspended marketplace go on where it stopped."""
        return await TenantService(uow).set_status(tenant_id, "active")

    @put(
        "/{tenant_id:uuid}/hosts/{host:str}",
        permission=TENANT_NAME_HOST,
        external=True,
        fresh=True,
        errors=(TenantNotFound, InvalidInput, HostTaken, Conflict),
    )
    async def put_tenant_host(
        self, tenant_id: UUID, host: FromPath[HostName], data: HostUse, uow: SteppedWork
    ) -> Tenant:
        """Have a host name lead to a marketplace."""
        return await TenantService(uow).put_host(tenant_id, host, canonical=data.canonical)

    @delete(
        "/{tenant_id:uuid}/hosts/{host:str}",
        permission=TENANT_NAME_HOST,
        external=True,
        fresh=True,
        errors=(TenantNotFound,),
    )
    async def remove_tenant_host(self, tenant_id: UUID, host: FromPath[HostName], uow: SteppedWork) -> None:
        """Have a host name lead nowhere."""
        await TenantService(uow).remove_host(tenant_id, host)


CONTROLLERS = (TenantController,)
