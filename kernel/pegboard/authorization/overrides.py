"""Rights for a while: somebody gets a role or a permission, for a reason, until a time. It ends by itself."""

import time
from typing import TYPE_CHECKING
from uuid import UUID

from pegboard_sdk.errors import FieldError, Forbidden, InvalidInput, NotFound
from pegboard_sdk.ids import new_id
from pegboard_sdk.pagination import Page, decode_cursor, encode_cursor
from pegboard_sdk.work import Record, UnitOfWork

from pegboard.audit.writer import insert_entry
from pegboard.authorization import policy as policies
from pegboard.authorization.changes import changed, start_change
from pegboard.authorization.errors import PlatformsOwn
from pegboard.authorization.giving import require_held, require_may_give_roles
from pegboard.authorization.permissions import OVERRIDE_EXPIRE, OVERRIDE_GRANT
from pegboard.authorization.policy import TenantPolicy, is_platforms
from pegboard.authorization.roles import roles_of
from pegboard.authorization.schemas import NewOverride, Override
from pegboard.authorization.static_segregation import check_tenant

if TYPE_CHECKING:
    from pegboard.work import Work

__all__ = ("OverrideService", "expire_overrides")

_COLUMNS = """
id, account_id, role, permission, reason, granted_by, created_at, expires_at, ended_at, ended_by,
CASE WHEN ended_at < expires_at THEN 'ended' WHEN expires_at <= statement_timestamp() THEN 'expired' ELSE 'live' END
    AS state
"""
_INSERT = f"""
INSERT INTO kernel_overrides (id, tenant_id, account_id, role, permission, reason, granted_by, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, statement_timestamp() + make_interval(secs => $8)) RETURNING {_COLUMNS}
"""  # noqa: S608  # constants
_LIST = f"""
SELECT {_COLUMNS} FROM kernel_overrides
WHERE tenant_id = $1 AND ($2::uuid IS NULL OR account_id = $2) AND ($3::uuid IS NULL OR id < $3)
    AND (NOT $4 OR ended_at IS NULL AND expires_at > statement_timestamp())
ORDER BY id DESC LIMIT $5
"""  # noqa: S608  # constants
_END = f"""
UPDATE kernel_overrides SET ended_at = statement_timestamp(), ended_by = $3
WHERE tenant_id = $1 AND id = $2 AND ended_at IS NULL AND expires_at > statement_timestamp() RETURNING {_COLUMNS}
"""  # noqa: S608  # constants
_FIND = f"SELECT {_COLUMNS} FROM kernel_overrides WHERE tenant_id = $1 AND id = $2"  # noqa: S608  # constants
_EXPIRE = f"""
UPDATE kernel_overrides SET ended_at = expires_at
WHERE tenant_id = $1 AND ended_at IS NULL AND expires_at <= statement_timestamp() RETURNING {_COLUMNS}
"""  # noqa: S608  # constants


