"""The permission matrix of a tenant: the plugins' defaults, and what its administrators decided otherwise."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pegboard_sdk.errors import FieldError, InvalidInput
from pegboard_sdk.http import check_if_match

from pegboard.audit.writer import insert_entry
from pegboard.authorization.changes import changed, matrix_version, start_change
from pegboard.authorization.errors import PlatformsOwn, WayBackIn
from pegboard.authorization.giving import require_held
from pegboard.authorization.matrix_repository import MatrixRepository
from pegboard.authorization.permissions import MATRIX_EDIT, MATRIX_READ
from pegboard.authorization.policy import Edit, TenantPolicy, is_platforms
from pegboard.authorization.roles import role_views, roles_of
from pegboard.authorization.schemas import Grant, Matrix, MatrixChange, PermissionView
from pegboard.authorization.static_segregation import check_tenant
from pegboard.identity.permissions import ROLE_GRANT

if TYPE_CHECKING:
    from pegboard.work import Work

__all__ = ("WAY_BACK_IN", "MatrixService")

WAY_BACK_IN = frozenset((ROLE_GRANT, MATRIX_READ, MATRIX_EDIT))
"""What an administrator needs to undo whatever was done; the last administrator can't be unmade (`LastOfRole`)."""


class MatrixService:
    """The rules of the matrix."""

    def __init__(self, work: "Work") -> None:
        self._work = work
        self._registry = work.registry
        self._repository = MatrixRepository(work)

    async def read(self) -> Matrix:
        """All roles and permissions, and every grant with where it comes from."""
        version = await matrix_version(self._work)
        edits = {(row["role"], row["permission"]): row for row in await self._repository.edits()}
        registry = self._registry
        plugins = {permission.name: plugin.name for plugin in registry.plugins for permission in plugin.permissions}
        defaults = {(role, name) for role, names in registry.role_permissions.items() for name in names}
        grants: list[Grant] = []
        for role, name in sorted(defaults | edits.keys()):
            edit = edits.get((role, name))
            default = (role, name) in defaults
            grants.append(
                Grant(
                    role=role,
                    permission=name,
                    plugin=plugins.get(name),
                    granted=default if edit is None else edit["granted"],
                    source="manifest" if edit is None else "tenant",
                    default=default,
                    edited_by=None if edit is None else edit["edited_by"],
                    edited_at=None if edit is None else edit["created_at"],
                    reason=None if edit is None else edit["reason"],
                )
            )
        return Matrix(
            version=version,
            roles=await role_views(self._work),
            permissions=[
                PermissionView(
                    name=permission.name,
                    summary=permission.summary,
                    plugin=plugins[permission.name],
                    platform=permission.name.startswith("kernel:"),
                )
                for permission in sorted(registry.permissions.values(), key=lambda one: one.name)
            ],
            grants=grants,
        )

    async def edit(self, changes: Sequence[MatrixChange], *, reason: str, if_match: str | None) -> Matrix:
        """Change cells of the matrix: all, or none. They count everywhere within a second.

        Raises:
            PreconditionRequired, PreconditionFailed: the edit is not based on the matrix as it is.
            InvalidInput: there is no such role or permission, a cell is named twice, or `anonymous` would be given more
                than the plugins give everybody.
            PlatformsOwn: a permission or role is the platform operator's.
            WayBackIn: an administrator could not undo it.
            NotHeld: who edits does not hold what they would give.
            DutiesSegregated: a rule keeps two duties apart that it would bring together.
        """
        work, registry = self._work, self._registry
        before = await start_change(work)
        check_if_match(if_match, await matrix_version(work))
        self._check(changes, before)
        cells = {(edit_role, name): on for edit_role, names in before.edits.items() for name, on in names.items()}
        wanted = dict(cells)
        for change in changes:
            cell, default = (change.role, change.permission), self._default(change)
            if change.granted is None or change.granted == default:
                wanted.pop(cell, None)
            else:
                wanted[cell] = change.granted
        after = before.but(edits=[Edit(role, name, granted) for (role, name), granted in wanted.items()])
        await self._check_giving(changes, before, after)
        await check_tenant(work, before, after, now=time.time())
        for role in sorted({change.role for change in changes}):
            touched = sorted({change.permission for change in changes if change.role == role})
            one = frozenset((role,))
            old, new = before.permissions_of(one, registry), after.permissions_of(one, registry)
            moved = [name for name in touched if cells.get((role, name)) != wanted.get((role, name))]
            if not moved:
                continue
            decided = {name: wanted[role, name] for name in moved if (role, name) in wanted}
            await self._repository.replace(role, moved, decided, reason)
            await insert_entry(
                work,
                MATRIX_EDIT,
                object_type="role",
                object_id=role,
                before={name: name in old for name in moved},
                after={**{name: name in new for name in moved}, "reason": reason},
            )
        if wanted != cells:
            await changed(work, matrix=True)
        return await self.read()

    def _default(self, change: MatrixChange) -> bool:
        return change.permission in self._registry.role_permissions.get(change.role, frozenset())

    def _check(self, changes: Sequence[MatrixChange], policy: TenantPolicy) -> None:
        """What can be said of each change by itself."""
        roles = roles_of(self._registry, policy)
        errors: list[FieldError] = []
        seen: set[tuple[str, str]] = set()
        for index, change in enumerate(changes):
            at = f"/changes/{index}"
            if is_platforms(change.role, change.permission):
                raise PlatformsOwn(change.role if change.role == "operator" else change.permission)
            if change.role not in roles:
                errors.append(FieldError(f"{at}/role", f"There is no role {change.role}."))
            known = change.permission in self._registry.permissions
            if not known and (change.granted or change.permission not in policy.edits.get(change.role, {})):
                errors.append(FieldError(f"{at}/permission", f"No enabled plugin has {change.permission}."))
            elif change.role == "anonymous" and change.granted and not self._default(change):
                errors.append(
                    FieldError(f"{at}/granted", "What everybody may do is for the plugins to say; it can be withdrawn.")
                )
            if (change.role, change.permission) in seen:
                errors.append(FieldError(at, "This cell is changed twice."))
            seen.add((change.role, change.permission))
            if change.role == "administrator" and change.permission in WAY_BACK_IN and change.granted is False:
                raise WayBackIn(change.permission)
        if errors:
            raise InvalidInput(" ".join(error.detail for error in errors[:5]), errors=errors)

    async def _check_giving(self, changes: Sequence[MatrixChange], before: TenantPolicy, after: TenantPolicy) -> None:
        given: set[str] = set()
        back: set[str] = set()
        for change in changes:
            one = frozenset((change.role,))
            new = after.permissions_of(one, self._registry) - before.permissions_of(one, self._registry)
            if change.permission in new:
                (back if self._default(change) else given).add(change.permission)
        if given or back:
            await require_held(self._work, before, frozenset(given), by_default=frozenset(back))
