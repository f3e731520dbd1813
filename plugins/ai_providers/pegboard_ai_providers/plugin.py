"""What ai_providers brings."""

from collections.abc import Sequence

from pegboard_sdk import Event, ExternalJob, Job, Permission, PluginContext, RoleGrant, Schedule, hookimpl
from pegboard_sdk.ai import TenantAIProvider
from pegboard_sdk.database import PiccoloApp
from pegboard_sdk.health import HealthCheck
from pegboard_sdk.http import Controller
from pegboard_sdk.services import ModelGateway, Service

from pegboard_ai_providers import controllers as http
from pegboard_ai_providers import jobs as background
from pegboard_ai_providers.events import EVENTS
from pegboard_ai_providers.health import address_check
from pegboard_ai_providers.openai import OpenAICompatible
from pegboard_ai_providers.permissions import GRANTS, PERMISSIONS
from pegboard_ai_providers.service.gateway import ModelGatewayService
from pegboard_ai_providers.settings import Settings
from pegboard_ai_providers.tables import TABLES


@hookimpl
def controllers() -> Sequence[type[Controller]]:
    return (http.CompletionController, http.UsageController, http.AccountUsageController)


@hookimpl
def piccolo_app() -> PiccoloApp:
    return PiccoloApp(name="ai_providers", tables=TABLES)


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
def services() -> Sequence[Service]:
    return (Service(ModelGateway, ModelGatewayService()),)


@hookimpl
def health_checks(context: PluginContext) -> Sequence[HealthCheck]:
    return (address_check(context.settings(Settings)),)


@hookimpl
def ai_providers(context: PluginContext) -> Sequence[TenantAIProvider]:
    settings = context.settings(Settings)
    return (OpenAICompatible(base_url=settings.base_url),)
