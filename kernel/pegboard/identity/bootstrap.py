"""The first administrator of an installation."""

import secrets
from typing import TYPE_CHECKING

import msgspec
from pegboard_sdk.access import Principal
from pegboard_sdk.errors import DomainError
from pegboard_sdk.ids import new_id
from pegboard_sdk.settings import Secret

from pegboard.database.pool import Database
from pegboard.database.tenants import DEFAULT_TENANT
from pegboard.identity.accounts import ADMINISTRATOR, OPERATOR, AccountService
from pegboard.identity.repository import IdentityRepository
from pegboard.work import transact

if TYPE_CHECKING:
    from pegboard.runtime import Runtime

__all__ = ("BootstrapError", "Credentials", "ensure_administrator", "has_administrator")

_EXISTS = """
SELECT EXISTS (
    SELECT FROM kernel_role_grants g
    JOIN kernel_accounts a ON a.tenant_id = g.tenant_id AND a.id = g.account_id
    WHERE g.tenant_id = $1 AND g.role = $2 AND a.status = 'active'
)
"""


class BootstrapError(Exception):
    """The first administrator can't be made; the message says what to change in the configuration."""


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """Who the first administrator is. Show a `generated` password once: it is stored nowhere."""

    email: str
    password: Secret
    generated: bool


async def has_administrator(database: Database) -> bool:
    """Whether the default tenant has an administrator: a cheap question, before all that making one needs is opened."""
    async with database.system_transaction() as connection:
        return await connection.fetchval(_EXISTS, DEFAULT_TENANT, ADMINISTRATOR)


async def ensure_administrator(runtime: "Runtime") -> Credentials | None:
    """Make the administrator of `[pegboard.administrator]` in the default tenant; None where there is an administrator.

    It is the platform's first operator too. Any number of processes may call this at once: one makes it.

    Raises:
        BootstrapError: the configured address or password won't do.
    """
    principal = Principal(kind="system", tenant_id=DEFAULT_TENANT)
    request_id = new_id().hex
    async with transact(runtime, runtime.registry, principal, request_id) as work:
        if await IdentityRepository(work).others_with_role(ADMINISTRATOR, than=None):
            return None
    configured = runtime.config.administrator
    generated = not configured.password
    password = Secret(secrets.token_urlsafe(18)) if generated else configured.password
    accounts = AccountService(runtime)
    try:
        email, password_hash = await accounts.prepare(email=configured.email, password=password.reveal())
        async with transact(runtime, runtime.registry, principal, request_id) as work:
            if await IdentityRepository(work).others_with_role(ADMINISTRATOR, than=None):
                return None
            await accounts.create(
                work,
                email=email,
                password_hash=password_hash,
                display_name="Administrator",
                roles=(ADMINISTRATOR, OPERATOR),
            )
    except DomainError as error:
        raise BootstrapError(
            f"The first administrator can't be made from [pegboard.administrator] ({configured.email}): {error.detail}"
        ) from error
    return Credentials(email=email, password=password, generated=generated)
