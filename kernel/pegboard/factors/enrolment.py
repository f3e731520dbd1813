"""Adding and removing one's second factors, and an administrator's removing all of somebody's."""

import time
from typing import TYPE_CHECKING
from uuid import UUID

from pegboard_sdk.errors import InvalidInput, NotFound
from pegboard_sdk.work import Record

from pegboard.audit.writer import insert_entry
from pegboard.authorization.changes import start_use
from pegboard.authorization.giving import require_may_act_on
from pegboard.factors.challenges import passkey_challenge
from pegboard.factors.devices import TrustedDevices
from pegboard.factors.errors import (
    ChallengeInvalid,
    LastFactor,
    OwnFactors,
    PasskeyKnown,
    TooManyPasskeys,
)
from pegboard.factors.letters import factor_added, factor_removed, factors_reset, recovery_codes_replaced
from pegboard.factors.passkeys import Passkeys
from pegboard.factors.permissions import FACTOR_MANAGE, FACTOR_RESET, RESTRICTED
from pegboard.factors.recovery import LOW, digest_of, new_codes
from pegboard.factors.repository import FactorRepository
from pegboard.factors.requirements import MULTI_FACTOR, required_from
from pegboard.factors.schemas import (
    Factors,
    NewPasskey,
    Passkey,
    PasskeyChallenge,
    TotpFactor,
    TotpSetUp,
)
from pegboard.factors.second_factor import challenges_of
from pegboard.factors.totp import new_seed, otpauth_uri, seed_text, step_of
from pegboard.identity.errors import OperatorOnly
from pegboard.identity.permissions import OPERATOR_GRANT
from pegboard.identity.repository import IdentityRepository
from pegboard.identity.sessions import ProvenSession, SessionService
from pegboard.mail.outbox import send_mail

if TYPE_CHECKING:
    from pegboard.work import Work

__all__ = ("MAX_PASSKEYS", "EnrolmentService")

MAX_PASSKEYS = 20
_APP = "an authenticator app"


