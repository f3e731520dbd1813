"""What somebody may do for an organisation: the rule of objects that are an organisation's, and who may give what.

404 comes before 403: who is no member learns nothing of an organisation.
"""

from typing import TYPE_CHECKING
from uuid import UUID

from pegboard_sdk.errors import FieldError, InvalidInput
from pegboard_sdk.services import MembershipView, Organisations, OrganisationView, Service
from pegboard_sdk.work import Record

from pegboard.authorization.errors import NotHeld
from pegboard.tenancy.errors import NotInOrganisation, OrganisationNotFound, OrganisationSuspended
from pegboard.tenancy.organisation_repository import OrganisationRepository
from pegboard.tenancy.permissions import ORGANISATION_LEAVE, ORGANISATION_READ

if TYPE_CHECKING:
    from pegboard.work import Work

__all__ = ("MANAGER", "OWNER", "SERVICES", "granted", "require", "require_may_give")

OWNER = "owner"
MANAGER = "manager"
PREFIX = "organisation_"
MAX_MEMBERSHIPS = 1_000
_WHILE_SUSPENDED = frozenset((ORGANISATION_READ, ORGANISATION_LEAVE))


def granted(work: "Work", role: str) -> frozenset[str]:
    """What a role in an organisation grants there: what the permission matrix says of `organisation_<role>`."""
    roles = frozenset((PREFIX + role,))
    return work.runtime.authenticator.permissions(work.tenant_id, roles, work.registry)


async def require(work: "Work", organisation_id: UUID, permission: str, *, lock: bool = False) -> Record:
    """The organisation, with the principal's `role` there (None for the system principal), if they may do `permission`
    for it. With `lock` nobody else changes it or its members until the end.

    Raises:
        OrganisationNotFound: there is none, or who asks is no member of it.
        NotInOrganisation: their role does not grant it.
        OrganisationSuspended: it is suspended.
    """
    principal = work.principal
    found = await OrganisationRepository(work).find(organisation_id, principal.account_id, lock=lock)
    if found is None or (found["role"] is None and principal.kind != "system"):
        raise OrganisationNotFound
    if principal.kind != "system" and permission not in granted(work, found["role"]):
        raise NotInOrganisation(permission)
    if found["status"] == "suspended" and permission not in _WHILE_SUSPENDED:
        raise OrganisationSuspended
    return found


def require_may_give(work: "Work", own: str | None, *roles: str) -> None:
    """Refuse roles that there are not, and those that grant more than one's own. `own` is None for the system
    principal. It is also how managers can't change what owners are.

    Raises:
        InvalidInput: there is no such role.
        NotHeld: it grants more.
    """
    policy = work.runtime.authenticator.policies.of(work.tenant_id)
    known = {name for name in work.registry.role_permissions.keys() | policy.roles if name.startswith(PREFIX)}
    for role in roles:
        if PREFIX + role not in known:
            names = ", ".join(sorted(name.removeprefix(PREFIX) for name in known))
            detail = f"There is no role {role} in organisations. There are: {names}."
            raise InvalidInput(detail, errors=[FieldError("/role", detail)])
        if own is not None and (more := granted(work, role) - granted(work, own)):
            raise NotHeld(more)


class OrganisationAccess:
    """`pegboard_sdk.services.Organisations`; it keeps nothing between calls."""

    async def get(self, uow: "Work", organisation_id: UUID) -> OrganisationView:
        """See `Organisations.get`."""
        found = await OrganisationRepository(uow).find(organisation_id, None)
        if found is None:
            raise OrganisationNotFound
        return _view(found)

    async def memberships(self, uow: "Work", account_id: UUID) -> list[MembershipView]:
        """See `Organisations.memberships`."""
        rows = await OrganisationRepository(uow).of_account(account_id, after=None, limit=MAX_MEMBERSHIPS)
        return [
            MembershipView(organisation_id=row["id"], account_id=account_id, role=row["role"])
            for row in rows
            if row["status"] == "active"
        ]

    async def membership(self, uow: "Work", organisation_id: UUID, account_id: UUID) -> MembershipView | None:
        """See `Organisations.membership`."""
        found = await OrganisationRepository(uow).find(organisation_id, account_id)
        if found is None or found["role"] is None or found["status"] != "active":
            return None
        return MembershipView(organisation_id=organisation_id, account_id=account_id, role=found["role"])

    async def require(self, uow: "Work", organisation_id: UUID, permission: str) -> OrganisationView:
        """See `Organisations.require`."""
        return _view(await require(uow, organisation_id, permission))


def _view(row: Record) -> OrganisationView:
    return OrganisationView(id=row["id"], type=row["type"], name=row["name"], status=row["status"])


SERVICES = (Service(Organisations, OrganisationAccess()),)
