"""All hooks. They are declarative: an implementation *returns* what the plugin brings and does nothing else; the kernel
does the rest.

Implementations are plain functions in the module that the entry point (group `pegboard.plugins`) names, marked with
`@hookimpl`. Each takes `context` or leaves it out.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec
import pluggy

if TYPE_CHECKING:
    import click
    from litestar import Controller

    from pegboard_sdk.access import Permission, RoleGrant
    from pegboard_sdk.ai import AIProvider, TenantAIProvider
    from pegboard_sdk.authorization import ApprovalKind, DynamicSegregation, ObjectRule, StaticSegregation
    from pegboard_sdk.connectors import Connector
    from pegboard_sdk.database import PiccoloApp
    from pegboard_sdk.events import Event, EventHandler
    from pegboard_sdk.health import HealthCheck
    from pegboard_sdk.jobs import ExternalJob, Job, Schedule
    from pegboard_sdk.payments import PaymentProvider, TenantPaymentProvider
    from pegboard_sdk.records import RecordType, ReferenceColumn
    from pegboard_sdk.services import Service
    from pegboard_sdk.taxonomies import Taxonomy

__all__ = ("PROJECT", "PluginContext", "hookimpl", "hookspec")

PROJECT = "pegboard"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

T = TypeVar("T", bound=msgspec.Struct)


class PluginContext(Protocol):
    """What a hook may look at: the plugin's name and its settings."""

    @property
    def name(self) -> str: ...

    def settings(self, type: type[T]) -> T:
        """The plugin's settings, as its settings Struct."""
        ...


@hookspec
def controllers(context: PluginContext) -> "Sequence[type[Controller]]":  # type: ignore[empty-body]
    """Litestar controllers, mounted under `/api/v1/<plugin>`; each route is made with the decorators of
    `pegboard_sdk.http`.
    """


@hookspec(firstresult=True)
def piccolo_app(context: PluginContext) -> "PiccoloApp":  # type: ignore[empty-body]
    """The plugin's tables and where its migrations are."""


@hookspec
def permissions(context: PluginContext) -> "Sequence[Permission]":  # type: ignore[empty-body]
    """The permissions that the plugin defines: the same names as in its manifest."""


@hookspec
def roles(context: PluginContext) -> "Sequence[RoleGrant]":  # type: ignore[empty-body]
    """Which roles get which of the plugin's permissions when nobody decided otherwise."""


@hookspec
def segregation_rules(context: PluginContext) -> "Sequence[StaticSegregation | DynamicSegregation]":  # type: ignore[empty-body]
    """Duties that the plugin keeps apart: pairs that nobody holds together, and what nobody does on one object."""


@hookspec
def object_rules(context: PluginContext) -> "Sequence[ObjectRule]":  # type: ignore[empty-body]
    """What the plugin's objects say of who may do what with them, so that the kernel can explain a decision."""


@hookspec
def approval_kinds(context: PluginContext) -> "Sequence[ApprovalKind]":  # type: ignore[empty-body]
    """What the plugin does only once a second person has approved it (`pegboard_sdk.services.Approvals`)."""


@hookspec
def events(context: PluginContext) -> "Sequence[type[Event]]":  # type: ignore[empty-body]
    """The events that the plugin emits: the same names as in its manifest."""


@hookspec
def event_handlers(context: PluginContext) -> "Sequence[EventHandler]":  # type: ignore[empty-body]
    """What the plugin does when events happen, its own or others'."""


@hookspec
def jobs(context: PluginContext) -> "Sequence[Job | ExternalJob]":  # type: ignore[empty-body]
    """The plugin's kinds of background work."""


@hookspec
def schedules(context: PluginContext) -> "Sequence[Schedule]":  # type: ignore[empty-body]
    """When jobs start by themselves."""


@hookspec
def services(context: PluginContext) -> "Sequence[Service]":  # type: ignore[empty-body]
    """Implementations of service protocols that other plugins use."""


@hookspec
def health_checks(context: PluginContext) -> "Sequence[HealthCheck]":  # type: ignore[empty-body]
    """Checks shown by `/health/plugins`."""


@hookspec
def cli_commands(context: PluginContext) -> "Sequence[click.Command]":  # type: ignore[empty-body]
    """Commands under `pegboard <plugin> …`."""


@hookspec
def on_startup(context: PluginContext) -> "Callable[[], Awaitable[None]]":  # type: ignore[empty-body]
    """An async callable that runs in each process when a generation with the plugin starts, before any request."""


@hookspec
def on_shutdown(context: PluginContext) -> "Callable[[], Awaitable[None]]":  # type: ignore[empty-body]
    """An async callable that runs in each process when a generation with the plugin ends, after its last request."""


@hookspec
def taxonomies(context: PluginContext) -> "Sequence[Taxonomy]":  # type: ignore[empty-body]
    """Taxonomies that the kernel seeds."""


@hookspec
def record_types(context: PluginContext) -> "Sequence[RecordType]":  # type: ignore[empty-body]
    """The plugin's records that others may refer to, and how each is named to people: also while the plugin is off,
    and for good once it is uninstalled and its tables are gone.
    """


@hookspec
def reference_columns(context: PluginContext) -> "Sequence[ReferenceColumn]":  # type: ignore[empty-body]
    """Where the plugin keeps references to other plugins' records, so that those stay readable when one of these
    plugins is uninstalled.
    """


@hookspec
def payment_providers(context: PluginContext) -> "Sequence[PaymentProvider | TenantPaymentProvider]":  # type: ignore[empty-body]
    """Ways to take money; finance uses them."""


@hookspec
def ai_providers(context: PluginContext) -> "Sequence[AIProvider | TenantAIProvider]":  # type: ignore[empty-body]
    """Language models; the ai_providers plugin uses them."""


@hookspec
def connectors(context: PluginContext) -> "Sequence[Connector]":  # type: ignore[empty-body]
    """Programs whose webhooks are taken in; integrations uses them."""
