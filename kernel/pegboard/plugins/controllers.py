"""The administration of plugins over HTTP. Only the platform's operator may use it: plugins are for all tenants."""

import asyncio
from pathlib import Path
from typing import Annotated

from litestar.params import Parameter
from pegboard_sdk.http import Controller, get, post

from pegboard.config.errors import ConfigError
from pegboard.config.load import load_config
from pegboard.config.model import Config
from pegboard.plugins.administration import change_plugin
from pegboard.plugins.errors import (
    PluginDependency,
    PluginsFileLocked,
    PluginsFileUnwritable,
    PluginUnknown,
    PluginUnusable,
)
from pegboard.plugins.permissions import READ, TOGGLE
from pegboard.plugins.schemas import PluginChange, PluginsOverview
from pegboard.plugins.service import overview, revision_view
from pegboard.work import ReadWork, SteppedWork

__all__ = ("CONTROLLERS", "PluginController")

Name = Annotated[str, Parameter(pattern="^[a-z][a-z0-9_]*$", max_length=32, description="The plugin's name.")]
_ERRORS = (PluginUnknown, PluginDependency, PluginUnusable, PluginsFileLocked, PluginsFileUnwritable)


class PluginController(Controller):
    """Plugins: which there are, and which are on."""

    path = "/admin/plugins"

    @get(permission=READ)
    async def list_plugins(self, uow: ReadWork) -> PluginsOverview:
        """List all installed plugins with their state, and how far the processes are with the wanted ones."""
        async with uow.runtime.database.system_transaction() as connection:
            return await overview(connection, uow.registry)

    @post("/{name:str}/enable", permission=TOGGLE, external=True, status=202, errors=_ERRORS)
    async def enable_plugin(self, name: Name, uow: SteppedWork) -> PluginChange:
        """Turn a plugin on: its migrations run, each process prepares it, then all swap to it."""
        return await _toggle(uow, name, enabled=True)

    @post("/{name:str}/disable", permission=TOGGLE, external=True, status=202, errors=_ERRORS)
    async def disable_plugin(self, name: Name, uow: SteppedWork) -> PluginChange:
        """Turn a plugin off: its routes go, its jobs wait, its data stays."""
        return await _toggle(uow, name, enabled=False)


async def _toggle(uow: SteppedWork, name: str, *, enabled: bool) -> PluginChange:
    async with uow.step():
        # Its first statement checks that the session has not been ended; the rest is the system role's business.
        pass
    config = await asyncio.to_thread(_current, uow.runtime.config)
    revision = await change_plugin(
        uow.runtime, config, uow.principal, name, enabled, origin="api", request_id=uow.request_id
    )
    return PluginChange(plugin=name, enabled=enabled, revision=revision_view(revision))


def _current(config: Config) -> Config:
    """The configuration as it is written now."""
    try:
        return load_config(Path(config.path))
    except ConfigError as error:
        raise PluginsFileUnwritable(f"The configuration has a mistake: {error}. Mend it first.") from error


CONTROLLERS = (PluginController,)
