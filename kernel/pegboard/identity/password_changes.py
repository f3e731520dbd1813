"""Changing a password, and choosing another where it is forgotten."""

from typing import TYPE_CHECKING
from uuid import UUID

from pegboard_sdk.access import Principal

from pegboard.audit.writer import insert_entry
from pegboard.factors.attempts import Attempts
from pegboard.factors.devices import TrustedDevices
from pegboard.identity.by_mail import PasswordForgotten, answer_by_mail
from pegboard.identity.credentials import check_password, normal_email
from pegboard.identity.devices import UNKNOWN, Device
from pegboard.identity.errors import BadCredentials
from pegboard.identity.letters import password_changed
from pegboard.identity.markets import market_of
from pegboard.identity.one_time_tokens import OneTimeTokens
from pegboard.identity.permissions import SELF_UPDATE
from pegboard.identity.repository import IdentityRepository
from pegboard.identity.sessions import SessionService
from pegboard.identity.step_up import StepUpService
from pegboard.mail.outbox import send_mail

if TYPE_CHECKING:
    from pegboard.runtime import Runtime
    from pegboard.work import SteppedWork, Work

__all__ = ("PasswordService",)

PASSWORD_RESET = "account:password.reset"  # noqa: S105  # an action's name


class PasswordService:
    """The rules of accounts' passwords. No transaction is open while it hashes."""

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime
        self._min_length = runtime.config.auth.password_min_length
        self._passwords = runtime.authenticator.passwords

    async def change(
        self, uow: "SteppedWork", *, current_password: str, password: str, device: Device = UNKNOWN
    ) -> None:
        """Give the principal's account another password, and end its other log-ins. Its owner is told by mail.

        Raises:
            Unauthorized: nobody is logged in.
            BadCredentials: the current password is another.
            LockedOut: too many attempts have failed.
            InvalidInput: the new password may not be chosen.
        """
        account_id = uow.principal.account
        known = await StepUpService(self._runtime).check_password(uow, current_password, device=device)
        check_password(password, email=known.email, min_length=self._min_length)
        password_hash = await self._passwords.hash(password)
        async with uow.step() as work:
            account = await IdentityRepository(work).lock_account(account_id, change=True)
            if account is None or account["password_hash"] != known.password_hash:
                raise BadCredentials  # it changed while we were hashing
            await self._set(work, account_id, account["email"], password_hash, besides=work.principal.session_id)
            await Attempts(work).succeeded(known.attempt, entirely=True)
            await insert_entry(
                work, SELF_UPDATE, object_type="account", object_id=account_id, after={"changed": ["password"]}
            )

    async def forgotten(self, work: "Work", email: str) -> None:
        """Have a token sent to an address with which its owner can choose another password. Nothing tells whether there
        is an account.

        Raises:
            InvalidInput: not an e-mail address.
        """
        await answer_by_mail(work, PasswordForgotten(email=normal_email(email)))

    async def reset(self, uow: "SteppedWork", *, token: str, password: str) -> None:
        """Give the account of a mailed token another password, and end all its log-ins. Its owner is told by mail.

        Raises:
            OneTimeTokenInvalid: it is unknown, used or too old.
            InvalidInput: the password may not be chosen. The token can be used again.
        """
        async with uow.step() as work:
            proof = await OneTimeTokens(work).find(token, "reset_password")
        check_password(password, email=proof["email"], min_length=self._min_length)
        password_hash = await self._passwords.hash(password)
        account_id: UUID = proof["account_id"]
        async with uow.step() as work:
            repository = IdentityRepository(work)
            await repository.lock_account(account_id, change=True)
            proof = await OneTimeTokens(work).redeem(token, "reset_password")
            await repository.verify_email(account_id)  # whoever has the token reads mail there
            await self._set(work, account_id, proof["email"], password_hash, besides=None)
            await Attempts(work).forgive(proof["email"])
            actor = Principal(kind="account", tenant_id=work.tenant_id, account_id=account_id)
            await insert_entry(work, PASSWORD_RESET, object_type="account", object_id=account_id, actor=actor)

    async def _set(
        self, work: "Work", account_id: UUID, email: str, password_hash: str, *, besides: UUID | None
    ) -> None:
        repository = IdentityRepository(work)
        await repository.set_password_hash(account_id, password_hash)
        # A token that somebody else asked for, or got, before must not undo this.
        await OneTimeTokens(work).withdraw(account_id, "reset_password")
        await OneTimeTokens(work).withdraw(account_id, "change_email")
        await TrustedDevices(work).withdraw(account_id)
        await SessionService(self._runtime).revoke(
            work, "password", account_id=account_id, kind="log_in", besides=besides
        )
        await send_mail(work, password_changed(email, await market_of(work)))
