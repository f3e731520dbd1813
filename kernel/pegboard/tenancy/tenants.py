"""Tenants, as the platform's operators manage them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from pegboard_sdk.access import Principal
from pegboard_sdk.errors import Conflict
from pegboard_sdk.http import check_if_match
from pegboard_sdk.ids import new_id
from pegboard_sdk.pagination import Page, decode_cursor, encode_cursor

from pegboard.database.tenants import DEFAULT_TENANT
from pegboard.identity.accounts import ADMINISTRATOR, AccountService
from pegboard.identity.by_mail import PasswordForgotten, answer_by_mail
from pegboard.tenancy.errors import DefaultTenantStays, HostTaken, SlugTaken, TenantNotFound
from pegboard.tenancy.hosts import normal_host
from pegboard.tenancy.permissions import TENANT_CREATE, TENANT_NAME_HOST, TENANT_RENAME, TENANT_SUSPEND
from pegboard.tenancy.schemas import Tenant, TenantHost, TenantStatus
from pegboard.work import Work
from pegboard.work.context import WorkContext

__all__ = ("TenantService",)

_SELECT = """
SELECT t.id, t.slug, t.name, t.status, t.status_reason, t.version, t.created_at, coalesce((
    SELECT json_agg(json_build_object('host', h.host, 'canonical', h.canonical) ORDER BY h.canonical DESC, h.host)
    FROM kernel_tenant_hosts h WHERE h.tenant = t.id
), '[]')::text AS hosts
FROM kernel_tenants t
"""
_TOUCH = "UPDATE kernel_tenants SET name = name WHERE id = $1"


class TenantService:
    """Over what a route or a command has: who acts is `context.principal`, an operator or the platform itself.

    Each change is one transaction as *system*, with its entry in the audit trail of who acts. This process knows of it
    at once, the others within a second.
    """

    def __init__(self, context: WorkContext) -> None:
        self._context = context
        self.runtime = context.runtime
        """The process's own."""
        self._database = context.runtime.database

    async def list(self, *, limit: int, cursor: str | None) -> Page[Tenant]:
        """All tenants, newest first.

        Raises:
            InvalidCursor: `cursor` is not the `next_cursor` of a page.
        """
        after = decode_cursor(cursor, [UUID])
        async with self._database.system_reader() as connection:
            rows = await connection.fetch(
                _SELECT + " WHERE $1::uuid IS NULL OR t.id < $1 ORDER BY t.id DESC LIMIT $2",
                after[0] if after else None,
                limit + 1,
            )
        items = [_tenant(row) for row in rows[:limit]]
        return Page(items, encode_cursor(items[-1].id) if len(rows) > limit else None)

    async def get(self, tenant_id: UUID) -> Tenant:
        """One tenant.

        Raises:
            TenantNotFound: there is none with this id.
        """
        async with self._database.system_reader() as connection:
            return await _find(connection, tenant_id)

    async def find(self, slug: str) -> Tenant:
        """One tenant, by its short name.

        Raises:
            TenantNotFound: there is none.
        """
        async with self._database.system_reader() as connection:
            return _tenant(await connection.fetchrow(_SELECT + " WHERE t.slug = $1", slug))

    async def create(
        self, *, slug: str, name: str, email: str, display_name: str, password_hash: str | None = None
    ) -> Tenant:
        """A tenant with its first administrator: both, or neither. `email` is as `normal_email` gives it.

        Without a hash the administrator gets a message by which they choose their password.

        Raises:
            SlugTaken: there is a tenant with this short name.
        """
        tenant_id = new_id()
        async with self._change(tenant_id, lock=False) as work:
            try:
                await work.execute(
                    "INSERT INTO kernel_tenants (id, slug, name) VALUES ($1, $2, $3)", tenant_id, slug, name
                )
            except asyncpg.UniqueViolationError as error:
                raise SlugTaken(slug) from error
            await work.audit(
                TENANT_CREATE, object_type="tenant", object_id=tenant_id, after={"slug": slug, "name": name}
            )
            inside = Work(
                work.connection,
                self.runtime,
                self._context.registry,
                Principal(kind="system", tenant_id=tenant_id),
                self._context.request_id,
            )
            await AccountService(self.runtime).create(
                inside, email=email, password_hash=password_hash, display_name=display_name, roles=(ADMINISTRATOR,)
            )
            if password_hash is None:
                await answer_by_mail(inside, PasswordForgotten(email=email))
            work.after_commit(inside.committed)
        return await self.get(tenant_id)

    async def rename(self, tenant_id: UUID, name: str, *, if_match: str | None) -> Tenant:
        """Give a tenant another name; its short name stays.

        Raises:
            TenantNotFound: there is none with this id.
            PreconditionRequired, PreconditionFailed: `if_match` does not name its current version.
        """
        async with self._change(tenant_id) as work:
            before = await _find(work.connection, tenant_id)
            check_if_match(if_match, before.version)
            if before.name != name:
                await work.execute("UPDATE kernel_tenants SET name = $2 WHERE id = $1", tenant_id, name)
                await work.audit(
                    TENANT_RENAME,
                    object_type="tenant",
                    object_id=tenant_id,
                    before={"name": before.name},
                    after={"name": name},
                )
        return await self.get(tenant_id)

    async def set_status(self, tenant_id: UUID, status: TenantStatus, reason: str = "") -> Tenant:
        """Suspend a tenant: its writes are refused at once, its reads within a second, and its jobs are parked; or let
        it go on where it stopped.

        Raises:
            TenantNotFound: there is none with this id.
            DefaultTenantStays: it is the default tenant.
        """
        if tenant_id == DEFAULT_TENANT:
            raise DefaultTenantStays("The platform's operators are in this marketplace: it can't be suspended.")
        async with self._change(tenant_id) as work:
            before = await _find(work.connection, tenant_id)
            if before.status != status:
                await work.execute(
                    "UPDATE kernel_tenants SET status = $2, status_reason = $3 WHERE id = $1", tenant_id, status, reason
                )
                await work.audit(
                    TENANT_SUSPEND,
                    object_type="tenant",
                    object_id=tenant_id,
                    before={"status": before.status},
                    after={"status": status, "reason": reason},
                )
        return await self.get(tenant_id)

    async def put_host(self, tenant_id: UUID, host: str, *, canonical: bool) -> Tenant:
        """Have a host name lead to a tenant. The first one is canonical; a later one is where `canonical` says so.

        Raises:
            TenantNotFound: there is none with this id.
            InvalidInput: not a host name.
            HostTaken: it leads to another tenant.
            Conflict: it would be the platform's first, and the default tenant could not be reached by name any more.
        """
        host = normal_host(host)
        async with self._change(tenant_id) as work:
            before = await _find(work.connection, tenant_id)
            await self._keep_default_reachable(work.connection, tenant_id)
            canonical = canonical or not before.hosts
            if canonical:
                await work.execute("UPDATE kernel_tenant_hosts SET canonical = false WHERE tenant = $1", tenant_id)
            owner = await work.fetchval(
                "INSERT INTO kernel_tenant_hosts AS h (host, tenant, canonical) VALUES ($1, $2, $3)"
                " ON CONFLICT (host) DO UPDATE SET canonical = h.canonical OR excluded.canonical"
                " WHERE h.tenant = excluded.tenant RETURNING tenant",
                host,
                tenant_id,
                canonical,
            )
            if owner is None:
                raise HostTaken(host)
            await self._hosts_changed(work, before)
        return await self.get(tenant_id)

    async def remove_host(self, tenant_id: UUID, host: str) -> None:
        """Have a host name lead nowhere. Of those that are left the oldest becomes canonical, if this one was.

        Raises:
            TenantNotFound: there is none with this id.
        """
        async with self._change(tenant_id) as work:
            before = await _find(work.connection, tenant_id)
            await work.execute(
                "DELETE FROM kernel_tenant_hosts WHERE tenant = $1 AND host = $2", tenant_id, host.lower()
            )
            await work.execute(
                "UPDATE kernel_tenant_hosts SET canonical = true WHERE tenant = $1 AND host = ("
                " SELECT host FROM kernel_tenant_hosts WHERE tenant = $1 ORDER BY created_at, host LIMIT 1)"
                " AND NOT EXISTS (SELECT FROM kernel_tenant_hosts WHERE tenant = $1 AND canonical)",
                tenant_id,
            )
            await self._hosts_changed(work, before)

    async def _keep_default_reachable(self, connection: Any, tenant_id: UUID) -> None:
        """Once there are host names, an unknown one leads nowhere: whoever adds the first must not lock themselves
        out.
        """
        if tenant_id == DEFAULT_TENANT or self.runtime.config.http.public_url:
            return
        if not await connection.fetchval("SELECT EXISTS (SELECT FROM kernel_tenant_hosts)"):
            raise Conflict(
                "Give the default marketplace its host name first, or set http.public_url: from the first host name"
                " on, requests to unknown ones are refused."
            )

    @staticmethod
    async def _hosts_changed(work: Work, before: Tenant) -> None:
        await work.execute(_TOUCH, before.id)
        after = await _find(work.connection, before.id)
        await work.audit(
            TENANT_NAME_HOST,
            object_type="tenant",
            object_id=before.id,
            before={"hosts": _shown(before.hosts)},
            after={"hosts": _shown(after.hosts)},
        )

    @asynccontextmanager
    async def _change(self, tenant_id: UUID, *, lock: bool = True) -> AsyncIterator[Work]:
        """One transaction that sees all tenants, with the tenant's row locked. Who acts must still be logged in."""
        context = self._context
        async with self._database.system_transaction() as connection:
            if context.principal.session_id is not None:
                await connection.execute("SELECT kernel_require_session($1)", context.principal.session_id)
            if lock:
                await connection.execute("SELECT FROM kernel_tenants WHERE id = $1 FOR NO KEY UPDATE", tenant_id)
            work = Work(connection, self.runtime, context.registry, context.principal, context.request_id)
            yield work
        await work.committed()
        await self.runtime.authenticator.tenants.refresh(self._database, tenant_id)


async def _find(connection: Any, tenant_id: UUID) -> Tenant:
    return _tenant(await connection.fetchrow(_SELECT + " WHERE t.id = $1", tenant_id))


def _tenant(row: Any) -> Tenant:
    if row is None:
        raise TenantNotFound
    fields = dict(row)
    fields["hosts"] = msgspec.json.decode(fields["hosts"], type=list[TenantHost])
    return Tenant(**fields)


def _shown(hosts: list[TenantHost]) -> list[str]:
    return [f"{one.host} (canonical)" if one.canonical else one.host for one in hosts]
