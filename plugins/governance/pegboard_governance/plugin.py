"""What governance brings."""

from collections.abc import Sequence

from pegboard_sdk import Event, Permission, RoleGrant, hookimpl
from pegboard_sdk.database import PiccoloApp
from pegboard_sdk.http import Controller
from pegboard_sdk.services import Consent, Service

from pegboard_governance import controllers as http
from pegboard_governance.events import EVENTS
from pegboard_governance.permissions import GRANTS, PERMISSIONS
from pegboard_governance.service import ConsentLookup
from pegboard_governance.tables import TABLES


@hookimpl
def controllers() -> Sequence[type[Controller]]:
    return (http.PurposeController, http.ConsentController, http.SubjectController, http.AuditController)


@hookimpl
def piccolo_app() -> PiccoloApp:
    return PiccoloApp(name="governance", tables=TABLES)


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
def services() -> Sequence[Service]:
    return (Service(Consent, ConsentLookup()),)
