"""Answering a challenge: from it to a session, or to a fresh proof."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

from pegboard_sdk.errors import InvalidInput

from pegboard.audit.writer import record_refusal
from pegboard.factors.attempts import Attempt, Attempts
from pegboard.factors.challenges import Claims
from pegboard.factors.devices import TrustedDevices
from pegboard.factors.errors import ChallengeInvalid, FactorRefused
from pegboard.factors.letters import guessed, passkey_suspect
from pegboard.factors.passkeys import credential_id
from pegboard.factors.proofs import PasskeySuspect, Proofs, check_form
from pegboard.factors.repository import FactorRepository
from pegboard.factors.requirements import MULTI_FACTOR
from pegboard.factors.schemas import ChallengeAnswer, StepUpAnswer
from pegboard.factors.second_factor import challenges_of
from pegboard.identity.devices import Device
from pegboard.identity.errors import AccountDisabled
from pegboard.identity.permissions import SESSION_PROVE
from pegboard.identity.repository import IdentityRepository
from pegboard.identity.sessions import SESSION_OPEN, OpenSession, ProvenSession, SessionService
from pegboard.identity.sign_in import after_first_factor
from pegboard.mail.message import Message
from pegboard.mail.outbox import send_mail

if TYPE_CHECKING:
    from pegboard.runtime import Runtime
    from pegboard.work import SteppedWork, Work

__all__ = ("AnswerService",)


class AnswerService:
    """Judges answers, in steps: an attempt counts, and is committed, before it is judged."""

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime
        self._challenges = challenges_of(runtime)

    async def sign_in(
        self, uow: "SteppedWork", answer: ChallengeAnswer, device: Device
    ) -> tuple[OpenSession, str | None]:
        """The session that an answer opens, and what a device holds that is trusted from now on, if it was asked for.

        Raises:
            InvalidInput: it is an answer by none or several methods.
            ChallengeInvalid: the challenge was answered, is too old, or the password has changed since.
            LockedOut: too many attempts have failed.
            FactorRefused: the answer is wrong, or was used before.
            AccountDisabled: an administrator has disabled the account.
        """
        check_form(answer)
        claims = self._challenges.read(answer.challenge, uow.principal.tenant_id, "sign_in", "passkey")
        if claims.account_id is None and answer.passkey is None:
            raise InvalidInput("This challenge is answered by a passkey.")
        async with uow.step() as work:
            account_id = claims.account_id
            if account_id is None and answer.passkey is not None:
                account_id = await self._factors(work).owner_of(credential_id(answer.passkey))
            attempt = await self._begin(work, account_id, device, answer)
        if account_id is None or attempt is None:
            await self._refused(uow, SESSION_OPEN, None, "unknown passkey")
            raise FactorRefused
        try:
            async with uow.step() as work:
                return await self._open(work, account_id, claims, answer, attempt, device)
        except FactorRefused as refused:
            await self._refused(uow, SESSION_OPEN, account_id, "bad second factor", refused=refused, attempt=attempt)
            raise
        except AccountDisabled:
            await self._refused(uow, SESSION_OPEN, account_id, "disabled")
            raise

    async def step_up(self, uow: "SteppedWork", answer: StepUpAnswer, device: Device) -> ProvenSession:
        """The principal's session, whose proof is fresh now.

        Raises:
            Unauthorized: nobody is logged in.
            InvalidInput, ChallengeInvalid, LockedOut, FactorRefused: as `sign_in`.
        """
        check_form(answer)
        account_id = uow.principal.account
        claims = self._challenges.read(answer.challenge, uow.principal.tenant_id, "step_up")
        if claims.account_id != account_id or claims.session_id != uow.principal.session_id:
            raise ChallengeInvalid
        async with uow.step() as work:
            attempt = await self._begin(work, account_id, device, answer)
        if attempt is None:
            raise ChallengeInvalid
        try:
            async with uow.step() as work:
                methods = await self._judge(work, account_id, claims, answer, attempt)
                return await SessionService(self._runtime).prove(work, methods=methods)
        except FactorRefused as refused:
            await self._refused(uow, SESSION_PROVE, account_id, "bad second factor", refused=refused, attempt=attempt)
            raise

    async def _open(
        self,
        work: "Work",
        account_id: UUID,
        claims: Claims,
        answer: ChallengeAnswer,
        attempt: Attempt,
        device: Device,
    ) -> tuple[OpenSession, str | None]:
        methods = await self._judge(work, account_id, claims, answer, attempt)
        opened = await after_first_factor(work, account_id, methods=methods, device=device)
        if not isinstance(opened, OpenSession):
            raise ChallengeInvalid
        return opened, await TrustedDevices(work).remember(account_id, device) if answer.trust_device else None

    async def _judge(
        self,
        work: "Work",
        account_id: UUID,
        claims: Claims,
        answer: ChallengeAnswer | StepUpAnswer,
        attempt: Attempt,
    ) -> tuple[str, ...]:
        """All that has proved who it is, the first factor included."""
        account = await IdentityRepository(work).lock_account(account_id, change=False)
        alone = claims.purpose == "passkey"
        if account is None or not (
            alone or claims.state == self._challenges.state(account_id, account["password_hash"])
        ):
            raise ChallengeInvalid
        methods = await Proofs(work).check(account_id, answer, verify_user=alone)
        await self._challenges.use(work, claims)
        await Attempts(work).succeeded(attempt, entirely=True)
        return *claims.methods, *methods, MULTI_FACTOR

    async def _begin(
        self, work: "Work", account_id: UUID | None, device: Device, answer: ChallengeAnswer | StepUpAnswer
    ) -> Attempt | None:
        account = await IdentityRepository(work).account(account_id) if account_id is not None else None
        if account is None:
            return None
        return await Attempts(work).begin(account["email"], device, guessable=answer.passkey is None)

    async def _refused(
        self,
        uow: "SteppedWork",
        action: str,
        account_id: UUID | None,
        reason: str,
        *,
        refused: FactorRefused | None = None,
        attempt: Attempt | None = None,
    ) -> None:
        """Put a refusal on record, and tell the account's owner what they should know of it."""
        letter: Callable[[str, str], Message] | None = None
        if isinstance(refused, PasskeySuspect):
            reason = "the passkey's count went back"
            letter = partial(passkey_suspect, label=refused.label)
        elif attempt is not None and attempt.locks:
            letter = guessed
        if letter is not None and account_id is not None:
            async with uow.step() as work:
                identity = IdentityRepository(work)
                account = await identity.account(account_id)
                if account is not None:
                    await send_mail(work, letter(account["email"], await identity.market_name()))
        await record_refusal(
            self._runtime,
            uow.principal,
            action,
            reason,
            uow.request_id,
            object_type="account",
            object_id=account_id,
        )

    def _factors(self, work: "Work") -> FactorRepository:
        return FactorRepository(work, self._runtime.vault)
