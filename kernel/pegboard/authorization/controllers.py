"""The routes of authorization: /admin/authorization."""

from typing import Annotated
from uuid import UUID

from pegboard_sdk.errors import (
    Conflict,
    Forbidden,
    InvalidCursor,
    InvalidInput,
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
)
from pegboard_sdk.http import (
    Controller,
    FromPath,
    IfMatch,
    PathParameter,
    QueryParameter,
    Response,
    delete,
    get,
    patch,
    post,
    with_etag,
)
from pegboard_sdk.pagination import Cursor, Limit, Page

from pegboard.authorization.errors import DutiesSegregated, NotHeld, PlatformsOwn, RoleInUse, RoleTaken, WayBackIn
from pegboard.authorization.explain import explain
from pegboard.authorization.explain_schemas import Explanation
from pegboard.authorization.export import to_csv
from pegboard.authorization.matrix import MatrixService
from pegboard.authorization.overrides import OverrideService
from pegboard.authorization.permissions import MATRIX_EDIT, MATRIX_READ, OVERRIDE_GRANT, SEGREGATION_EDIT
from pegboard.authorization.roles import RoleService
from pegboard.authorization.schemas import (
    Matrix,
    MatrixEdit,
    NewOverride,
    NewRole,
    NewRule,
    Override,
    RoleDescription,
    RolesView,
    RoleView,
    RulesView,
    RuleView,
)
from pegboard.authorization.segregation import SegregationService
from pegboard.work import Work

__all__ = ("CONTROLLERS", "AuthorizationController", "OverrideController", "SegregationController")

EDITS = (PreconditionRequired, PreconditionFailed)
RoleName = Annotated[
    str, PathParameter(pattern="^[a-z][a-z0-9_]{0,62}$", description="The name of a role of the marketplace's own.")
]
AccountFilter = Annotated[UUID | None, QueryParameter(description="Only what this account has or had.")]
LiveFilter = Annotated[bool, QueryParameter(description="Only what counts now.")]
AccountQuery = Annotated[UUID, QueryParameter(description="Whose decision to explain.")]
PermissionQuery = Annotated[str, QueryParameter(max_length=200, description="What they would do.")]
ObjectQuery = Annotated[
    str | None,
    QueryParameter(max_length=300, description="With what: `<object type>:<id>`, such as `finance.escrow:0199…`."),
]


