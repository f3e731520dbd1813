"""The hooks of creation_studio: what it brings."""

from collections.abc import Sequence

from pegboard_sdk import Event, EventHandler, Permission, RoleGrant, hookimpl
from pegboard_sdk.database import PiccoloApp
from pegboard_sdk.http import Controller
from pegboard_sdk.records import RecordType
from pegboard_sdk.taxonomies import Taxonomy

from pegboard_creation_studio.controllers import CONTROLLERS
from pegboard_creation_studio.events import EVENTS
from pegboard_creation_studio.handlers import HANDLERS
from pegboard_creation_studio.permissions import GRANTS, PERMISSIONS
from pegboard_creation_studio.records import RECORD_TYPES
from pegboard_creation_studio.tables import TABLES
from pegboard_creation_studio.taxonomies import TAXONOMIES


@hookimpl
def controllers() -> Sequence[type[Controller]]:
    return CONTROLLERS


@hookimpl
def piccolo_app() -> PiccoloApp:
    return PiccoloApp(name="creation_studio", tables=TABLES)


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
    return HANDLERS


@hookimpl
def taxonomies() -> Sequence[Taxonomy]:
    return TAXONOMIES


@hookimpl
def record_types() -> Sequence[RecordType]:
    return RECORD_TYPES
