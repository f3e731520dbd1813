"""Uninstalling over HTTP. Exports are the command line's: they are written where the command runs."""

import asyncio
from typing import Literal

import msgspec
from pegboard_sdk.http import Controller, post

from pegboard.plugins.errors import PluginsFileUnwritable
from pegboard.plugins.parameters import PluginName
from pegboard.plugins.permissions import UNINSTALL
from pegboard.plugins.planning.make import current_config
from pegboard.plugins.removal.errors import PluginAbsent, PluginDataInUse, PluginStillOn
from pegboard.plugins.removal.receipts import SignedReceipt
from pegboard.plugins.removal.uninstall import Uninstaller
from pegboard.work import SteppedWork

__all__ = ("CONTROLLERS", "PluginUninstall", "RemovalController")

PURGING = 660.0
"""Seconds: counting and dropping big tables takes its time."""


class PluginUninstall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes of the plugin's data: `keep` leaves them where they are, `purge` drops them, of all tenants."""

    data: Literal["keep", "purge"]


class RemovalController(Controller):
    """Uninstalling plugins."""

    path = "/admin/plugins"

    @post(
        "/{name:str}/uninstall",
        permission=UNINSTALL,
        external=True,
        status=200,
        timeout=PURGING,
        errors=(PluginStillOn, PluginAbsent, PluginDataInUse, PluginsFileUnwritable),
    )
    async def uninstall_plugin(self, name: PluginName, data: PluginUninstall, uow: SteppedWork) -> SignedReceipt:
        """Uninstall a plugin that is off: keep or purge its data. The answer is the signed receipt.

        Its package stays: remove it with the program that installed it.
        """
        async with uow.step():
            # Its first statement checks that the session has not been ended; the rest is the owner role's business.
            pass
        config = await asyncio.to_thread(current_config, uow.runtime.config)
        uninstaller = Uninstaller(uow.runtime, config, name, uow.principal, request_id=uow.request_id)
        return await (uninstaller.keep() if data.data == "keep" else uninstaller.purge())


CONTROLLERS = (RemovalController,)
