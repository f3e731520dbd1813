"""Which tenant a request is for.

The token's tenant is authoritative: a host name or a header that names another is refused. For who is not logged in, a
trusted proxy's header says it, or the host name, or there is only the default tenant. `X-Forwarded-Host` is never read:
a proxy keeps `Host`, or says `X-Tenant`.
"""

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import UUID

from pegboard_sdk.access import Principal

from pegboard.database.tenants import DEFAULT_TENANT
from pegboard.identity.revocations import RevocationFeed
from pegboard.tenancy.directory import Tenants
from pegboard.tenancy.errors import BadTenant, HostUnknown, OtherTenant, TenantNotFound, TenantSuspended
from pegboard.tenancy.hosts import host_of_request

if TYPE_CHECKING:
    from pegboard.runtime import Runtime
    from pegboard.web.addresses import Addresses
    from pegboard.web.exchange import Exchange

__all__ = ("Resolution",)

_TENANTS = "/api/"
"""Below it everything is a tenant's. Probes, metrics, keys and documentation are the platform's, by any host name."""

_MAX_READ = 1_024


class Resolution:
    """Made once per generation. A platform without host names of tenants pays for a look into an empty dictionary."""

    def __init__(self, runtime: "Runtime", addresses: "Addresses") -> None:
        self._database = runtime.database
        self._tenants: Tenants = runtime.authenticator.tenants
        self._feed: RevocationFeed = runtime.authenticator.revocations
        self._addresses = addresses
        self._read: dict[bytes, str] = {}
        self._own_host = (urlsplit(runtime.config.http.public_url).hostname or "").removesuffix(".")

    def check(self, exchange: "Exchange", principal: Principal) -> None:
        """Hold what the request says beside its token against the token.

        Raises:
            OtherTenant: the host name or the header names another tenant.
            HostUnknown: there are several tenants, and the host name is none's.
            BadHost, BadTenant: there are several of them, or the host name is malformed.
            TenantSuspended: the tenant is suspended.
        """
        tenant_id = principal.tenant_id
        if b"x-tenant" in exchange.headers and _header(exchange) != str(tenant_id):
            raise OtherTenant("The token belongs to another tenant than the one that X-Tenant names.")
        if self._tenants.hosts:
            named = self._by_host(exchange)
            if named is not None and named != tenant_id:
                raise OtherTenant("The token belongs to another marketplace than this host name: log in here.")
        self._check_open(exchange, tenant_id)

    async def of_anonymous(self, exchange: "Exchange") -> UUID:
        """The tenant of somebody who is not logged in.

        Raises:
            BadTenant: a trusted proxy's header is no UUID.
            TenantNotFound: there is no tenant of the id in a trusted proxy's header.
            OtherTenant: a trusted proxy's header and the host name name two tenants.
            HostUnknown, BadHost, TenantSuspended: as `check`.
            Unavailable: what this process knows of tenants is too old, and PostgreSQL doesn't answer.
        """
        if self._tenants.several and exchange.scope["path"].startswith(_TENANTS):
            await self._feed.ensure()
        by_header = await self._by_header(exchange)
        by_host = self._by_host(exchange) if self._tenants.hosts else None
        if by_header is not None and by_host is not None and by_header != by_host:
            raise OtherTenant("X-Tenant names another marketplace than the host name.")
        tenant_id = by_header or by_host or DEFAULT_TENANT
        self._check_open(exchange, tenant_id)
        return tenant_id

    def _check_open(self, exchange: "Exchange", tenant_id: UUID) -> None:
        if self._tenants.is_suspended(tenant_id) and exchange.scope["path"].startswith(_TENANTS):
            raise TenantSuspended

    def _by_host(self, exchange: "Exchange") -> UUID | None:
        host = self._host(exchange)
        tenant_id = self._tenants.hosts.get(host)
        if tenant_id is not None:
            return tenant_id
        if host and host == self._own_host:
            return DEFAULT_TENANT
        if self._tenants.several and exchange.scope["path"].startswith(_TENANTS) and not self._proxied(exchange):
            raise HostUnknown
        return None

    def _host(self, exchange: "Exchange") -> str:
        """The host that the request names. How it was written before is remembered: reading it costs ten times that."""
        named = exchange.headers.get(b"host", b"")
        pairs: Any = exchange.scope["headers"]
        known = self._read.get(named)
        if known is None or len(exchange.headers) != len(pairs):  # a header came twice; which?
            known = host_of_request(pairs)
            if len(self._read) < _MAX_READ:
                self._read[named] = known
        return known

    def _proxied(self, exchange: "Exchange") -> bool:
        """Whether a trusted proxy says which tenant it is: then its own name says nothing."""
        client = exchange.scope["client"]
        return b"x-tenant" in exchange.headers and client is not None and self._addresses.trusts(client[0])

    async def _by_header(self, exchange: "Exchange") -> UUID | None:
        client = exchange.scope["client"]
        if b"x-tenant" not in exchange.headers or client is None or not self._addresses.trusts(client[0]):
            return None
        try:
            tenant_id = UUID(_header(exchange))
        except ValueError:
            raise BadTenant("X-Tenant takes a tenant's UUID.") from None
        if not self._tenants.knows(tenant_id):
            # It may be younger than what this process knows.
            await self._tenants.refresh(self._database, tenant_id)
            if not self._tenants.knows(tenant_id):
                raise TenantNotFound
        return tenant_id


def _header(exchange: "Exchange") -> str:
    """What `X-Tenant` says. A proxy that adds a line to one that came in must not be misunderstood.

    Raises:
        BadTenant: there are several of it.
    """
    named = [value for name, value in exchange.scope["headers"] if name == b"x-tenant"]
    if len(named) > 1:
        raise BadTenant("Send X-Tenant once.")
    return named[0].decode("latin-1").strip().lower()
