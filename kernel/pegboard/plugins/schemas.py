"""What the administration shows of plugins."""

from datetime import datetime
from typing import Literal

import msgspec
from pegboard_sdk.manifest import Capabilities

from pegboard.plugins.routes import RouteView

__all__ = ("PluginChange", "PluginView", "PluginsOverview", "ProcessView", "RevisionView")


class RevisionView(msgspec.Struct, frozen=True, kw_only=True):
    """A set of plugins that was to be on. `state`: preparing, active, failed (`reason` says why) or superseded."""

    number: int
    state: Literal["preparing", "active", "failed", "superseded"]
    plugins: list[str]
    origin: Literal["file", "api", "cli"]
    reason: str | None
    created_at: datetime
    decided_at: datetime | None


class ProcessView(msgspec.Struct, frozen=True, kw_only=True):
    """A live process and the revision that it runs.

    `error`: why it is not on the wanted one; `conflict`: how the `plugins.toml` that it reads differs from it.
    """

    kind: str
    node: str
    pid: int
    active_revision: int | None
    ready_revision: int | None
    error: str | None
    conflict: str | None


class PluginView(msgspec.Struct, frozen=True, kw_only=True):
    """A plugin. `state`: enabled, disabled, or failed (it should be on, and `reason` says why it is not).

    What only code tells (routes, jobs, events that it listens to) is there for enabled plugins.
    """

    name: str
    state: Literal["enabled", "disabled", "failed"]
    reason: str | None
    summary: str
    version: str
    sdk: str
    distribution: str
    requires: dict[str, str]
    after: dict[str, str]
    permissions: dict[str, str]
    events: dict[str, str]
    capabilities: Capabilities
    routes: list[RouteView]
    jobs: list[str]
    schedules: list[str]
    listens_to: list[str]
    services: list[str]
    extends: list[str]
    load_ms: float


class PluginsOverview(msgspec.Struct, frozen=True, kw_only=True):
    """All plugins, the revision that is active, the newest one if that is another, and how far each process is."""

    plugins: list[PluginView]
    active: RevisionView | None
    latest: RevisionView | None
    processes: list[ProcessView]


class PluginChange(msgspec.Struct, frozen=True, kw_only=True):
    """What a toggle asked for: the processes prepare the revision, then all swap to it.

    Read `GET /api/v1/admin/plugins` to see what became of it.
    """

    plugin: str
    enabled: bool
    revision: RevisionView
