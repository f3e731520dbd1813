"""What integrations brings."""

from collections.abc import Sequence

from pegboard_sdk import Event, ExternalJob, Job, Permission, RoleGrant, Schedule, hookimpl
from pegboard_sdk.connectors import Connector
from pegboard_sdk.database import PiccoloApp
from pegboard_sdk.http import Controller

from pegboard_integrations import controllers as http
from pegboard_integrations import jobs as background
from pegboard_integrations.events import EVENTS
from pegboard_integrations.github import GitHub
from pegboard_integrations.permissions import GRANTS, PERMISSIONS
from pegboard_integrations.tables import TABLES


@hookimpl
def controllers() -> Sequence[type[Controller]]:
    return (http.WebhookController, http.DeliveryController)


@hookimpl
def piccolo_app() -> PiccoloApp:
    return PiccoloApp(name="integrations", tables=TABLES)


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
def jobs() -> Sequence[Job | ExternalJob]:
    return background.JOBS


@hookimpl
def schedules() -> Sequence[Schedule]:
    return background.SCHEDULES


@hookimpl
def connectors() -> Sequence[Connector]:
    return (GitHub(),)