class AuthorizationController(Controller):
    """Which role may do what, and why somebody may or may not."""

    path = "/admin/authorization"

    @get("/matrix", permission=MATRIX_READ)
    async def read_matrix(self, uow: Work) -> Response[Matrix]:
        """The permission matrix, with where each grant comes from. Its ETag is what edits are based on."""
        matrix = await MatrixService(uow).read()
        return with_etag(matrix, matrix.version)

    @get("/matrix.json", permission=MATRIX_READ)
    async def export_matrix_json(self, uow: Work) -> Response[Matrix]:
        """The permission matrix as a file of JSON."""
        matrix = await MatrixService(uow).read()
        return Response(matrix, headers={"ETag": f'"{matrix.version}"', **_attachment("json")})

    @get("/matrix.csv", permission=MATRIX_READ, media_type="text/csv")
    async def export_matrix_csv(self, uow: Work) -> Response[str]:
        """The permission matrix as a file of CSV: a line for each cell that is granted or was decided on."""
        matrix = await MatrixService(uow).read()
        return Response(to_csv(matrix), media_type="text/csv", headers=_attachment("csv"))

    @patch(
        "/matrix",
        permission=MATRIX_EDIT,
        fresh=True,
        errors=(*EDITS, InvalidInput, PlatformsOwn, NotHeld, WayBackIn, DutiesSegregated),
    )
    async def edit_matrix(self, data: MatrixEdit, uow: Work, if_match: IfMatch = None) -> Response[Matrix]:
        """Give permissions to roles and take them away: all the changes, or none. They count within a second."""
        matrix = await MatrixService(uow).edit(data.changes, reason=data.reason, if_match=if_match)
        return with_etag(matrix, matrix.version)

    @get("/roles", permission=MATRIX_READ)
    async def list_roles(self, uow: Work) -> Response[RolesView]:
        """All roles, with how many accounts have each. The ETag is the matrix's."""
        view = await RoleService(uow).read()
        return with_etag(view, view.version)

    @post("/roles", permission=MATRIX_EDIT, fresh=True, errors=(RoleTaken, Conflict))
    async def create_role(self, data: NewRole, uow: Work) -> Response[RoleView]:
        """Make a role of the marketplace's own. It grants nothing until the matrix says so."""
        role, version = await RoleService(uow).create(data.name, data.summary)
        return with_etag(role, version, status_code=201)

    @patch("/roles/{name:str}", permission=MATRIX_EDIT, fresh=True, errors=(*EDITS, NotFound))
    async def describe_role(
        self, name: FromPath[RoleName], data: RoleDescription, uow: Work, if_match: IfMatch = None
    ) -> Response[RoleView]:
        """Say what a role of the marketplace's own is for."""
        role, version = await RoleService(uow).describe(name, data.summary, if_match=if_match)
        return with_etag(role, version)

    @delete("/roles/{name:str}", permission=MATRIX_EDIT, fresh=True, errors=(*EDITS, NotFound, RoleInUse))
    async def delete_role(self, name: FromPath[RoleName], uow: Work, if_match: IfMatch = None) -> None:
        """Remove a role of the marketplace's own that nobody has."""
        await RoleService(uow).delete(name, if_match=if_match)

    @get("/explain", permission=MATRIX_READ, errors=(NotFound, InvalidInput))
    async def explain_decision(
        self, uow: Work, account_id: AccountQuery, permission: PermissionQuery, object: ObjectQuery = None
    ) -> Explanation:
        """Why an account may or may not use a permission, or may on an object: its roles, edits, raised rights, rules
        of segregation, sessions, and the object's own rule.
        """
        return await explain(uow, account_id, permission, object)


class OverrideController(Controller):
    """Rights that are raised for a while."""

    path = "/admin/authorization/overrides"

    @get(permission=MATRIX_READ, errors=(InvalidCursor,))
    async def list_overrides(
        self,
        uow: Work,
        account_id: AccountFilter = None,
        live: LiveFilter = False,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[Override]:
        """Whose rights were raised, by whom, why and until when; newest first."""
        return await OverrideService(uow).list(account_id=account_id, live=live, limit=limit, cursor=cursor)

    @post(
        permission=OVERRIDE_GRANT,
        fresh=True,
        errors=(InvalidInput, PlatformsOwn, NotFound, Forbidden, NotHeld, DutiesSegregated),
    )
    async def grant_override(self, data: NewOverride, uow: Work) -> Override:
        """Give somebody a role or a permission for a while. It counts within a second, and ends by itself."""
        return await OverrideService(uow).grant(data)

    @post("/{override_id:uuid}/end", permission=OVERRIDE_GRANT, idempotency="none", status=200, errors=(NotFound,))
    async def end_override(self, override_id: UUID, uow: Work) -> Override:
        """End raised rights early, within a second."""
        return await OverrideService(uow).end(override_id)


class SegregationController(Controller):
    """Duties that are kept apart."""

    path = "/admin/authorization/segregation"

    @get(permission=MATRIX_READ)
    async def list_segregation_rules(self, uow: Work) -> RulesView:
        """All rules, the plugins' and the marketplace's own, and who breaks those on what is held together."""
        return await SegregationService(uow).read()

    @post(permission=SEGREGATION_EDIT, fresh=True, errors=(InvalidInput, Conflict, DutiesSegregated))
    async def add_segregation_rule(self, data: NewRule, uow: Work) -> RuleView:
        """Keep two duties apart. It is refused while a role, or anybody, holds both."""
        return await SegregationService(uow).add(data)

    @delete("/{rule_id:uuid}", permission=SEGREGATION_EDIT, fresh=True, errors=(NotFound,))
    async def remove_segregation_rule(self, rule_id: UUID, uow: Work) -> None:
        """Remove a rule of the marketplace's own."""
        await SegregationService(uow).remove(rule_id)


def _attachment(kind: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="permission-matrix.{kind}"'}


CONTROLLERS = (AuthorizationController, OverrideController, SegregationController)
