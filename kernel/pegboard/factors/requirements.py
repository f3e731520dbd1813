"""Which roles need a second factor, and what a session gets that has proved none."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from pegboard_sdk.errors import NotFound
from pegboard_sdk.ids import new_id

from pegboard.audit.writer import insert_entry
from pegboard.authorization.roles import roles_of
from pegboard.factors.devices import TRUSTED_DEVICE
from pegboard.factors.permissions import FACTOR_REQUIRE, RESTRICTED
from pegboard.factors.schemas import Requirement
from pegboard.identity.errors import OperatorOnly
from pegboard.identity.permissions import OPERATOR_GRANT

if TYPE_CHECKING:
    from pegboard_sdk.work import UnitOfWork

    from pegboard.work import Work

__all__ = ("MULTI_FACTOR", "RequirementService", "is_proven", "required_from", "roles_in_session")

MULTI_FACTOR = "mfa"
"""RFC 8176's name of a session that more than one factor has proved."""

# A role that somebody has for a while asks for its factor too.
_ROLES = """
SELECT g.role, g.created_at, true AS granted FROM kernel_role_grants g WHERE g.tenant_id = $1 AND g.account_id = $2
UNION ALL
SELECT o.role, o.created_at, false FROM kernel_overrides o
WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.role IS NOT NULL AND o.ended_at IS NULL AND o.expires_at > now()
"""

_IN_SESSION = f"""
SELECT has.role, has.granted,
       coalesce(greatest(r.created_at, has.created_at) + make_interval(days => r.grace_days) <= now(), false) AS due
FROM ({_ROLES}) has
LEFT JOIN kernel_factor_requirements r ON r.tenant_id = $1 AND r.role = has.role
ORDER BY has.role
"""  # noqa: S608  # a constant

_REQUIRED_FROM = f"""
SELECT min(greatest(r.created_at, has.created_at) + make_interval(days => r.grace_days))
FROM ({_ROLES}) has JOIN kernel_factor_requirements r ON r.tenant_id = $1 AND r.role = has.role
"""  # noqa: S608  # a constant


def is_proven(methods: Iterable[str]) -> bool:
    """Whether what proved a session was more than one factor, or a device that is trusted took the second's place."""
    return not {MULTI_FACTOR, TRUSTED_DEVICE}.isdisjoint(methods)


async def roles_in_session(work: "UnitOfWork", account_id: UUID, methods: Collection[str]) -> list[str]:
    """What stands as roles in the tokens of an account's session that `methods` proved: its roles, in order; or, where
    one of them needs a second factor and none was proved, only that it is restricted.
    """
    rows = await work.fetch(_IN_SESSION, work.tenant_id, account_id)
    if any(row["due"] for row in rows) and not is_proven(methods):
        return [RESTRICTED]
    return [row["role"] for row in rows if row["granted"]]


async def required_from(work: "UnitOfWork", account_id: UUID) -> datetime | None:
    """From when on a role of the account needs a second factor; None: no role does."""
    return await work.fetchval(_REQUIRED_FROM, work.tenant_id, account_id)


class RequirementService:
    """What a marketplace asks of its roles."""

    async def list(self, work: "Work") -> list[Requirement]:
        """The roles that need a second factor, by name."""
        rows = await work.fetch(
            """
            SELECT r.role, r.grace_days, r.created_at AS since, (
                SELECT count(*) FROM kernel_role_grants g
                WHERE g.tenant_id = r.tenant_id AND g.role = r.role
                  AND NOT EXISTS (SELECT FROM kernel_totp_seeds t WHERE t.tenant_id = g.tenant_id
                                  AND t.account_id = g.account_id AND t.confirmed_at IS NOT NULL)
                  AND NOT EXISTS (SELECT FROM kernel_passkeys p
                                  WHERE p.tenant_id = g.tenant_id AND p.account_id = g.account_id)
            ) AS without
            FROM kernel_factor_requirements r WHERE r.tenant_id = $1 ORDER BY r.role
            """,
            work.tenant_id,
        )
        return [Requirement(**row) for row in rows]

    async def set(self, work: "Work", role: str, *, grace_days: int) -> Requirement:
        """Accounts with `role` need a second factor. Sessions that have proved none are restricted from their next
        refresh on.

        Raises:
            NotFound: there is no such role.
            OperatorOnly: only an operator says what the role operator needs.
        """
        self._check(work, role)
        before = await self._grace_days(work, role)
        await work.execute(
            """
            INSERT INTO kernel_factor_requirements (id, tenant_id, role, grace_days, set_by) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (tenant_id, role) DO UPDATE SET grace_days = excluded.grace_days, set_by = excluded.set_by
            """,
            new_id(),
            work.tenant_id,
            role,
            grace_days,
            work.principal.account_id,
        )
        await insert_entry(
            work,
            FACTOR_REQUIRE,
            object_type="role",
            object_id=role,
            before=None if before is None else {"grace_days": before},
            after={"grace_days": grace_days},
        )
        return next(one for one in await self.list(work) if one.role == role)

    async def remove(self, work: "Work", role: str) -> None:
        """Accounts with `role` need no second factor any more.

        Raises:
            NotFound: they need none.
            OperatorOnly: only an operator says what the role operator needs.
        """
        self._check(work, role)
        before = await self._grace_days(work, role)
        if before is None:
            raise NotFound("This role needs no second factor.")
        await work.execute(
            "DELETE FROM kernel_factor_requirements WHERE tenant_id = $1 AND role = $2", work.tenant_id, role
        )
        await insert_entry(
            work, FACTOR_REQUIRE, object_type="role", object_id=role, before={"grace_days": before}, after={}
        )

    @staticmethod
    def _check(work: "Work", role: str) -> None:
        known = roles_of(work.registry, work.runtime.authenticator.policies.of(work.tenant_id)) - {"anonymous"}
        if role not in known:
            raise NotFound(f"There is no role {role}. There are: {', '.join(sorted(known))}.")
        if role == "operator" and not work.principal.may(OPERATOR_GRANT):
            raise OperatorOnly

    @staticmethod
    async def _grace_days(work: "Work", role: str) -> int | None:
        """What the role has now, held until the end."""
        return await work.fetchval(
            "SELECT grace_days FROM kernel_factor_requirements WHERE tenant_id = $1 AND role = $2 FOR NO KEY UPDATE",
            work.tenant_id,
            role,
        )
