"""Proving anew who one is, for what asks for a fresh proof."""

from typing import TYPE_CHECKING

import msgspec

from pegboard.audit.writer import record_refusal
from pegboard.factors.attempts import Attempt, Attempts
from pegboard.identity.devices import UNKNOWN, Device
from pegboard.identity.errors import BadCredentials
from pegboard.identity.permissions import SESSION_PROVE
from pegboard.identity.repository import IdentityRepository
from pegboard.identity.schemas import Challenge
from pegboard.identity.sessions import ProvenSession
from pegboard.identity.sign_in import after_step_up

if TYPE_CHECKING:
    from pegboard.runtime import Runtime
    from pegboard.work import SteppedWork

__all__ = ("KnownPassword", "StepUpService")


class KnownPassword(msgspec.Struct, frozen=True, kw_only=True):
    """The account whose password was right, and the hash that it was checked against. `attempt` is to be taken back."""

    email: str
    password_hash: str
    attempt: Attempt


class StepUpService:
    """Checks who is logged in, again."""

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime

    async def by_password(
        self, uow: "SteppedWork", password: str, *, device: Device = UNKNOWN
    ) -> ProvenSession | Challenge:
        """Make the proof of the principal's session fresh.

        Raises:
            Unauthorized: nobody is logged in.
            BadCredentials: it is not the account's password, or the account has none.
            LockedOut: too many attempts have failed.
        """
        known = await self.check_password(uow, password, device=device)
        async with uow.step() as work:
            account = await IdentityRepository(work).lock_account(work.principal.account, change=False)
            if account is None or account["password_hash"] != known.password_hash:
                raise BadCredentials  # it changed while we were hashing
            outcome = await after_step_up(work, methods=("pwd",))
            await Attempts(work).succeeded(known.attempt, entirely=isinstance(outcome, ProvenSession))
            return outcome

    async def check_password(self, uow: "SteppedWork", password: str, *, device: Device = UNKNOWN) -> KnownPassword:
        """Check the password of the principal's account. No transaction is open while it hashes.

        Raises:
            Unauthorized: nobody is logged in.
            BadCredentials: it is another, or the account has none.
            LockedOut: too many attempts have failed: a stolen access token must not be good for guessing.
        """
        account_id = uow.principal.account
        async with uow.step() as work:
            account = await IdentityRepository(work).lock_account(account_id, change=False)
            email = account["email"] if account is not None else None
            attempt = await Attempts(work).begin(email or str(account_id), device)
        stored = account["password_hash"] if account is not None else None
        if not await self._runtime.authenticator.passwords.verify(stored, password) or account is None:
            await record_refusal(
                self._runtime,
                uow.principal,
                SESSION_PROVE,
                "bad credentials",
                uow.request_id,
                object_type="account",
                object_id=account_id,
            )
            raise BadCredentials
        return KnownPassword(email=account["email"], password_hash=account["password_hash"], attempt=attempt)
