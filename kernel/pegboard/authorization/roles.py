"""Roles: the kernel's four, those that plugins bring, and the tenant's own."""

from typing import TYPE_CHECKING

from pegboard_sdk.errors import Conflict, NotFound
from pegboard_sdk.http import check_if_match

from pegboard.audit.writer import insert_entry
from pegboard.authorization.changes import changed, matrix_version, start_change
from pegboard.authorization.errors import RoleInUse, RoleTaken
from pegboard.authorization.matrix_repository import MatrixRepository
from pegboard.authorization.permissions import MATRIX_EDIT
from pegboard.authorization.policy import TenantPolicy
from pegboard.authorization.schemas import RoleKind, RolesView, RoleView
from pegboard.plugins.registry import Registry

if TYPE_CHECKING:
    from pegboard.work import Work

__all__ = ("BUILT_IN", "MAX_ROLES", "RoleService", "role_views", "roles_of")

BUILT_IN = {
    "anonymous": "Whoever is not logged in, and everybody else too.",
    "member": "Every account.",
    "administrator": "Runs the marketplace.",
    "operator": "Runs the platform: its permissions are no marketplace's to give.",
}
MAX_ROLES = 100
"""Roles of a tenant's own: who needs more wants groups."""


def roles_of(registry: Registry, policy: TenantPolicy) -> frozenset[str]:
    """Every role that there is in a tenant."""
    return frozenset(BUILT_IN) | registry.role_permissions.keys() | policy.roles


async def role_views(uow: "Work") -> list[RoleView]:
    """Every role in the tenant, with how many have it."""
    repository = MatrixRepository(uow)
    own = {row["name"]: row["summary"] for row in await repository.roles()}
    counts = await repository.counts()
    brought = {
        role: [plugin.name for plugin in uow.registry.plugins if any(grant.role == role for grant in plugin.roles)]
        for role in uow.registry.role_permissions
    }

    def view(name: str) -> RoleView:
        kind: RoleKind = "built_in" if name in BUILT_IN else "custom" if name in own else "plugin"
        summary = BUILT_IN.get(name) or own.get(name)
        if summary is None:
            summary = f"Brought by {', '.join(brought[name])}."
        return RoleView(name=name, kind=kind, summary=summary, accounts=counts.get(name, 0))

    return [view(name) for name in sorted(BUILT_IN.keys() | brought.keys() | own.keys())]


class RoleService:
    """The rules of a tenant's own roles. They change with the matrix, so they have its ETag."""

    def __init__(self, work: "Work") -> None:
        self._work = work
        self._repository = MatrixRepository(work)

    async def read(self) -> RolesView:
        """All roles, with the matrix's version."""
        return RolesView(version=await matrix_version(self._work), roles=await role_views(self._work))

    async def create(self, name: str, summary: str) -> tuple[RoleView, int]:
        """A role that grants nothing yet; and the matrix's version.

        Raises:
            RoleTaken: there is one of this name.
            Conflict: the tenant has `MAX_ROLES` already.
        """
        policy = await start_change(self._work)
        if name in roles_of(self._work.registry, policy):
            raise RoleTaken(name)
        if len(policy.roles) >= MAX_ROLES:
            raise Conflict(f"There are {MAX_ROLES} roles already: delete one that nobody needs.")
        await self._repository.insert_role(name, summary)
        await insert_entry(
            self._work, MATRIX_EDIT, object_type="role", object_id=name, after={"created": True, "summary": summary}
        )
        version = await changed(self._work, matrix=True)
        return RoleView(name=name, kind="custom", summary=summary, accounts=0), version

    async def describe(self, name: str, summary: str, *, if_match: str | None) -> tuple[RoleView, int]:
        """Say what a role is for.

        Raises:
            NotFound: the tenant has no role of its own with this name.
            PreconditionRequired, PreconditionFailed: the edit is not based on the matrix as it is.
        """
        policy = await start_change(self._work)
        self._require_own(name, policy)
        check_if_match(if_match, await matrix_version(self._work))
        before = await self._repository.describe_role(name, summary)
        await insert_entry(
            self._work,
            MATRIX_EDIT,
            object_type="role",
            object_id=name,
            before={"summary": before},
            after={"summary": summary},
        )
        version = await changed(self._work, matrix=True)
        counts = await self._repository.counts()
        return RoleView(name=name, kind="custom", summary=summary, accounts=counts.get(name, 0)), version

    async def delete(self, name: str, *, if_match: str | None) -> None:
        """Remove a role that nobody has.

        Raises:
            NotFound: the tenant has no role of its own with this name.
            PreconditionRequired, PreconditionFailed: the edit is not based on the matrix as it is.
            RoleInUse: somebody has it, be it for a while.
        """
        policy = await start_change(self._work)
        self._require_own(name, policy)
        check_if_match(if_match, await matrix_version(self._work))
        used = (await self._repository.counts()).get(name, 0)
        used += sum(any(one.role == name for one in several) for several in policy.overrides.values())
        if used:
            raise RoleInUse(name, used)
        await self._repository.delete_role(name)
        await insert_entry(
            self._work,
            MATRIX_EDIT,
            object_type="role",
            object_id=name,
            before={"granted": sorted(permission for permission, on in policy.edits.get(name, {}).items() if on)},
            after={"deleted": True},
        )
        await changed(self._work, matrix=True)

    @staticmethod
    def _require_own(name: str, policy: TenantPolicy) -> None:
        if name not in policy.roles:
            raise NotFound("The marketplace has no role of its own with this name.")
