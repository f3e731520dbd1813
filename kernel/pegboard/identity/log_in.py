"""Logging in by password."""

from typing import TYPE_CHECKING
from uuid import UUID

from pegboard.audit.writer import record_refusal
from pegboard.factors.attempts import Attempt, Attempts
from pegboard.factors.devices import TrustedDevices
from pegboard.identity.devices import UNKNOWN, Device
from pegboard.identity.errors import AccountDisabled, BadCredentials, EmailNotVerified
from pegboard.identity.repository import IdentityRepository
from pegboard.identity.schemas import Challenge
from pegboard.identity.sessions import SESSION_OPEN, OpenSession
from pegboard.identity.sign_in import after_first_factor

if TYPE_CHECKING:
    from pegboard.runtime import Runtime
    from pegboard.work import SteppedWork, Work

__all__ = ("LogInService",)


class LogInService:
    """Who knows the password gets a session, or what they have to prove besides."""

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime
        self._passwords = runtime.authenticator.passwords

    async def log_in(
        self, uow: "SteppedWork", *, email: str, password: str, device: Device = UNKNOWN
    ) -> OpenSession | Challenge:
        """What an address and its password give.

        An unknown address takes the same steps as a wrong password, a hash included. No transaction is open meanwhile.

        Raises:
            LockedOut: too many attempts with this address have failed, whether or not it is known.
            BadCredentials: no account has this address and password.
            AccountDisabled: the password is right; the account is disabled.
            EmailNotVerified: the password is right; the address is not proven yet, as `auth.registration` asks.
            Unavailable: too many people are logging in.
        """
        async with uow.step() as work:
            trusted = await TrustedDevices(work).of_address(device, email)
            attempt = await Attempts(work).begin(email, device, trusted_device=trusted)
            found = await IdentityRepository(work).credentials(email.strip())
        account_id, stored = (found["id"], found["password_hash"]) if found else (None, None)
        if not await self._passwords.verify(stored, password) or account_id is None or stored is None:
            await self._refused(uow, account_id, "bad credentials")
            raise BadCredentials
        renewed = await self._passwords.hash(password) if self._passwords.outdated(stored) else None
        try:
            async with uow.step() as work:
                return await self._sign_in(work, account_id, stored, renewed, device, attempt)
        except (AccountDisabled, EmailNotVerified) as refusal:
            reason = "disabled" if isinstance(refusal, AccountDisabled) else "address not proven"
            await self._refused(uow, account_id, reason)
            raise

    @staticmethod
    async def _sign_in(
        work: "Work", account_id: UUID, stored: str, renewed: str | None, device: Device, attempt: Attempt
    ) -> OpenSession | Challenge:
        repository = IdentityRepository(work)
        account = await repository.lock_account(account_id, change=renewed is not None)
        if account is None or account["password_hash"] != stored:
            raise BadCredentials  # it changed while we were hashing
        if renewed is not None:
            await repository.set_password_hash(account_id, renewed)
        outcome = await after_first_factor(work, account_id, methods=("pwd",), device=device)
        await Attempts(work).succeeded(attempt, entirely=isinstance(outcome, OpenSession))
        return outcome

    async def _refused(self, uow: "SteppedWork", account_id: UUID | None, reason: str) -> None:
        # An entry for an unknown address too, without the address: people type passwords there.
        await record_refusal(
            self._runtime,
            uow.principal,
            SESSION_OPEN,
            reason,
            uow.request_id,
            object_type="account",
            object_id=account_id,
        )
