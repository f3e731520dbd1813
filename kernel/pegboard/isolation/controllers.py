"""The routes of looks at memory, for the platform's operators."""

from typing import Annotated
from uuid import UUID

import msgspec
from pegboard_sdk.http import Controller, get, post

from pegboard.isolation.errors import MemoryLookNotFound, MemoryLookUnderWay
from pegboard.isolation.memory import LONGEST
from pegboard.isolation.memory_looks import MemoryLook, begin_look, read_look
from pegboard.isolation.permissions import MEMORY_LOOK
from pegboard.work import ReadWork, SteppedWork

__all__ = ("CONTROLLERS", "MemoryController", "MemoryLookCreate")


class MemoryLookCreate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the processes trace what they allocate, in seconds. Meanwhile they are slower."""

    seconds: Annotated[float, msgspec.Meta(gt=0, le=LONGEST)] = 10.0


class MemoryController(Controller):
    """Whose code holds the processes' memory."""

    path = "/admin/memory-looks"

    @post(permission=MEMORY_LOOK, external=True, status=202, errors=(MemoryLookUnderWay,))
    async def create_memory_look(self, data: MemoryLookCreate, uow: SteppedWork) -> MemoryLook:
        """Have all processes look whose code holds the memory that they allocate from now on."""
        async with uow.runtime.database.system_transaction() as connection:
            look_id = await begin_look(connection, data.seconds, uow.principal.account_id)
            look = await read_look(connection, look_id)
            async with uow.step() as step:  # also checks that the session has not been ended
                await step.audit(
                    MEMORY_LOOK, object_type="memory_look", object_id=look_id, after={"seconds": data.seconds}
                )
        return look

    @get("/{look_id:uuid}", permission=MEMORY_LOOK, errors=(MemoryLookNotFound,))
    async def read_memory_look(self, look_id: UUID, uow: ReadWork) -> MemoryLook:
        """Read what the processes found so far."""
        async with uow.runtime.database.system_reader() as connection:
            return await read_look(connection, look_id)


CONTROLLERS = (MemoryController,)
