"""Accounts and their roles."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from pegboard_sdk.access import Principal
from pegboard_sdk.errors import FieldError, InvalidInput, NotFound
from pegboard_sdk.ids import new_id
from pegboard_sdk.pagination import Page, decode_cursor, encode_cursor
from pegboard_sdk.work import Record

from pegboard.audit.writer import insert_entry
from pegboard.authorization.changes import start_use
from pegboard.authorization.giving import require_may_act_on, require_may_give_roles
from pegboard.authorization.policy import TenantPolicy
from pegboard.authorization.roles import roles_of
from pegboard.authorization.static_segregation import check_account
from pegboard.identity.authenticator import ANONYMOUS
from pegboard.identity.credentials import check_password, normal_email
from pegboard.identity.errors import EmailTaken, LastOfRole, OperatorOnly
from pegboard.identity.permissions import ACCOUNT_DISABLE, OPERATOR_GRANT, ROLE_GRANT, SESSION_END_ANY
from pegboard.identity.repository import IdentityRepository
from pegboard.identity.schemas import Account, Status
from pegboard.identity.sessions import SessionService
from pegboard.machines.changes import credentials_changed
from pegboard.machines.errors import ServiceNameTaken
from pegboard.machines.permissions import SERVICE_ACCOUNT_CREATE

if TYPE_CHECKING:
    from pegboard.runtime import Runtime
    from pegboard.work import Work

__all__ = ("ADMINISTRATOR", "MEMBER", "OPERATOR", "AccountService")

MEMBER = "member"
ADMINISTRATOR = "administrator"
OPERATOR = "operator"
ACCOUNT_CREATE = "account:account.create"


class AccountService:
    """The rules of accounts."""

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime
        self._config = runtime.config.auth

    async def prepare(self, *, email: str, password: str) -> tuple[str, str]:
        """The address and the password's hash as `create` takes them. It hashes, so no transaction may be open.

        Raises:
            InvalidInput: not an e-mail address, or a password that may not be chosen.
        """
        email = normal_email(email)
        check_password(password, email=email, min_length=self._config.password_min_length)
        return email, await self._runtime.authenticator.passwords.hash(password)

    async def create(
        self,
        work: "Work",
        *,
        email: str | None,
        password_hash: str | None,
        display_name: str,
        roles: Sequence[str] = (),
        email_verified: bool = True,
    ) -> Account:
        """A new account with `roles` and `member`. Without a hash nobody can log in to it by password; without an
        address it is a service account.

        `email_verified`: whether it is known, or whoever makes it vouches, that the address is its owner's.

        Raises:
            EmailTaken: there is an account with this address.
            ServiceNameTaken: there is a service account with this name.
            InvalidInput: a role is unknown.
            OperatorOnly: only an operator, or the platform itself, makes operators.
            NotHeld: a role grants more than what who gives it holds.
            DutiesSegregated: a rule keeps two of the roles, or what they grant, apart.
        """
        wanted = frozenset(roles) | {MEMBER}
        if wanted != {MEMBER}:
            await self._check_roles(work, new_id(), await start_use(work), roles, before=frozenset((MEMBER,)))
        display_name = display_name.strip()  # `$` in a schema's pattern lets a last line break through
        repository = IdentityRepository(work)
        row = await repository.insert_account(
            email=email, password_hash=password_hash, display_name=display_name, verified=email_verified
        )
        if row is None:
            raise ServiceNameTaken(display_name) if email is None else EmailTaken
        account_id: UUID = row["id"]
        await repository.add_roles(account_id, sorted(wanted), granted_by=work.principal.account_id)
        actor = work.principal
        if actor.kind == "anonymous":
            actor = Principal(kind="account", tenant_id=work.tenant_id, account_id=account_id)
        await insert_entry(
            work,
            SERVICE_ACCOUNT_CREATE if email is None else ACCOUNT_CREATE,
            object_type="account",
            object_id=account_id,
            after={"roles": sorted(wanted)},
            actor=actor,
        )
        return Account(
            id=account_id,
            tenant_id=work.tenant_id,
            kind="service" if email is None else "person",
            email=email,
            email_verified=email_verified and email is not None,
            display_name=display_name,
            status="active",
            roles=sorted(wanted),
            created_at=row["created_at"],
        )

    async def get(self, work: "Work", account_id: UUID) -> Account:
        """An account of the tenant.

        Raises:
            NotFound: there is none with this id.
        """
        return _account(await IdentityRepository(work).account(account_id))

    async def find(self, work: "Work", email: str) -> Account:
        """An account of the tenant by its address, in any case.

        Raises:
            NotFound: there is none with this address.
        """
        return _account(await IdentityRepository(work).account_by_email(email.strip()))

    async def list(self, work: "Work", *, limit: int, cursor: str | None, email: str | None = None) -> Page[Account]:
        """The tenant's accounts, newest first; with `email`, the one that has it.

        Raises:
            InvalidCursor: `cursor` is not the `next_cursor` of a page.
        """
        after = decode_cursor(cursor, [UUID])
        rows = await IdentityRepository(work).accounts(
            after=after[0] if after else None, email=email.strip() if email else None, limit=limit + 1
        )
        items = [_account(row) for row in rows[:limit]]
        return Page(items, encode_cursor(items[-1].id) if len(rows) > limit else None)

    async def set_roles(self, work: "Work", account_id: UUID, roles: Sequence[str]) -> Account:
        """Give an account exactly `roles` and `member`.

        A role that is given counts from the account's next refresh on; when one is taken away, the account's log-ins
        end, so that no token still carries it. API keys and clients go on, with the roles that are left within a
        second.

        Raises:
            NotFound: there is no such account.
            InvalidInput: a role is unknown.
            OperatorOnly: only an operator gives or takes the role `operator`.
            LastOfRole: the tenant would be left without an administrator, or the platform without an operator.
            NotHeld: a role grants more than what who gives it holds.
            DutiesSegregated: a rule keeps two of the roles, or what they grant, apart.
        """
        policy = await start_use(work)
        repository = IdentityRepository(work)
        if await repository.lock_account(account_id, change=True) is None:
            raise NotFound("There is no such account.")
        current = frozenset(await repository.roles(account_id))
        wanted = await self._check_roles(work, account_id, policy, roles, before=current)
        added, removed = wanted - current, current - wanted
        await self._leave_one(repository, account_id, removed)
        if added:
            await repository.add_roles(account_id, sorted(added), granted_by=work.principal.account_id)
        if removed:
            await repository.remove_roles(account_id, sorted(removed))
            await SessionService(self._runtime).revoke(work, "roles", account_id=account_id, kind="log_in")
        if added or removed:
            await credentials_changed(work, account_id)
            await insert_entry(
                work,
                ROLE_GRANT,
                object_type="account",
                object_id=account_id,
                before={"roles": sorted(current)},
                after={"roles": sorted(wanted)},
            )
        return await self.get(work, account_id)

    async def set_status(self, work: "Work", account_id: UUID, status: Status) -> Account:
        """Let an account log in, or end its sessions and keep it from logging in.

        Raises:
            NotFound: there is no such account.
            OperatorOnly: it is an operator's, and only an operator disables one.
            NotHeld: it holds more than who acts.
            LastOfRole: the tenant would be left without an administrator, or the platform without an operator.
        """
        policy = await start_use(work)
        repository = IdentityRepository(work)
        account = await repository.lock_account(account_id, change=True)
        if account is None:
            raise NotFound("There is no such account.")
        if account["status"] != status:
            roles = frozenset(await repository.roles(account_id))
            await self._require_may_act_on(work, policy, roles)
            if status == "disabled":
                await self._leave_one(repository, account_id, roles)
            await repository.set_status(account_id, status)
            await insert_entry(
                work,
                ACCOUNT_DISABLE,
                object_type="account",
                object_id=account_id,
                before={"status": account["status"]},
                after={"status": status},
            )
            if status == "disabled":
                await SessionService(self._runtime).revoke(work, "disabled", account_id=account_id)
        return await self.get(work, account_id)

    async def log_out(self, work: "Work", account_id: UUID) -> None:
        """End an account's log-ins, wherever they are. API keys and clients stay.

        Raises:
            NotFound: there is no such account.
            OperatorOnly: it is an operator's, and only an operator may.
            NotHeld: it holds more than who acts.
        """
        policy = await start_use(work)
        repository = IdentityRepository(work)
        if await repository.lock_account(account_id, change=True) is None:
            raise NotFound("There is no such account.")
        await self._require_may_act_on(work, policy, frozenset(await repository.roles(account_id)))
        await insert_entry(work, SESSION_END_ANY, object_type="account", object_id=account_id)
        await SessionService(self._runtime).revoke(work, "administrator", account_id=account_id, kind="log_in")

    @staticmethod
    async def _leave_one(repository: IdentityRepository, account_id: UUID, roles: frozenset[str]) -> None:
        """Refuse where nobody else would be left in a role that somebody must have."""
        for role in sorted(roles & {ADMINISTRATOR, OPERATOR}):
            if not await repository.others_with_role(role, than=account_id):
                raise LastOfRole(role)

    async def _check_roles(
        self, work: "Work", account_id: UUID, policy: TenantPolicy, roles: Sequence[str], *, before: frozenset[str]
    ) -> frozenset[str]:
        """`roles` and `member`, if an account with the roles `before` may be given each, by who acts."""
        known = roles_of(work.registry, policy) - {ANONYMOUS}
        errors = [
            FieldError(f"/roles/{index}", f"There is no role {role}.")
            for index, role in enumerate(roles)
            if role not in known
        ]
        if errors:
            detail = " ".join((*(error.detail for error in errors), f"There are: {', '.join(sorted(known))}."))
            raise InvalidInput(detail, errors=errors)
        wanted = frozenset(roles) | {MEMBER}
        if OPERATOR in wanted ^ before:
            self._require_operator(work)
        if added := wanted - before - {OPERATOR}:
            await require_may_give_roles(work, policy, added)
            check_account(work.registry, policy, account_id, before=before, after=wanted, now=time.time())
        return wanted

    async def _require_may_act_on(self, work: "Work", policy: TenantPolicy, roles: frozenset[str]) -> None:
        if OPERATOR in roles:
            self._require_operator(work)
        await require_may_act_on(work, policy, roles - {OPERATOR})

    @staticmethod
    def _require_operator(work: "Work") -> None:
        if not work.principal.may(OPERATOR_GRANT):
            raise OperatorOnly


def _account(row: Record | None) -> Account:
    if row is None:
        raise NotFound("There is no such account.")
    return Account(
        id=row["id"],
        tenant_id=row["tenant_id"],
        kind=row["kind"],
        email=row["email"],
        email_verified=row["email_verified_at"] is not None,
        display_name=row["display_name"],
        status=row["status"],
        roles=row["roles"],
        created_at=row["created_at"],
    )
