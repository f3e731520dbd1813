"""Registering oneself."""

from typing import TYPE_CHECKING

from pegboard.identity.accounts import AccountService
from pegboard.identity.by_mail import Registration, answer_by_mail, mail_verification
from pegboard.identity.errors import RegistrationClosed
from pegboard.identity.schemas import Account, Registered
from pegboard.sso.realms import refuse_registration

if TYPE_CHECKING:
    from pegboard.runtime import Runtime
    from pegboard.work import SteppedWork

__all__ = ("RegistrationService",)


class RegistrationService:
    """Accounts for whoever asks, as `auth.registration` allows."""

    def __init__(self, runtime: "Runtime") -> None:
        self._config = runtime.config.auth
        self._accounts = AccountService(runtime)

    async def register(
        self, uow: "SteppedWork", *, email: str, password: str, display_name: str
    ) -> Account | Registered:
        """A new account, as a member.

        Where `auth.registration` is `verified`, there is none before the address is proven, and the answer and the work
        are the same whether or not it has an account: only a message to it tells.

        Raises:
            RegistrationClosed: the administrator makes the accounts here.
            InvalidInput: not an e-mail address, or a password that may not be chosen.
            SsoRequired: the address's domain must come by its identity provider.
            EmailTaken: there is an account with this address, where addresses need not be proven. That tells whoever
                asks; the rate limit keeps it from telling much.
        """
        if self._config.registration == "closed":
            raise RegistrationClosed
        email, password_hash = await self._accounts.prepare(email=email, password=password)
        if self._config.registration == "verified":
            asked = Registration(email=email, password_hash=password_hash, display_name=display_name.strip())
            async with uow.step() as work:
                await refuse_registration(work, email)
                await answer_by_mail(work, asked)
            return Registered(email=email, expires_in=self._config.verify_ttl)
        async with uow.step() as work:
            await refuse_registration(work, email)
            account = await self._accounts.create(
                work, email=email, password_hash=password_hash, display_name=display_name, email_verified=False
            )
            await mail_verification(work, account.id, email)
        return account
