"""What the administration shows of plugins."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from pegboard_sdk.manifest import Capabilities

from pegboard.plugins.planning.action import DataFate
from pegboard.plugins.planning.content import Plan
from pegboard.plugins.routes import RouteView

__all__ = (
    "PlanApplication",
    "PlanRequest",
    "PluginChange",
    "PluginView",
    "PluginsOverview",
    "ProcessView",
    "RevisionView",
)

Name = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]*$", max_length=32)]
Names = Annotated[list[Name], msgspec.Meta(max_length=100)]


class RevisionView(msgspec.Struct, frozen=True, kw_only=True):
    """A set of plugins that was to be on. `state`: preparing, active, failed (`reason` says why) or superseded."""

    number: int
    state: Literal["preparing", "active", "failed", "superseded"]
    plugins: list[str]
    origin: Literal["file", "api", "cli", "kernel"]
    reason: str | None
    created_at: datetime
    decided_at: datetime | None


class ProcessView(msgspec.Struct, frozen=True, kw_only=True):
    """A live process and the revision that it runs.

    `versions`: plugin → the version that it runs. `error`: why it is not on the wanted revision; `conflict`: how the
    `plugins.toml` that it reads differs from it. `breakers`: plugin → `open` or `half_open`, where its circuit
    breaker is not closed in this process.
    """

    kind: str
    node: str
    pid: int
    active_revision: int | None
    ready_revision: int | None
    error: str | None
    conflict: str | None
    versions: dict[str, str]
    breakers: dict[str, str]


class PlanRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to plan. Without any name: whatever `plugins.toml` and the installed packages say otherwise than what runs.

    `data` is what would become of the data of plugins that are uninstalled; `cascade`: what hangs together goes
    together.
    """

    enable: Names = []
    disable: Names = []
    upgrade: Names = []
    uninstall: Names = []
    data: DataFate = "keep"
    cascade: bool = False


class PlanApplication(msgspec.Struct, frozen=True, kw_only=True):
    """A plan that was applied. `revision` is what the processes take up, null where only migrations were run."""

    plan: Plan
    revision: RevisionView | None


class PluginView(msgspec.Struct, frozen=True, kw_only=True):
    """A plugin, as the processes run it. `state`: enabled; disabled by somebody; not_installed; failed: it should be on
    and can't, until it is mended; quarantined: it failed while it ran; blocked by a pin or a block; held_back in safe
    mode. `reason` says why. `next`: what is otherwise with what is installed and written by now: an upgrade that waits,
    settings that would be refused; null where nothing is.

    What only code tells (routes, jobs, events that it listens to) is there for enabled plugins. `load_ms`: how long
    the process that was asked took to load it, null where it didn't.
    """

    name: str
    state: Literal["enabled", "disabled", "not_installed", "failed", "quarantined", "blocked", "held_back"]
    reason: str | None
    next: str | None
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
    load_ms: float | None


class PluginsOverview(msgspec.Struct, frozen=True, kw_only=True):
    """All plugins, the revision that is active, the newest one if that is another, and how far each process is.

    `source`: the states are those of the processes that run; or no platform runs, and they are what `plugins.toml` and
    the installed packages would make of a start.
    """

    source: Literal["processes", "files"]
    plugins: list[PluginView]
    active: RevisionView | None
    latest: RevisionView | None
    processes: list[ProcessView]


class PluginChange(msgspec.Struct, frozen=True, kw_only=True):
    """What a toggle asked for: the processes prepare the revision, then all swap to it. `also`: whom the cascade takes
    along, in the same revision.

    Read `GET /api/v1/admin/plugins` to see what became of it.
    """

    plugin: str
    enabled: bool
    also: list[str]
    revision: RevisionView
