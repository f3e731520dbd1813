"""A tenant's administrators set up its identity providers."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
from pegboard_sdk.errors import FieldError, InvalidInput
from pegboard_sdk.settings import Secret

from pegboard.audit.writer import insert_entry
from pegboard.authorization.changes import start_use
from pegboard.authorization.giving import require_may_give_roles
from pegboard.config.sso import ProviderSettings
from pegboard.sso.errors import ProviderConfigured, ProviderUnknown, SignInFirst
from pegboard.sso.identities import SsoIdentities
from pegboard.sso.permissions import PROVIDER_REMOVE, PROVIDER_SET
from pegboard.sso.presets import issuer_of
from pegboard.sso.providers import ProviderRepository, Providers, secret_name
from pegboard.sso.schemas import AdministeredProvider, AdministeredProviders, ProviderPut
from pegboard.vault.store import SecretStore

if TYPE_CHECKING:
    from pegboard.runtime import Runtime
    from pegboard.work import SteppedWork, Work

__all__ = ("ProviderAdministration",)


class ProviderAdministration:
    """The rules. `callback` gives the address that a provider of a name must send people back to."""

    def __init__(self, runtime: "Runtime", callback: Callable[[str], str]) -> None:
        self._runtime = runtime
        self._callback = callback
        self._providers = Providers(runtime)

    async def list(self, work: "Work") -> AdministeredProviders:
        """All that the tenant has, those that are off too."""
        repository = ProviderRepository(work)
        configured = self._providers.configured(work.tenant_id)
        items = [
            self._shown(name, _without_secret(settings), bool(settings.client_secret.reveal()), configured=True)
            for name, settings in sorted(configured.items())
        ]
        for name, settings in (await repository.all()).items():
            if name not in configured:
                has_secret = await repository.envelope(name) is not None
                items.append(self._shown(name, settings, has_secret, configured=False))
        return AdministeredProviders(items=items)

    async def put(self, uow: "SteppedWork", name: str, data: ProviderPut) -> AdministeredProvider:
        """Add or replace a provider. Its secret goes into the vault, and none means that it stays as it is.

        Raises:
            ProviderConfigured: `plugins.toml` has one of this name.
            NotHeld: it would give a role that grants more than what its administrator holds.
            SignInFirst: it would be the only way in for a domain, and who says so has not come in by it.
            InvalidInput: it is another provider or client, and the secret is that of the one before: to send it there
                would give it away.
        """
        if name in self._providers.configured(uow.tenant_id):
            raise ProviderConfigured
        settings = _without_secret(data)
        async with uow.step() as work:
            await self._check(work, name, settings)
            former = (await ProviderRepository(work).all()).get(name)
            if former is not None and data.client_secret is None and _whose(former) != _whose(settings):
                detail = "Send client_secret too: the one that is here is for another provider or client."
                raise InvalidInput(detail, errors=[FieldError("/client_secret", detail)])
        # First the secret: settings that are on with the secret of others would send it to whom it isn't for.
        if data.client_secret is not None:
            await self._keep_secret(uow, name, data.client_secret)
        async with uow.step() as work:
            await self._check(work, name, settings)
            repository = ProviderRepository(work)
            before = (await repository.all()).get(name)
            await repository.put(name, settings)
            await insert_entry(
                work,
                PROVIDER_SET,
                object_type="provider",
                object_id=name,
                before=None if before is None else _recorded(before),
                after={**_recorded(settings), "secret_is_new": data.client_secret is not None},
            )
            has_secret = await repository.envelope(name) is not None
        return self._shown(name, settings, has_secret, configured=False)

    async def remove(self, uow: "SteppedWork", name: str) -> None:
        """Remove a provider and its secret. Who logged in by it keeps the account, and needs another way in.

        Raises:
            ProviderUnknown: there is none of this name.
            ProviderConfigured: it is in `plugins.toml`.
        """
        if name in self._providers.configured(uow.tenant_id):
            raise ProviderConfigured
        async with uow.step() as work:
            repository = ProviderRepository(work)
            before = (await repository.all()).get(name)
            if before is None or not await repository.remove(name):
                raise ProviderUnknown
            await insert_entry(work, PROVIDER_REMOVE, object_type="provider", object_id=name, before=_recorded(before))
        async with self._runtime.database.system_transaction() as connection:
            await self._store(uow, connection).remove(secret_name(name), tenant_id=uow.tenant_id)

    async def _check(self, work: "Work", name: str, settings: ProviderSettings) -> None:
        given = frozenset(settings.roles).union(*settings.role_map.values())
        if given:
            await require_may_give_roles(work, await start_use(work), given)
        if settings.require and settings.enabled:
            own = await SsoIdentities(work).of_account(work.principal.account)
            if not any(identity["provider"] == name for identity in own):
                raise SignInFirst

    async def _keep_secret(self, uow: "SteppedWork", name: str, secret: str) -> None:
        async with self._runtime.database.system_transaction() as connection:
            await self._store(uow, connection).set(secret_name(name), Secret(secret), tenant_id=uow.tenant_id)

    def _store(self, uow: "SteppedWork", connection: Any) -> SecretStore:
        return SecretStore(connection, self._runtime.vault, actor=uow.principal, request_id=uow.request_id)

    def _shown(
        self, name: str, settings: ProviderSettings, has_secret: bool, *, configured: bool
    ) -> AdministeredProvider:
        return AdministeredProvider(
            name=name,
            settings=settings,
            has_secret=has_secret,
            configured=configured,
            callback_url=self._callback(name),
        )


def _without_secret(settings: ProviderSettings) -> ProviderSettings:
    names = ProviderSettings.__struct_fields__
    return ProviderSettings(**{name: getattr(settings, name) for name in names})


def _whose(settings: ProviderSettings) -> tuple[str, str]:
    """What a secret is for."""
    return issuer_of(settings), settings.client_id


def _recorded(settings: ProviderSettings) -> dict[str, Any]:
    """What is on record of it: all that isn't as it is by default."""
    fields = {field.name: field for field in msgspec.structs.fields(ProviderSettings)}
    said = {name: getattr(settings, name) for name in fields}
    return {name: value for name, value in said.items() if value not in ("", [], {})}
