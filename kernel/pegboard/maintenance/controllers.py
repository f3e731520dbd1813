"""The routes of maintenance mode."""

from pegboard_sdk.errors import InvalidInput
from pegboard_sdk.http import Controller, delete, get, put

from pegboard.maintenance.permissions import MAINTENANCE_SET
from pegboard.maintenance.schemas import Maintenance, MaintenanceBegin
from pegboard.maintenance.service import MaintenanceService
from pegboard.work import SteppedWork, Work

__all__ = ("CONTROLLERS",)


class MaintenanceStateController(Controller):
    """For clients that wait."""

    path = "/maintenance"

    @get(public=True)
    async def read_maintenance(self, uow: Work) -> Maintenance:
        """Whether the platform is under maintenance, what people are told, and when it is expected to end. Other routes
        answer a 503 problem `maintenance` meanwhile, whose `detail` is the message.
        """
        return uow.runtime.maintenance.now


class MaintenanceController(Controller):
    """For operators. They can use the whole platform meanwhile."""

    path = "/admin/maintenance"

    @put(permission=MAINTENANCE_SET, external=True, fresh=True, errors=(InvalidInput,))
    async def begin_maintenance(self, data: MaintenanceBegin, uow: SteppedWork) -> Maintenance:
        """Begin maintenance, or change what is said of it. Every process keeps to it within a second."""
        return await MaintenanceService(uow.runtime).begin(uow.principal, uow.request_id, data)

    @delete(permission=MAINTENANCE_SET, external=True, fresh=True, status=200)
    async def end_maintenance(self, uow: SteppedWork) -> Maintenance:
        """End maintenance."""
        return await MaintenanceService(uow.runtime).end(uow.principal, uow.request_id)


CONTROLLERS = (MaintenanceStateController, MaintenanceController)
