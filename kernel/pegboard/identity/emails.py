"""Proving an e-mail address, and changing it."""

from typing import TYPE_CHECKING

from pegboard_sdk.access import Principal

from pegboard.audit.writer import insert_entry
from pegboard.identity.by_mail import EmailChange, Verification, answer_by_mail
from pegboard.identity.credentials import normal_email
from pegboard.identity.errors import EmailTaken
from pegboard.identity.letters import address_changed
from pegboard.identity.markets import market_of
from pegboard.identity.one_time_tokens import OneTimeTokens
from pegboard.identity.permissions import SELF_UPDATE
from pegboard.identity.repository import IdentityRepository
from pegboard.mail.outbox import send_mail

if TYPE_CHECKING:
    from pegboard.work import Work

__all__ = ("EmailService",)

EMAIL_VERIFY = "account:email.verify"


class EmailService:
    """The rules of accounts' addresses."""

    async def ask_to_verify(self, work: "Work", email: str) -> None:
        """Have a token sent to an address whose account isn't proven yet. Nothing tells whether there is one.

        Raises:
            InvalidInput: not an e-mail address.
        """
        await answer_by_mail(work, Verification(email=normal_email(email)))

    async def verify(self, work: "Work", token: str) -> None:
        """Whoever has the token reads mail at the account's address. What they registered with counts from now on.

        Raises:
            OneTimeTokenInvalid: it is unknown, used or too old.
        """
        tokens, repository = OneTimeTokens(work), IdentityRepository(work)
        account_id = (await tokens.find(token, "verify_email"))["account_id"]
        await repository.lock_account(account_id, change=True)
        proof = await tokens.redeem(token, "verify_email")
        await repository.verify_email(
            account_id, password_hash=proof["password_hash"], display_name=proof["display_name"]
        )
        actor = Principal(kind="account", tenant_id=work.tenant_id, account_id=account_id)
        await insert_entry(work, EMAIL_VERIFY, object_type="account", object_id=account_id, actor=actor)

    async def ask_to_change(self, work: "Work", email: str) -> None:
        """Have a token sent to another address that the principal wants, and tell the one that they have. Nothing tells
        whether the other one has an account.

        Raises:
            Unauthorized: nobody is logged in.
            InvalidInput: not an e-mail address.
        """
        account_id = work.principal.account
        await answer_by_mail(work, EmailChange(account_id=account_id, email=normal_email(email)))
        await insert_entry(work, SELF_UPDATE, object_type="account", object_id=account_id, after={"asked": ["email"]})

    async def change(self, work: "Work", token: str) -> None:
        """Whoever has the token reads mail at the new address: it is the account's now, and the old one is told.

        Raises:
            OneTimeTokenInvalid: it is unknown, used or too old.
            EmailTaken: another account has got the address meanwhile.
        """
        tokens, repository = OneTimeTokens(work), IdentityRepository(work)
        account_id = (await tokens.find(token, "change_email"))["account_id"]
        account = await repository.lock_account(account_id, change=True)
        proof = await tokens.redeem(token, "change_email")
        if account is None or not await repository.set_email(account_id, proof["email"]):
            raise EmailTaken
        # What was mailed to the old address is worth nothing any more.
        await tokens.withdraw(account_id, "verify_email")
        await tokens.withdraw(account_id, "reset_password")
        actor = Principal(kind="account", tenant_id=work.tenant_id, account_id=account_id)
        await insert_entry(
            work, SELF_UPDATE, object_type="account", object_id=account_id, after={"changed": ["email"]}, actor=actor
        )
        await send_mail(work, address_changed(account["email"], await market_of(work)))
