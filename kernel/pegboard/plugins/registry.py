"""The registry: everything that the enabled plugins bring, compiled and immutable. One generation has one."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from litestar import Controller
from pegboard_sdk.access import Permission, RoleGrant
from pegboard_sdk.authorization import ApprovalKind, DynamicSegregation, ObjectRule, StaticSegregation
from pegboard_sdk.database import PiccoloApp
from pegboard_sdk.events import Event, EventHandler
from pegboard_sdk.health import HealthCheck
from pegboard_sdk.jobs import ExternalJob, Job, Schedule
from pegboard_sdk.manifest import Manifest
from pegboard_sdk.records import RecordType, ReferenceColumn
from pegboard_sdk.services import Service
from pegboard_sdk.taxonomies import Taxonomy

from pegboard.capabilities.grants import Grant
from pegboard.plugins.failure import Cause

__all__ = ("EMPTY", "LoadedPlugin", "Registry", "SkippedPlugin")


class LoadedPlugin(msgspec.Struct, frozen=True, kw_only=True):
    """An enabled plugin and what it brings. The kernel's own part is one too, named `kernel`.

    `extensions` holds what it returned from collecting hooks such as `payment_providers`, by hook.
    """

    name: str
    manifest: Manifest
    distribution: str
    folder: str = ""
    """Where its package is: code in files below it is the plugin's."""
    module: str = ""
    """What holds its hook implementations; empty for the kernel's own part."""
    settings: msgspec.Struct | None = None
    controllers: Sequence[type[Controller]] = ()
    app: PiccoloApp | None = None
    permissions: Sequence[Permission] = ()
    roles: Sequence[RoleGrant] = ()
    segregation_rules: Sequence[StaticSegregation | DynamicSegregation] = ()
    object_rules: Sequence[ObjectRule] = ()
    approval_kinds: Sequence[ApprovalKind] = ()
    events: Sequence[type[Event]] = ()
    event_handlers: Sequence[EventHandler] = ()
    jobs: Sequence[Job | ExternalJob] = ()
    schedules: Sequence[Schedule] = ()
    services: Sequence[Service] = ()
    health_checks: Sequence[HealthCheck] = ()
    commands: Sequence[Any] = ()
    taxonomies: Sequence[Taxonomy] = ()
    record_types: Sequence[RecordType] = ()
    reference_columns: Sequence[ReferenceColumn] = ()
    extensions: Mapping[str, Sequence[Any]] = {}
    on_startup: Any = None
    on_shutdown: Any = None
    load_ms: float = 0.0


class SkippedPlugin(msgspec.Struct, frozen=True, kw_only=True):
    """An installed or named plugin that is not on, and why.

    `state`: disabled (somebody's decision), failed (mended, it comes back by itself), quarantined (its code failed:
    only an administrator ends it), blocked (a pin or block in `plugins.toml`) or held_back (safe mode). `reason` says
    what to do. `cause` is set where its code failed just now: import or hook.
    """

    name: str
    state: str
    reason: str
    summary: str = ""
    version: str = ""
    distribution: str = ""
    manifest: Manifest | None = None
    cause: Cause | None = None


class Registry(msgspec.Struct, frozen=True, kw_only=True):
    """What a generation is made of. `plugins` are in dependency order, the kernel's part first."""

    plugins: Sequence[LoadedPlugin] = ()
    skipped: Sequence[SkippedPlugin] = ()
    permissions: Mapping[str, Permission] = {}
    role_permissions: Mapping[str, frozenset[str]] = {}
    segregation_rules: Sequence[StaticSegregation | DynamicSegregation] = ()
    object_rules: Mapping[str, ObjectRule] = {}
    """By object type."""
    approval_kinds: Mapping[str, ApprovalKind] = {}
    jobs: Mapping[str, Job | ExternalJob] = {}
    schedules: Mapping[str, Schedule] = {}
    event_handlers: Mapping[str, Sequence[EventHandler]] = {}
    services: Mapping[type, Any] = {}
    settings: Mapping[type, msgspec.Struct] = {}
    extensions: Mapping[str, Sequence[Any]] = {}
    grants: Mapping[str, Grant] = {}
    """What each plugin may use; the kernel, which may do everything, is not among them."""
    owners: Mapping[str, str] = {}
    """Name of a job, schedule, event handler (`<event>/<handler>`) or approval kind → plugin."""

    def permissions_of(self, roles: frozenset[str]) -> frozenset[str]:
        """Everything that the roles grant by default: what a tenant changed is in its policy."""
        return frozenset().union(*(self.role_permissions.get(role, frozenset()) for role in roles))


EMPTY = Registry()
