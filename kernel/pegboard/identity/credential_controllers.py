"""The routes of passwords and e-mail addresses."""

from typing import Any

from pegboard_sdk.errors import InvalidInput, Unauthorized, Unavailable
from pegboard_sdk.http import Controller, Request, post

from pegboard.factors.errors import LockedOut
from pegboard.identity.emails import EmailService
from pegboard.identity.errors import BadCredentials, EmailTaken, OneTimeTokenInvalid
from pegboard.identity.password_changes import PasswordService
from pegboard.identity.permissions import SELF_UPDATE
from pegboard.identity.schemas import EmailAddress, MessageSent, OneTimeToken, PasswordChange, PasswordReset
from pegboard.web.devices import device_of
from pegboard.work import SteppedWork, Work

__all__ = ("CredentialController",)


class CredentialController(Controller):
    """Passwords and addresses. What is asked for by address is answered by mail, and by nothing else."""

    path = "/auth"

    @post(
        "/password/change",
        permission=SELF_UPDATE,
        external=True,
        idempotency="none",
        guessable=True,
        status=204,
        errors=(Unauthorized, BadCredentials, InvalidInput, LockedOut, Unavailable),
    )
    async def change_password(self, data: PasswordChange, request: Request[Any, Any, Any], uow: SteppedWork) -> None:
        """Choose another password. All other sessions of the account end, and no device is trusted any more."""
        await PasswordService(uow.runtime).change(
            uow, current_password=data.current_password, password=data.password, device=device_of(request)
        )

    @post("/password/forgotten", public=True, idempotency="none", guessable=True, status=202, errors=(InvalidInput,))
    async def forget_password(self, data: EmailAddress, uow: Work) -> MessageSent:
        """Have a token sent to the address, with which its owner can choose another password. The answer is the same
        whether or not there is an account.
        """
        await PasswordService(uow.runtime).forgotten(uow, data.email)
        return MessageSent(expires_in=uow.runtime.config.auth.reset_ttl)

    @post(
        "/password/reset",
        public=True,
        external=True,
        idempotency="none",
        guessable=True,
        status=204,
        errors=(OneTimeTokenInvalid, InvalidInput, Unavailable),
    )
    async def reset_password(self, data: PasswordReset, uow: SteppedWork) -> None:
        """Choose another password, with the token that was mailed. All sessions of the account end."""
        await PasswordService(uow.runtime).reset(uow, token=data.token, password=data.password)

    @post("/email/verification", public=True, idempotency="none", guessable=True, status=202, errors=(InvalidInput,))
    async def request_email_verification(self, data: EmailAddress, uow: Work) -> MessageSent:
        """Have a token sent to the address, to prove that it is yours. The answer is the same whether or not there is
        an account.
        """
        await EmailService().ask_to_verify(uow, data.email)
        return MessageSent(expires_in=uow.runtime.config.auth.verify_ttl)

    @post("/email/verify", public=True, idempotency="none", guessable=True, status=204, errors=(OneTimeTokenInvalid,))
    async def verify_email(self, data: OneTimeToken, uow: Work) -> None:
        """Prove that the address is yours, with the token that was mailed to it."""
        await EmailService().verify(uow, data.token)

    @post(
        "/email/change",
        permission=SELF_UPDATE,
        fresh=True,
        idempotency="none",
        guessable=True,
        status=202,
        errors=(Unauthorized, InvalidInput),
    )
    async def change_email(self, data: EmailAddress, uow: Work) -> MessageSent:
        """Ask for another address: a token is sent to it, and the current one is told. The answer is the same whether
        or not the other one has an account.
        """
        await EmailService().ask_to_change(uow, data.email)
        return MessageSent(expires_in=uow.runtime.config.auth.verify_ttl)

    @post(
        "/email/confirm",
        public=True,
        idempotency="none",
        guessable=True,
        status=204,
        errors=(OneTimeTokenInvalid, EmailTaken),
    )
    async def confirm_email(self, data: OneTimeToken, uow: Work) -> None:
        """Take the new address, with the token that was mailed to it."""
        await EmailService().change(uow, data.token)
