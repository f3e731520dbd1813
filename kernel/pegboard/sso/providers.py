"""Which identity providers a tenant has: those of `plugins.toml`, and those that its administrators set up."""

from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from pegboard_sdk.ids import new_id
from pegboard_sdk.settings import Secret
from pegboard_sdk.work import UnitOfWork

from pegboard.config.sso import ProviderSettings, SsoProvider
from pegboard.database.tenants import DEFAULT_TENANT
from pegboard.sso.errors import ProviderUnknown
from pegboard.vault.store import secret_row

if TYPE_CHECKING:
    from pegboard.runtime import Runtime
    from pegboard.work import Work

__all__ = ("Provider", "ProviderRepository", "Providers", "domain_of", "secret_name")


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """A provider of a tenant. `configured`: it is in `plugins.toml`."""

    name: str
    settings: ProviderSettings
    secret: Secret
    configured: bool = False

    @property
    def is_home_of(self) -> frozenset[str]:
        """The domains whose addresses belong here."""
        return frozenset(self.settings.domains)


class ProviderRepository:
    """The tenant's own providers, over one unit of work."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow
        self._tenant = uow.tenant_id

    async def all(self) -> dict[str, ProviderSettings]:
        """Their settings by name, in order."""
        rows = await self._uow.fetch(
            "SELECT name, settings::text AS settings FROM kernel_sso_providers WHERE tenant_id = $1 ORDER BY name",
            self._tenant,
        )
        return {row["name"]: msgspec.json.decode(row["settings"], type=ProviderSettings) for row in rows}

    async def put(self, name: str, settings: ProviderSettings) -> None:
        """Add or replace one."""
        await self._uow.execute(
            """
            INSERT INTO kernel_sso_providers (id, tenant_id, name, settings, updated_by)
            VALUES ($1, $2, $3, $4::text::jsonb, $5)
            ON CONFLICT (tenant_id, name) DO UPDATE SET settings = excluded.settings, updated_by = excluded.updated_by
            """,
            new_id(),
            self._tenant,
            name,
            msgspec.json.encode(settings).decode(),
            self._uow.principal.account_id,
        )

    async def remove(self, name: str) -> bool:
        """Remove one; False if there was none."""
        tag = await self._uow.execute(
            "DELETE FROM kernel_sso_providers WHERE tenant_id = $1 AND name = $2", self._tenant, name
        )
        return tag == "DELETE 1"

    async def envelope(self, name: str) -> bytes | None:
        """The sealed secret of one: the tenant's own, never the platform's, which is for no tenant's provider."""
        return await self._uow.fetchval(
            "SELECT envelope FROM kernel_secrets WHERE tenant_id = $1 AND name = $2", self._tenant, secret_name(name)
        )


class Providers:
    """Finds them. A name in `plugins.toml` hides a tenant's of the same name."""

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime

    def configured(self, tenant_id: UUID) -> dict[str, SsoProvider]:
        """Those of `plugins.toml` that the tenant has."""
        return {
            name: provider
            for name, provider in self._runtime.config.sso.items()
            if provider.tenants == "all" or tenant_id == DEFAULT_TENANT
        }

    async def settings(self, work: "Work") -> dict[str, ProviderSettings]:
        """All that are on, by name."""
        own = await ProviderRepository(work).all()
        found: dict[str, ProviderSettings] = own | self.configured(work.tenant_id)
        return {name: settings for name, settings in found.items() if settings.enabled}

    async def find(self, work: "Work", name: str) -> Provider:
        """One that is on, with its secret.

        Raises:
            ProviderUnknown: there is none of this name.
            VaultError: its secret can't be opened.
        """
        configured = self.configured(work.tenant_id).get(name)
        if configured is not None:
            if not configured.enabled:
                raise ProviderUnknown
            return Provider(name=name, settings=configured, secret=configured.client_secret, configured=True)
        repository = ProviderRepository(work)
        settings = (await repository.all()).get(name)
        if settings is None or not settings.enabled:
            raise ProviderUnknown
        envelope = await repository.envelope(name)
        secret = ""
        if envelope is not None:
            bound = secret_row(work.tenant_id, secret_name(name))
            secret = self._runtime.vault.decrypt(envelope, associated_data=bound).decode()
        return Provider(name=name, settings=settings, secret=Secret(secret))


def secret_name(provider: str) -> str:
    """What a provider's secret is called in the vault."""
    return f"sso.{provider}"


def domain_of(email: str) -> str:
    """The domain of a normal address."""
    return email.rpartition("@")[2].lower()
