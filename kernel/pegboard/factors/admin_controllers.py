"""The routes by which administrators say who needs a second factor, and help who has lost theirs."""

from typing import Annotated
from uuid import UUID

from pegboard_sdk.errors import NotFound
from pegboard_sdk.http import Controller, FromPath, PathParameter, delete, get, put

from pegboard.authorization.errors import NotHeld
from pegboard.factors.enrolment import EnrolmentService
from pegboard.factors.errors import OwnFactors
from pegboard.factors.permissions import FACTOR_REQUIRE, FACTOR_RESET
from pegboard.factors.requirements import RequirementService
from pegboard.factors.schemas import Factors, Requirement, RequirementChange, Requirements
from pegboard.identity.errors import OperatorOnly
from pegboard.work import Work

__all__ = ("CONTROLLERS", "AccountFactorController", "RequirementController")

RoleName = Annotated[str, PathParameter(pattern="^[a-z][a-z0-9_]{0,62}$", description="A role's name.")]


class RequirementController(Controller):
    """Which roles need a second factor."""

    path = "/admin/factor-requirements"

    @get(permission=FACTOR_REQUIRE)
    async def list_factor_requirements(self, uow: Work) -> Requirements:
        """The roles that need a second factor, and how many of their accounts have none yet."""
        return Requirements(await RequirementService().list(uow))

    @put("/{role:str}", permission=FACTOR_REQUIRE, fresh=True, errors=(NotFound, OperatorOnly))
    async def set_factor_requirement(self, role: FromPath[RoleName], data: RequirementChange, uow: Work) -> Requirement:
        """Have accounts with a role need a second factor. Those that have none can only set one up, from their next
        log-in or refresh on, once the days of grace are over.
        """
        return await RequirementService().set(uow, role, grace_days=data.grace_days)

    @delete("/{role:str}", permission=FACTOR_REQUIRE, fresh=True, errors=(NotFound, OperatorOnly))
    async def remove_factor_requirement(self, role: FromPath[RoleName], uow: Work) -> None:
        """Let accounts with a role do without a second factor."""
        await RequirementService().remove(uow, role)


class AccountFactorController(Controller):
    """Other people's second factors."""

    path = "/admin/accounts"

    @get("/{account_id:uuid}/factors", permission=FACTOR_RESET, errors=(NotFound,))
    async def read_account_factors(self, account_id: UUID, uow: Work) -> Factors:
        """The second factors of somebody."""
        return await EnrolmentService(uow).overview(account_id)

    @delete(
        "/{account_id:uuid}/factors",
        permission=FACTOR_RESET,
        fresh=True,
        errors=(NotFound, OperatorOnly, NotHeld, OwnFactors),
    )
    async def reset_account_factors(self, account_id: UUID, uow: Work) -> None:
        """Remove all second factors of somebody who has lost theirs, and log them out everywhere. They are told by
        mail. Be sure that it is them who asks.
        """
        await EnrolmentService(uow).reset(account_id)


CONTROLLERS = (RequirementController, AccountFactorController)
