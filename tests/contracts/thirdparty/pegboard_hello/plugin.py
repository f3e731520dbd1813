"""What the plugin brings. The entry point names this module; the kernel calls the hooks and does the rest."""

from collections.abc import Awaitable, Callable, Sequence

import click
from pegboard_sdk import Event, EventHandler, Job, Permission, PluginContext, RoleGrant, hookimpl
from pegboard_sdk.database import PiccoloApp
from pegboard_sdk.health import HealthCheck
from pegboard_sdk.http import Controller

from pegboard_hello import lifecycle
from pegboard_hello.commands import preview_command
from pegboard_hello.controllers import GreetingController
from pegboard_hello.events import EVENTS
from pegboard_hello.handlers import EVENT_HANDLERS
from pegboard_hello.jobs import JOBS
from pegboard_hello.permissions import GRANTS, PERMISSIONS
from pegboard_hello.settings import Settings
from pegboard_hello.tables import TABLES


@hookimpl
def controllers() -> Sequence[type[Controller]]:
    return (GreetingController,)


@hookimpl
def piccolo_app() -> PiccoloApp:
    return PiccoloApp(name="hello", tables=TABLES, migrations="pegboard_hello:migrations")


@hookimpl
def permissions() -> Sequence[Permission]:
    return PERMISSIONS


@hookimpl
def roles() -> Sequence[RoleGrant]:
    return GRANTS


@hookimpl
def events() -> Sequence[type[Event]]:
    return EVENTS


@hookimpl
def event_handlers() -> Sequence[EventHandler]:
    return EVENT_HANDLERS


@hookimpl
def jobs() -> Sequence[Job]:
    return JOBS


@hookimpl
def health_checks(context: PluginContext) -> Sequence[HealthCheck]:
    return (lifecycle.words_check(context.settings(Settings)),)


@hookimpl
def cli_commands(context: PluginContext) -> Sequence[click.Command]:
    return (preview_command(context.settings(Settings)),)


@hookimpl
def on_startup() -> Callable[[], Awaitable[None]]:
    return lifecycle.say_hello


@hookimpl
def on_shutdown() -> Callable[[], Awaitable[None]]:
    return lifecycle.say_goodbye