class EnrolmentService:
    """Over one unit of work; the factors are the principal's, but for `overview` and `reset`."""

    def __init__(self, work: "Work") -> None:
        self._work = work
        self._runtime = work.runtime
        self._repository = FactorRepository(work, work.runtime.vault)
        self._identity = IdentityRepository(work)
        self._challenges = challenges_of(work.runtime)

    async def overview(self, account_id: UUID) -> Factors:
        """What an account has.

        Raises:
            NotFound: there is no such account.
        """
        if await self._identity.account(account_id) is None:
            raise NotFound("There is no such account.")
        have = await self._repository.available(account_id)
        totp = await self._repository.totp(account_id)
        principal = self._work.principal
        return Factors(
            totp=None if totp is None else TotpFactor(**totp),
            passkeys=[Passkey(**row) for row in await self._repository.passkeys(account_id)],
            recovery_codes=have["recovery_codes"],
            recovery_codes_low=bool(have["totp"] or have["passkeys"]) and have["recovery_codes"] <= LOW,
            required_from=await required_from(self._work, account_id),
            restricted=principal.account_id == account_id and RESTRICTED in principal.roles,
        )

    async def begin_totp(self) -> TotpSetUp:
        """A fresh seed for an authenticator app. It counts once it is confirmed; until then one that is there stays.

        Raises:
            Unauthorized: nobody is logged in.
        """
        account = await self._locked()
        seed = new_seed()
        await self._repository.replace_pending_seed(account["id"], seed)
        await self._audit(account["id"], factor=_APP, change="asked for")
        return TotpSetUp(
            secret=seed_text(seed),
            uri=otpauth_uri(seed, issuer=await self._identity.market_name(), account=account["email"]),
            expires_in=self._challenges.ttl,
        )

    async def confirm_totp(self, code: str) -> tuple[ProvenSession, list[str]]:
        """The app that is being set up shows `code`: it is a second factor now, in place of one that was there. Gives
        the session, which has proved it, and recovery codes where it is the first factor.

        Raises:
            Unauthorized: nobody is logged in.
            InvalidInput: the code is wrong, or nothing is being set up any more.
        """
        account = await self._locked()
        have = await self._repository.available(account["id"])
        pending = await self._repository.seed(account["id"], confirmed=False, max_age=self._challenges.ttl)
        if pending is None:
            raise InvalidInput("No app is being set up: begin again (POST /api/v1/auth/factors/totp).")
        seed_id, seed, last = pending
        step = step_of(seed, code.replace(" ", ""), now=time.time(), after=last)
        if step is None:
            raise InvalidInput("The app shows another code: take the newest one, and see that its clock is right.")
        replaced = await self._repository.delete_seed(account["id"], confirmed=True)
        await self._repository.use_seed(seed_id, step)
        return await self._added(account, have, _APP, "otp", factor=_APP, change="replaced" if replaced else "added")

    async def remove_totp(self) -> None:
        """The app is no second factor any more.

        Raises:
            Unauthorized: nobody is logged in.
            NotFound: there is none.
            LastFactor: a role needs one, and there is no other.
        """
        account = await self._locked()
        if not await self._repository.delete_seed(account["id"], confirmed=True):
            raise NotFound("You have no authenticator app.")
        await self._removed(account, _APP, factor=_APP, change="removed")

    async def regenerate_recovery_codes(self) -> list[str]:
        """Fresh recovery codes; earlier ones are worth nothing any more.

        Raises:
            Unauthorized: nobody is logged in.
            InvalidInput: there is no factor that they would stand in for.
        """
        account = await self._locked()
        have = await self._repository.available(account["id"])
        if not have["totp"] and not have["passkeys"]:
            raise InvalidInput("You have no second factor: recovery codes come with the first one.")
        codes = await self._new_codes(account["id"])
        await self._audit(account["id"], factor="recovery codes", change="replaced")
        await send_mail(self._work, recovery_codes_replaced(account["email"], await self._identity.market_name()))
        return codes

    async def begin_passkey(self) -> PasskeyChallenge:
        """How the browser makes a passkey.

        Raises:
            Unauthorized: nobody is logged in.
            PasskeysUnavailable: the configuration names no host name.
        """
        passkeys = Passkeys(self._runtime.config)
        principal = self._work.principal
        account = await self._identity.account(principal.account)
        if account is None:
            raise NotFound("There is no such account.")
        token = self._challenges.issue(
            "register", self._work.tenant_id, account_id=account["id"], session_id=principal.session_id
        )
        creation = passkeys.creation(
            passkey_challenge(token),
            await self._repository.descriptors(account["id"]),
            market=await self._identity.market_name(),
            account_id=account["id"],
            email=account["email"],
            name=account["display_name"],
        )
        return PasskeyChallenge(challenge=token, public_key=creation, expires_in=self._challenges.ttl)

    async def add_passkey(self, new: NewPasskey) -> tuple[Passkey, ProvenSession, list[str]]:
        """Take a passkey that the browser has made. Gives it, the session, which has proved it, and recovery codes
        where it is the first factor.

        Raises:
            Unauthorized: nobody is logged in.
            ChallengeInvalid: it was made for another challenge.
            PasskeyRefused: it can't be taken.
            PasskeyKnown: it was added before.
            TooManyPasskeys: there are `MAX_PASSKEYS` already.
        """
        principal = self._work.principal
        claims = self._challenges.read(new.challenge, self._work.tenant_id, "register")
        if claims.account_id != principal.account or claims.session_id != principal.session_id:
            raise ChallengeInvalid
        made = Passkeys(self._runtime.config).made(new.credential, passkey_challenge(new.challenge))
        account = await self._locked()
        have = await self._repository.available(account["id"])
        if have["passkeys"] >= MAX_PASSKEYS:
            raise TooManyPasskeys(MAX_PASSKEYS)
        await self._challenges.use(self._work, claims)
        row = await self._repository.insert_passkey(
            account["id"],
            label=new.label,
            credential_id=made.credential_id,
            public_key=made.public_key,
            sign_count=made.sign_count,
            transports=made.transports,
            backed_up=made.backed_up,
        )
        if row is None:
            raise PasskeyKnown
        what = f"the passkey “{new.label}”"
        session, codes = await self._added(
            account, have, what, "hwk", factor="passkey", change="added", id=str(row["id"])
        )
        return Passkey(**row), session, codes

    async def rename_passkey(self, passkey_id: UUID, label: str) -> Passkey:
        """Call a passkey something else.

        Raises:
            Unauthorized: nobody is logged in.
            NotFound: there is no such passkey.
        """
        account_id = self._work.principal.account
        row = await self._repository.rename_passkey(account_id, passkey_id, label)
        if row is None:
            raise NotFound("You have no such passkey.")
        await self._audit(account_id, factor="passkey", change="renamed", id=str(passkey_id))
        return Passkey(**row)

    async def remove_passkey(self, passkey_id: UUID) -> None:
        """The passkey is no factor any more.

        Raises:
            Unauthorized: nobody is logged in.
            NotFound: there is no such passkey.
            LastFactor: a role needs one, and there is no other.
        """
        account = await self._locked()
        if not await self._repository.delete_passkey(account["id"], passkey_id):
            raise NotFound("You have no such passkey.")
        await self._removed(account, "a passkey", factor="passkey", change="removed", id=str(passkey_id))

    async def reset(self, account_id: UUID) -> None:
        """Remove all factors of somebody who has lost theirs, and end their sessions. They are told by mail.

        Raises:
            OwnFactors: it is the principal's own account.
            NotFound: there is no such account.
            OperatorOnly: it is an operator's, and only an operator resets those.
            NotHeld: it holds more than who acts.
        """
        if account_id == self._work.principal.account_id:
            raise OwnFactors
        policy = await start_use(self._work)
        await self._identity.lock_account(account_id, change=True)
        account = await self._identity.account(account_id)
        if account is None:
            raise NotFound("There is no such account.")
        roles = frozenset(account["roles"])
        if "operator" in roles and not self._work.principal.may(OPERATOR_GRANT):
            raise OperatorOnly
        await require_may_act_on(self._work, policy, roles - {"operator"})
        have = await self._repository.available(account_id)
        await self._repository.delete_all(account_id)
        await TrustedDevices(self._work).withdraw(account_id)
        await SessionService(self._runtime).revoke(self._work, "factors", account_id=account_id, kind="log_in")
        await insert_entry(
            self._work,
            FACTOR_RESET,
            object_type="account",
            object_id=account_id,
            before={"authenticator_app": have["totp"], "passkeys": have["passkeys"]},
            after={"authenticator_app": False, "passkeys": 0},
        )
        await send_mail(self._work, factors_reset(account["email"], await self._identity.market_name()))

    async def _added(
        self, account: Record, before: Record, what: str, method: str, **entry: str
    ) -> tuple[ProvenSession, list[str]]:
        first = not before["totp"] and not before["passkeys"]
        codes = await self._new_codes(account["id"]) if first else []
        await self._audit(account["id"], **entry)
        await send_mail(self._work, factor_added(account["email"], await self._identity.market_name(), what))
        session = await SessionService(self._runtime).prove(self._work, methods=(method, MULTI_FACTOR))
        return session, codes

    async def _removed(self, account: Record, what: str, **entry: str) -> None:
        left = await self._repository.available(account["id"])
        if not left["totp"] and not left["passkeys"]:
            if await required_from(self._work, account["id"]) is not None:
                raise LastFactor  # and what was deleted is there again
            await self._repository.delete_all(account["id"])
            await TrustedDevices(self._work).withdraw(account["id"])
        await self._audit(account["id"], **entry)
        await send_mail(self._work, factor_removed(account["email"], await self._identity.market_name(), what))

    async def _new_codes(self, account_id: UUID) -> list[str]:
        codes = new_codes()
        await self._repository.replace_recovery_codes(account_id, [digest_of(code) for code in codes])
        return codes

    async def _locked(self) -> Record:
        """The principal's account, held until the end: of two changes at once the second sees what the first did."""
        account_id = self._work.principal.account
        await self._identity.lock_account(account_id, change=True)
        account = await self._identity.account(account_id)
        if account is None:
            raise NotFound("There is no such account.")
        return account

    async def _audit(self, account_id: UUID, **after: str) -> None:
        await insert_entry(self._work, FACTOR_MANAGE, object_type="account", object_id=account_id, after=after)
