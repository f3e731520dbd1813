"""Whether an answer to a challenge proves what it claims. Each is good once, however many come with it at a time."""

import hmac
import time
from typing import TYPE_CHECKING
from uuid import UUID

from pegboard_sdk.access import Principal
from pegboard_sdk.errors import InvalidInput

from pegboard.audit.writer import insert_entry
from pegboard.factors.challenges import passkey_challenge
from pegboard.factors.errors import FactorRefused
from pegboard.factors.letters import recovery_code_used
from pegboard.factors.passkeys import Passkeys, credential_id
from pegboard.factors.recovery import digest_of
from pegboard.factors.repository import FactorRepository
from pegboard.factors.schemas import AnsweredChallenge, PasskeyAssertion
from pegboard.factors.totp import step_of
from pegboard.identity.repository import IdentityRepository
from pegboard.mail.outbox import send_mail

if TYPE_CHECKING:
    from pegboard.work import Work

__all__ = ("PasskeySuspect", "Proofs", "check_form")

RECOVERY_CODE_USE = "account:recovery_code.use"


class PasskeySuspect(FactorRefused):
    """The signature is right, and its count is not beyond the last one: there may be a copy of the authenticator."""

    def __init__(self, label: str) -> None:
        super().__init__()
        self.label = label


def check_form(answer: AnsweredChallenge) -> None:
    """Refuse an answer by none or several methods.

    Raises:
        InvalidInput: it is one.
    """
    if sum(one is not None for one in (answer.code, answer.recovery_code, answer.passkey)) != 1:
        raise InvalidInput("Answer by exactly one of code, recovery_code and passkey.")


class Proofs:
    """Over one unit of work, which has to hold the account's row."""

    def __init__(self, work: "Work") -> None:
        self._work = work
        self._repository = FactorRepository(work, work.runtime.vault)

    async def check(self, account_id: UUID, answer: AnsweredChallenge, *, verify_user: bool = False) -> tuple[str, ...]:
        """How the answer proves that it is the account's, by RFC 8176's names. What was used is used up.

        Raises:
            FactorRefused: it doesn't.
        """
        if answer.passkey is not None:
            return await self._passkey(account_id, answer.challenge, answer.passkey, verify_user)
        if answer.recovery_code is not None:
            return await self._recovery_code(account_id, answer.recovery_code)
        return await self._totp(account_id, answer.code or "")

    async def _totp(self, account_id: UUID, code: str) -> tuple[str, ...]:
        app = await self._repository.seed(account_id, confirmed=True)
        if app is None:
            raise FactorRefused
        seed_id, seed, last = app
        step = step_of(seed, code.replace(" ", ""), now=time.time(), after=last)
        if step is None:
            raise FactorRefused
        await self._repository.use_seed(seed_id, step)
        return ("otp",)

    async def _recovery_code(self, account_id: UUID, code: str) -> tuple[str, ...]:
        digest = digest_of(code)
        left = await self._repository.unused_recovery_codes(account_id)
        matching = [code_id for code_id, known in left if hmac.compare_digest(known, digest)]
        if not matching:
            raise FactorRefused
        await self._repository.use_recovery_code(matching[0])
        actor = Principal(kind="account", tenant_id=self._work.tenant_id, account_id=account_id)
        await insert_entry(
            self._work,
            RECOVERY_CODE_USE,
            object_type="account",
            object_id=account_id,
            after={"left": len(left) - 1},
            actor=actor,
        )
        identity = IdentityRepository(self._work)
        account = await identity.account(account_id)
        if account is not None:
            letter = recovery_code_used(account["email"], await identity.market_name(), len(left) - 1)
            await send_mail(self._work, letter)
        return ("otp",)

    async def _passkey(
        self, account_id: UUID, challenge: str, assertion: PasskeyAssertion, verify_user: bool
    ) -> tuple[str, ...]:
        passkey = await self._repository.passkey(account_id, credential_id(assertion))
        if passkey is None:
            raise FactorRefused
        signed = Passkeys(self._work.runtime.config).signed(
            assertion,
            passkey_challenge(challenge),
            account_id=account_id,
            public_key=passkey["public_key"],
            verify_user=verify_user,
        )
        # An authenticator that doesn't count says 0 each time (WebAuthn, 6.1.1).
        if (signed.sign_count or passkey["sign_count"]) and signed.sign_count <= passkey["sign_count"]:
            raise PasskeySuspect(passkey["label"])
        await self._repository.use_passkey(passkey["id"], sign_count=signed.sign_count, backed_up=signed.backed_up)
        return signed.methods
