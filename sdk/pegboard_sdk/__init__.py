"""The contract between Pegboard's kernel and its plugins. Plugins import this package and nothing else of Pegboard.

Its version is the `sdk` that manifests name: within a major version nothing that is public here is taken away.
"""

from pegboard_sdk.access import Permission, Principal, RoleGrant
from pegboard_sdk.errors import DomainError
from pegboard_sdk.events import Event, EventHandler
from pegboard_sdk.hookspecs import PluginContext, hookimpl
from pegboard_sdk.ids import new_id
from pegboard_sdk.jobs import ExternalJob, Job, Schedule
from pegboard_sdk.money import Money
from pegboard_sdk.settings import Secret
from pegboard_sdk.work import Record, SteppedUnitOfWork, UnitOfWork

__all__ = (
    "DomainError",
    "Event",
    "EventHandler",
    "ExternalJob",
    "Job",
    "Money",
    "Permission",
    "PluginContext",
    "Principal",
    "Record",
    "RoleGrant",
    "Schedule",
    "Secret",
    "SteppedUnitOfWork",
    "UnitOfWork",
    "__version__",
    "hookimpl",
    "new_id",
)

__version__ = "1.1.0"
