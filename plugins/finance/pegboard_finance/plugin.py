"""What finance brings to the platform."""

from collections.abc import Sequence

from pegboard_sdk import Event, ExternalJob, Permission, PluginContext, RoleGrant, Schedule, hookimpl
from pegboard_sdk.authorization import ApprovalKind, DynamicSegregation, ObjectRule, StaticSegregation
from pegboard_sdk.database import PiccoloApp
from pegboard_sdk.http import Controller
from pegboard_sdk.payments import TenantPaymentProvider
from pegboard_sdk.records import ReferenceColumn
from pegboard_sdk.services import Escrow, Service

from pegboard_finance.controllers import CONTROLLERS
from pegboard_finance.events import EVENTS
from pegboard_finance.jobs import JOBS, SCHEDULES
from pegboard_finance.permissions import GRANTS, PERMISSIONS
from pegboard_finance.rules import OBJECT_RULES, SEGREGATION
from pegboard_finance.sandbox import SandboxProvider
from pegboard_finance.service.escrows import EscrowService
from pegboard_finance.service.refunds import REFUND_OVER_LIMIT
from pegboard_finance.settings import Settings
from pegboard_finance.tables import TABLES


@hookimpl
def controllers() -> Sequence[type[Controller]]:
    return CONTROLLERS


@hookimpl
def piccolo_app() -> PiccoloApp:
    return PiccoloApp(name="finance", tables=TABLES)


@hookimpl
def permissions() -> Sequence[Permission]:
    return PERMISSIONS


@hookimpl
def roles() -> Sequence[RoleGrant]:
    return GRANTS


@hookimpl
def segregation_rules() -> Sequence[StaticSegregation | DynamicSegregation]:
    return SEGREGATION


@hookimpl
def object_rules() -> Sequence[ObjectRule]:
    return OBJECT_RULES


@hookimpl
def approval_kinds() -> Sequence[ApprovalKind]:
    return [REFUND_OVER_LIMIT]


@hookimpl
def events() -> Sequence[type[Event]]:
    return EVENTS


@hookimpl
def jobs() -> Sequence[ExternalJob]:
    return JOBS


@hookimpl
def schedules() -> Sequence[Schedule]:
    return SCHEDULES


@hookimpl
def services() -> Sequence[Service]:
    return [Service(Escrow, EscrowService())]


@hookimpl
def reference_columns() -> Sequence[ReferenceColumn]:
    return [ReferenceColumn(table="finance_escrows", column="reference")]


@hookimpl
def payment_providers(context: PluginContext) -> Sequence[TenantPaymentProvider]:
    return [SandboxProvider()] if context.settings(Settings).sandbox else []