class OverrideService:
    """The rules of raised rights."""

    def __init__(self, work: "Work") -> None:
        self._work = work

    async def grant(self, new: NewOverride) -> Override:
        """Raise somebody's rights. They count everywhere within a second, until they expire or are ended.

        Raises:
            InvalidInput: not exactly one of role and permission, or there is none of this name.
            PlatformsOwn: it is the platform operator's.
            NotFound: there is no such account.
            Forbidden: it is one's own account.
            NotHeld: who grants does not hold it.
            DutiesSegregated: a rule keeps it apart from what the account has.
        """
        work = self._work
        if (new.role is None) == (new.permission is None):
            raise InvalidInput(
                "Name a role or a permission: one of them.", errors=[FieldError("/role", "Or permission.")]
            )
        if is_platforms(new.role or "", new.permission or ""):
            raise PlatformsOwn(new.role or new.permission or "")
        if new.account_id == work.principal.account_id:
            raise Forbidden("Nobody raises their own rights: ask somebody else who may.")
        before = await start_change(work)
        self._check_known(new, before)
        if new.role is not None:
            await require_may_give_roles(work, before, frozenset((new.role,)))
        else:
            await require_held(work, before, frozenset((new.permission or "",)))
        if not await self._lock_account(new.account_id):
            raise NotFound("There is no such account.")
        now = time.time()
        added = policies.Override(new.account_id, new.role, new.permission, now + new.expires_in)
        after = before.but(overrides=[added])
        await check_tenant(work, before, after, now=now)
        row = await work.fetchrow(
            _INSERT,
            new_id(),
            work.tenant_id,
            new.account_id,
            new.role,
            new.permission,
            new.reason,
            work.principal.account_id,
            new.expires_in,
        )
        override = _view(row)
        await insert_entry(
            work,
            OVERRIDE_GRANT,
            object_type="account",
            object_id=new.account_id,
            after={
                "override": override.id,
                "role": new.role,
                "permission": new.permission,
                "expires_at": override.expires_at,
                "reason": new.reason,
            },
        )
        await changed(work)
        return override

    async def end(self, override_id: UUID) -> Override:
        """End raised rights early. Ending those that have ended changes nothing.

        Raises:
            NotFound: there are none with this id.
        """
        work = self._work
        await start_change(work)
        row = await work.fetchrow(_END, work.tenant_id, override_id, work.principal.account_id)
        if row is None:
            row = await work.fetchrow(_FIND, work.tenant_id, override_id)
            if row is None:
                raise NotFound("There are no raised rights with this id.")
            return _view(row)
        override = _view(row)
        await insert_entry(
            work,
            OVERRIDE_GRANT,
            object_type="account",
            object_id=override.account_id,
            before={"override": override.id, "role": override.role, "permission": override.permission},
            after={"ended_at": override.ended_at},
        )
        await changed(work)
        return override

    async def list(self, *, account_id: UUID | None, live: bool, limit: int, cursor: str | None) -> Page[Override]:
        """Raised rights, newest first: all that there ever were, or those that are `live`.

        Raises:
            InvalidCursor: `cursor` is not the `next_cursor` of a page.
        """
        after = decode_cursor(cursor, [UUID])
        rows = await self._work.fetch(
            _LIST, self._work.tenant_id, account_id, after[0] if after else None, live, limit + 1
        )
        items = [_view(row) for row in rows[:limit]]
        return Page(items, encode_cursor(items[-1].id) if len(rows) > limit else None)

    def _check_known(self, new: NewOverride, policy: TenantPolicy) -> None:
        registry = self._work.registry
        if new.role is not None and new.role not in roles_of(registry, policy) - {"anonymous", "member"}:
            raise InvalidInput(
                f"There is no role {new.role} to give.", errors=[FieldError("/role", "Unknown, or everybody's.")]
            )
        if new.permission is not None and new.permission not in registry.permissions:
            raise InvalidInput(
                f"No enabled plugin has the permission {new.permission}.",
                errors=[FieldError("/permission", "Unknown.")],
            )

    async def _lock_account(self, account_id: UUID) -> bool:
        """Whether there is such an account; its roles stay as they are until the end."""
        return (
            await self._work.fetchval(
                "SELECT id FROM kernel_accounts WHERE tenant_id = $1 AND id = $2 FOR SHARE",
                self._work.tenant_id,
                account_id,
            )
            is not None
        )


async def expire_overrides(uow: UnitOfWork) -> None:
    """Put on record that raised rights have ended by themselves. They have ended before: this decides nothing."""
    for row in await uow.fetch(_EXPIRE, uow.tenant_id):
        override = _view(row)
        await uow.audit(
            OVERRIDE_EXPIRE,
            object_type="account",
            object_id=override.account_id,
            before={"override": override.id, "role": override.role, "permission": override.permission},
            after={"ended_at": override.expires_at},
        )


def _view(row: Record | None) -> Override:
    assert row is not None, "a row that was just written is there"
    return Override(**{name: row[name] for name in Override.__struct_fields__})
