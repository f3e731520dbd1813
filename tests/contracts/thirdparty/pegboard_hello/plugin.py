"""What the plugin brings. The entry point names this module; the kernel calls the hooks and does the rest."""

from collections.abc import Sequence

from litestar import Controller
from pegboard_sdk import Event, EventHandler, Job, Permission, RoleGrant, UnitOfWork, hookimpl
from pegboard_sdk.database import PiccoloApp

from pegboard_hello.controllers import GreetingController
from pegboard_hello.events import EVENTS, GigPublished
from pegboard_hello.jobs import JOBS
from pegboard_hello.permissions import GRANTS, PERMISSIONS
from pegboard_hello.service import GreetingService
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
    return (
        EventHandler(
            event="creation_studio.gig_published", name="congratulate", type=GigPublished, handle=_congratulate
        ),
    )


@hookimpl
def jobs() -> Sequence[Job]:
    return JOBS


async def _congratulate(uow: UnitOfWork, event: GigPublished) -> None:
    await GreetingService(uow).congratulate(event.owner_id, event.gig_id)
