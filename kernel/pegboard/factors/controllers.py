"""The routes of one's own second factors: answering challenges, setting up, removing; and of trusted devices."""

from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

from pegboard_sdk.errors import InvalidInput, NotFound, Unauthorized
from pegboard_sdk.http import Controller, Request, Response, delete, get, patch, post

from pegboard.factors.answering import AnswerService
from pegboard.factors.devices import TrustedDevices
from pegboard.factors.enrolment import EnrolmentService
from pegboard.factors.errors import (
    ChallengeInvalid,
    FactorRefused,
    LastFactor,
    LockedOut,
    PasskeyKnown,
    PasskeyRefused,
    PasskeysUnavailable,
    TooManyPasskeys,
)
from pegboard.factors.permissions import FACTOR_MANAGE, FACTOR_READ
from pegboard.factors.schemas import (
    ChallengeAnswer,
    Factors,
    NewPasskey,
    Passkey,
    PasskeyAdded,
    PasskeyChallenge,
    PasskeyLabel,
    RecoveryCodes,
    StepUpAnswer,
    TotpAdded,
    TotpCode,
    TotpSetUp,
    TrustedDeviceList,
)
from pegboard.factors.second_factor import passkey_log_in, second_factor
from pegboard.factors.signed_in import answer_signed_in
from pegboard.identity.errors import AccountDisabled, CsrfRefused, EmailNotVerified
from pegboard.identity.permissions import SESSION_PROVE
from pegboard.identity.repository import IdentityRepository
from pegboard.identity.schemas import BrowserSession, Challenge, FreshToken, TokenPair
from pegboard.identity.sessions import ProvenSession
from pegboard.identity.signed_in import NO_STORE, fresh_token, require_own_page
from pegboard.web.devices import device_of
from pegboard.work import SteppedWork, Work

__all__ = ("CONTROLLERS", "ChallengeController", "FactorController", "TrustedDeviceController")

T = TypeVar("T")


class ChallengeController(Controller):
    """Challenges: what has to be proved besides a password, or instead of it."""

    path = "/auth"

    @get("/passkeys/challenge", public=True, errors=(PasskeysUnavailable,))
    async def read_passkey_challenge(self, uow: Work) -> Response[Challenge]:
        """A challenge to log in by a passkey alone: the browser shows whose there are. Answer it like any other."""
        return Response(passkey_log_in(uow.runtime, uow.tenant_id), status_code=200, headers=NO_STORE)

    @post(
        "/challenge",
        public=True,
        external=True,
        idempotency="none",
        guessable=True,
        status=200,
        errors=(
            ChallengeInvalid,
            FactorRefused,
            LockedOut,
            AccountDisabled,
            EmailNotVerified,
            CsrfRefused,
            InvalidInput,
        ),
    )
    async def answer_challenge(
        self, data: ChallengeAnswer, request: Request[Any, Any, Any], uow: SteppedWork
    ) -> Response[TokenPair | BrowserSession | Challenge]:
        """Answer the challenge of a log-in, and be logged in. A challenge is good for one right answer."""
        if data.cookies:
            require_own_page(uow, request)
        session, device = await AnswerService(uow.runtime).sign_in(uow, data, device_of(request))
        return answer_signed_in(uow, session, device, cookies=data.cookies)

    @get("/step-up/challenge", permission=SESSION_PROVE, errors=(Unauthorized, NotFound))
    async def read_step_up_challenge(self, uow: Work) -> Response[Challenge]:
        """A challenge to prove anew who you are, by a second factor. Who has none does it by password."""
        account_id = uow.principal.account
        found = await IdentityRepository(uow).password_hash(account_id)
        challenge = await second_factor(
            uow, account_id, purpose="step_up", password_hash=found, session_id=uow.principal.session_id
        )
        if challenge is None:
            raise NotFound("You have no second factor: POST /api/v1/auth/step-up takes your password.")
        return Response(challenge, status_code=200, headers=NO_STORE)

    @post(
        "/step-up/challenge",
        permission=SESSION_PROVE,
        external=True,
        idempotency="none",
        guessable=True,
        status=200,
        errors=(Unauthorized, ChallengeInvalid, FactorRefused, LockedOut, InvalidInput),
    )
    async def answer_step_up_challenge(
        self, data: StepUpAnswer, request: Request[Any, Any, Any], uow: SteppedWork
    ) -> Response[FreshToken | Challenge]:
        """Answer the challenge of a step-up: what answers 401 `auth.step_up_required` takes this token."""
        session = await AnswerService(uow.runtime).step_up(uow, data, device_of(request))
        return fresh_token(uow, request, session)


