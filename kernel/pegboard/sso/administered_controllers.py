"""The routes by which administrators set up identity providers."""

from functools import partial
from typing import Annotated, Any

from litestar.params import PathParameter
from pegboard_sdk.errors import InvalidInput
from pegboard_sdk.http import Controller, Request, delete, get, put

from pegboard.authorization.errors import NotHeld
from pegboard.config.sso import PROVIDER_NAME
from pegboard.sso.administration import ProviderAdministration
from pegboard.sso.callback import callback_url
from pegboard.sso.errors import ProviderConfigured, ProviderUnknown, SignInFirst
from pegboard.sso.permissions import PROVIDER_LIST, PROVIDER_REMOVE, PROVIDER_SET
from pegboard.sso.schemas import AdministeredProvider, AdministeredProviders, ProviderPut
from pegboard.work import SteppedWork, Work

__all__ = ("ProviderController",)

Name = Annotated[str, PathParameter(pattern=PROVIDER_NAME, description="The provider's name, in snake_case.")]


class ProviderController(Controller):
    """The marketplace's identity providers, for its administrators."""

    path = "/admin/sso-providers"

    @get(permission=PROVIDER_LIST)
    async def list_sso_providers(self, request: Request[Any, Any, Any], uow: Work) -> AdministeredProviders:
        """All of them, with the address that each must be told to send people back to; no secrets."""
        return await _service(uow, request).list(uow)

    @put(
        "/{name:str}",
        permission=PROVIDER_SET,
        fresh=True,
        external=True,
        errors=(InvalidInput, NotHeld, ProviderConfigured, SignInFirst),
    )
    async def set_sso_provider(
        self, name: Name, data: ProviderPut, request: Request[Any, Any, Any], uow: SteppedWork
    ) -> AdministeredProvider:
        """Add or replace a provider. Its secret is kept in the vault and never shown."""
        return await _service(uow, request).put(uow, name, data)

    @delete(
        "/{name:str}",
        permission=PROVIDER_REMOVE,
        fresh=True,
        external=True,
        errors=(ProviderUnknown, ProviderConfigured),
    )
    async def remove_sso_provider(self, name: Name, request: Request[Any, Any, Any], uow: SteppedWork) -> None:
        """Remove a provider and its secret. Nobody logs in by it any more; accounts and sessions stay."""
        await _service(uow, request).remove(uow, name)


def _service(uow: Work | SteppedWork, request: Request[Any, Any, Any]) -> ProviderAdministration:
    return ProviderAdministration(uow.runtime, partial(callback_url, uow.runtime, request))
