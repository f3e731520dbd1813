"""The kernel's own part of the registry: what its areas bring, in the same shapes as a plugin's."""

import pegboard_sdk
from pegboard_sdk.manifest import Manifest

from pegboard import __version__
from pegboard.audit import permissions as audit
from pegboard.audit.controllers import CONTROLLERS as AUDIT_CONTROLLERS
from pegboard.audit.search import SERVICES as AUDIT_SERVICES
from pegboard.authorization import jobs as authorization_jobs
from pegboard.authorization import permissions as authorization
from pegboard.authorization.approval_controllers import CONTROLLERS as APPROVAL_CONTROLLERS
from pegboard.authorization.approvals import SERVICES as APPROVAL_SERVICES
from pegboard.authorization.controllers import CONTROLLERS as AUTHORIZATION_CONTROLLERS
from pegboard.factors import jobs as factor_jobs
from pegboard.factors import permissions as factors
from pegboard.factors.admin_controllers import CONTROLLERS as FACTOR_ADMIN_CONTROLLERS
from pegboard.factors.controllers import CONTROLLERS as FACTOR_CONTROLLERS
from pegboard.identity import jobs as identity_jobs
from pegboard.identity import permissions as identity
from pegboard.identity.controllers import CONTROLLERS as IDENTITY_CONTROLLERS
from pegboard.identity.key_controllers import SigningKeyController
from pegboard.isolation import permissions as isolation
from pegboard.isolation.controllers import CONTROLLERS as ISOLATION_CONTROLLERS
from pegboard.jobs import permissions as jobs
from pegboard.jobs.controllers import CONTROLLERS as JOB_CONTROLLERS
from pegboard.machines import jobs as machine_jobs
from pegboard.machines import permissions as machines
from pegboard.machines.controllers import CONTROLLERS as MACHINE_CONTROLLERS
from pegboard.machines.oauth_controllers import OAUTH_CONTROLLERS
from pegboard.mail import outbox as mail
from pegboard.maintenance import permissions as maintenance
from pegboard.maintenance.controllers import CONTROLLERS as MAINTENANCE_CONTROLLERS
from pegboard.plugins import permissions as plugins
from pegboard.plugins.controllers import CONTROLLERS as PLUGIN_CONTROLLERS
from pegboard.plugins.registry import LoadedPlugin
from pegboard.plugins.release import CONTROLLERS as QUARANTINE_CONTROLLERS
from pegboard.plugins.removal.controllers import CONTROLLERS as REMOVAL_CONTROLLERS
from pegboard.records.service import SERVICES as RECORD_SERVICES
from pegboard.sso import jobs as sso_jobs
from pegboard.sso import permissions as sso
from pegboard.sso.controllers import CONTROLLERS as SSO_CONTROLLERS
from pegboard.taxonomies import permissions as taxonomies
from pegboard.taxonomies.controllers import CONTROLLERS as TAXONOMY_CONTROLLERS
from pegboard.taxonomies.service import SERVICES as TAXONOMY_SERVICES
from pegboard.tenancy import permissions as tenancy
from pegboard.tenancy.controllers import CONTROLLERS as TENANT_CONTROLLERS
from pegboard.tenancy.events import EVENTS as TENANCY_EVENTS
from pegboard.tenancy.organisation_access import SERVICES as ORGANISATION_SERVICES
from pegboard.tenancy.organisation_controllers import CONTROLLERS as ORGANISATION_CONTROLLERS
from pegboard.web import jobs as web_jobs
from pegboard.web import permissions as web

__all__ = ("kernel_plugin",)

_AREAS = (
    audit,
    authorization,
    factors,
    identity,
    isolation,
    jobs,
    machines,
    maintenance,
    plugins,
    sso,
    taxonomies,
    tenancy,
    web,
)


def kernel_plugin() -> LoadedPlugin:
    """The kernel as a loaded plugin. Its routes are mounted at `/api/v1`, not below its name."""
    permissions = tuple(permission for area in _AREAS for permission in area.PERMISSIONS)
    return LoadedPlugin(
        name="kernel",
        manifest=Manifest(
            name="kernel",
            summary="What every plugin stands on.",
            version=__version__,
            sdk=f"=={pegboard_sdk.__version__}",
            permissions={permission.name: permission.summary for permission in permissions},
            events={event.name: (event.__doc__ or "").partition(".")[0] for event in TENANCY_EVENTS},
        ),
        distribution=f"pegboard {__version__}",
        controllers=(
            *AUDIT_CONTROLLERS,
            *APPROVAL_CONTROLLERS,
            *AUTHORIZATION_CONTROLLERS,
            *FACTOR_ADMIN_CONTROLLERS,
            *FACTOR_CONTROLLERS,
            *IDENTITY_CONTROLLERS,
            *ISOLATION_CONTROLLERS,
            *JOB_CONTROLLERS,
            *MACHINE_CONTROLLERS,
            *OAUTH_CONTROLLERS,
            SigningKeyController,
            *MAINTENANCE_CONTROLLERS,
            *PLUGIN_CONTROLLERS,
            *QUARANTINE_CONTROLLERS,
            *REMOVAL_CONTROLLERS,
            *SSO_CONTROLLERS,
            *TAXONOMY_CONTROLLERS,
            *TENANT_CONTROLLERS,
            *ORGANISATION_CONTROLLERS,
        ),
        jobs=(
            *authorization_jobs.JOBS,
            *factor_jobs.JOBS,
            *identity_jobs.JOBS,
            *machine_jobs.JOBS,
            *mail.JOBS,
            *sso_jobs.JOBS,
            *web_jobs.JOBS,
        ),
        schedules=(
            *authorization_jobs.SCHEDULES,
            *factor_jobs.SCHEDULES,
            *identity_jobs.SCHEDULES,
            *machine_jobs.SCHEDULES,
            *sso_jobs.SCHEDULES,
            *web_jobs.SCHEDULES,
        ),
        services=(*APPROVAL_SERVICES, *AUDIT_SERVICES, *ORGANISATION_SERVICES, *RECORD_SERVICES, *TAXONOMY_SERVICES),
        permissions=permissions,
        events=TENANCY_EVENTS,
        roles=tuple(grant for area in _AREAS for grant in area.GRANTS),
    )