class FactorController(Controller):
    """One's own second factors. To change them takes a fresh proof of who one is."""

    path = "/auth/factors"

    @get(permission=FACTOR_READ, errors=(Unauthorized, NotFound))
    async def read_factors(self, uow: Work) -> Factors:
        """The second factors of the account, and whether it needs one."""
        return await EnrolmentService(uow).overview(uow.principal.account)

    @post("/totp", permission=FACTOR_MANAGE, fresh=True, idempotency="none", status=200, errors=(Unauthorized,))
    async def begin_totp(self, uow: Work) -> Response[TotpSetUp]:
        """Begin to set up an authenticator app: show `uri` as a QR code, then confirm a code. One that is there stays
        until then.
        """
        return Response(await EnrolmentService(uow).begin_totp(), status_code=200, headers=NO_STORE)

    @post(
        "/totp/confirm",
        permission=FACTOR_MANAGE,
        fresh=True,
        idempotency="none",
        guessable=True,
        status=200,
        errors=(Unauthorized, InvalidInput),
    )
    async def confirm_totp(self, data: TotpCode, request: Request[Any, Any, Any], uow: Work) -> Response[TotpAdded]:
        """Confirm the app by a code that it shows: it is a second factor from now on. With the first factor come the
        recovery codes.
        """
        session, codes = await EnrolmentService(uow).confirm_totp(data.code)
        return _added(
            uow,
            request,
            session,
            lambda fresh: TotpAdded(recovery_codes=codes, expires_in=fresh.expires_in, access_token=fresh.access_token),
        )

    @delete("/totp", permission=FACTOR_MANAGE, fresh=True, errors=(Unauthorized, NotFound, LastFactor))
    async def remove_totp(self, uow: Work) -> None:
        """Remove the authenticator app. With the last factor go the recovery codes and the trusted devices."""
        await EnrolmentService(uow).remove_totp()

    @post(
        "/recovery-codes",
        permission=FACTOR_MANAGE,
        fresh=True,
        idempotency="none",
        status=200,
        errors=(Unauthorized, InvalidInput),
    )
    async def replace_recovery_codes(self, uow: Work) -> Response[RecoveryCodes]:
        """Get new recovery codes. Those from before are worth nothing any more."""
        codes = await EnrolmentService(uow).regenerate_recovery_codes()
        return Response(RecoveryCodes(codes), status_code=200, headers=NO_STORE)

    @get("/passkeys/challenge", permission=FACTOR_MANAGE, fresh=True, errors=(Unauthorized, PasskeysUnavailable))
    async def read_new_passkey_challenge(self, uow: Work) -> Response[PasskeyChallenge]:
        """What the browser needs to make a passkey."""
        return Response(await EnrolmentService(uow).begin_passkey(), status_code=200, headers=NO_STORE)

    @post(
        "/passkeys",
        permission=FACTOR_MANAGE,
        fresh=True,
        idempotency="none",
        status=201,
        errors=(Unauthorized, ChallengeInvalid, PasskeyRefused, PasskeyKnown, TooManyPasskeys, PasskeysUnavailable),
    )
    async def add_passkey(self, data: NewPasskey, request: Request[Any, Any, Any], uow: Work) -> Response[PasskeyAdded]:
        """Add a passkey that the browser has made: it is a second factor, and can log in without a password."""
        passkey, session, codes = await EnrolmentService(uow).add_passkey(data)
        answer = _added(
            uow,
            request,
            session,
            lambda fresh: PasskeyAdded(
                passkey=passkey,
                recovery_codes=codes,
                expires_in=fresh.expires_in,
                access_token=fresh.access_token,
            ),
        )
        answer.status_code = 201
        return answer

    @patch("/passkeys/{passkey_id:uuid}", permission=FACTOR_MANAGE, errors=(Unauthorized, NotFound))
    async def rename_passkey(self, passkey_id: UUID, data: PasskeyLabel, uow: Work) -> Passkey:
        """Call a passkey something else."""
        return await EnrolmentService(uow).rename_passkey(passkey_id, data.label)

    @delete(
        "/passkeys/{passkey_id:uuid}",
        permission=FACTOR_MANAGE,
        fresh=True,
        errors=(Unauthorized, NotFound, LastFactor),
    )
    async def remove_passkey(self, passkey_id: UUID, uow: Work) -> None:
        """Remove a passkey. With the last factor go the recovery codes and the trusted devices."""
        await EnrolmentService(uow).remove_passkey(passkey_id)


class TrustedDeviceController(Controller):
    """The devices that one is not asked for a second factor on."""

    path = "/auth/trusted-devices"

    @get(permission=FACTOR_READ, errors=(Unauthorized,))
    async def list_trusted_devices(self, uow: Work) -> TrustedDeviceList:
        """The devices that the account trusts."""
        return TrustedDeviceList(await TrustedDevices(uow).list(uow.principal.account))

    @delete("/{device_id:uuid}", permission=FACTOR_MANAGE, errors=(Unauthorized, NotFound))
    async def forget_trusted_device(self, device_id: UUID, uow: Work) -> None:
        """Trust a device no more. Sessions that are open there stay."""
        await TrustedDevices(uow).forget(device_id)

    @delete(permission=FACTOR_MANAGE, errors=(Unauthorized,))
    async def forget_trusted_devices(self, uow: Work) -> None:
        """Trust no device any more."""
        await TrustedDevices(uow).forget_all()


def _added(
    uow: Work, request: Request[Any, Any, Any], session: ProvenSession, build: Callable[[FreshToken], T]
) -> Response[T]:
    """The answer to what has added a factor, with the token of the session that has proved it."""
    answer: Response[Any] = fresh_token(uow, request, session)
    answer.content = build(answer.content)
    return answer


CONTROLLERS = (ChallengeController, FactorController, TrustedDeviceController)
