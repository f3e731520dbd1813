"""Letting a plugin out of quarantine, as somebody."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec
from pegboard_sdk.access import Principal
from pegboard_sdk.errors import Conflict
from pegboard_sdk.http import Controller, get, post
from pegboard_sdk.ids import new_id
from pegboard_sdk.pagination import Page

from pegboard.plugins import quarantine, revisions, silence
from pegboard.plugins.parameters import PluginName
from pegboard.plugins.permissions import READ, RELEASE
from pegboard.plugins.revisions import Origin, Revision
from pegboard.runtime import Runtime
from pegboard.work import ReadWork, SteppedWork, Work

__all__ = ("CONTROLLERS", "NotQuarantined", "QuarantineController", "release_plugin")


class NotQuarantined(Conflict):
    """The plugin is not in quarantine."""

    code = "plugin_not_quarantined"


class QuarantineView(msgspec.Struct, frozen=True, kw_only=True):
    """A time in quarantine. `cause`: import, hook, startup or health; `released_at` is null while it lasts."""

    plugin: str
    version: str
    cause: Literal["import", "hook", "startup", "health"]
    reason: str
    node: str
    created_at: datetime
    released_at: datetime | None
    released_by: UUID | None


class PluginRelease(msgspec.Struct, frozen=True):
    """What came of a release: the revision in which the plugin is tried again; null where no platform runs it now."""

    plugin: str
    revision: int | None


async def release_plugin(
    runtime: Runtime, principal: Principal, name: str, *, origin: Origin, request_id: str = ""
) -> Revision | None:
    """End a plugin's quarantine and have it tried again, if it is to be on; gives the revision that does.

    Its failure in that revision puts it back.

    Raises:
        NotQuarantined: it isn't in quarantine.
    """
    silent = await silence.still_silent(runtime.database)
    async with runtime.database.system_transaction() as connection:
        await revisions.lock(connection)
        if not await quarantine.release(connection, name, by=principal.account_id):
            raise NotQuarantined(f"{name} is not in quarantine: `pegboard plugins list` shows what is.")
        wanted = await revisions.wanted_revision(connection)
        revision = None
        if wanted is not None and name in wanted.plugins:
            await silence.give_up_on(connection, silent)
            revision = await revisions.propose(
                connection,
                wanted.plugins,
                file_hash=wanted.file_hash,
                origin=origin,
                requested_by=principal.account_id,
            )
        work = Work(connection, runtime, runtime.registry, principal, request_id or new_id().hex)
        tried = {} if revision is None else {"revision": revision.number, "state": revision.state}
        await work.audit(RELEASE, object_type="plugin", object_id=name, after={"quarantined": False, **tried})
    await revisions.notify(runtime.database)
    return revision


class QuarantineController(Controller):
    """Plugins that are kept out because their code failed."""

    path = "/admin/plugins"

    @get("/quarantine", permission=READ)
    async def list_quarantine(self, uow: ReadWork) -> Page[QuarantineView]:
        """The latest hundred, newest first, with those that have ended."""
        async with uow.runtime.database.system_transaction() as connection:
            found = await quarantine.history(connection)
        return Page([msgspec.convert(msgspec.structs.asdict(one), QuarantineView) for one in found])

    @post("/{name:str}/release", permission=RELEASE, external=True, status=202, errors=(NotQuarantined,))
    async def release_plugin(self, name: PluginName, uow: SteppedWork) -> PluginRelease:
        """Let a plugin out of quarantine and try it again."""
        async with uow.step():
            # Its first statement checks that the session has not been ended; the rest is the system role's business.
            pass
        revision = await release_plugin(uow.runtime, uow.principal, name, origin="api", request_id=uow.request_id)
        return PluginRelease(name, None if revision is None else revision.number)


CONTROLLERS = (QuarantineController,)
