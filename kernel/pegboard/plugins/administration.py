"""Toggling a plugin as somebody: with the audit entry that says so."""

from typing import Any

from pegboard_sdk.access import Principal
from pegboard_sdk.ids import new_id

from pegboard.config.model import Config
from pegboard.plugins.permissions import TOGGLE
from pegboard.plugins.revisions import Origin, Revision
from pegboard.plugins.toggle import toggle
from pegboard.runtime import Runtime
from pegboard.work import Work

__all__ = ("change_plugin",)


async def change_plugin(
    runtime: Runtime,
    config: Config,
    principal: Principal,
    name: str,
    enabled: bool,
    *,
    origin: Origin,
    request_id: str = "",
) -> Revision:
    """Turn a plugin on or off as `principal`; `config` is the configuration as it is written now.

    Raises:
        DomainError: see `toggle`.
    """

    async def audit(connection: Any, revision: Revision) -> None:
        # In the system role's transaction, in which the revision is written: one is not without the other.
        work = Work(connection, runtime, runtime.registry, principal, request_id or new_id().hex)
        await work.audit(
            TOGGLE,
            object_type="plugin",
            object_id=name,
            before={"enabled": not enabled},
            after={"enabled": enabled, "revision": revision.number},
        )

    return await toggle(
        runtime.database, config, name, enabled, origin=origin, requested_by=principal.account_id, audit=audit
    )
