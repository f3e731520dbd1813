"""What is answered by mail: the request itself only leaves a sealed job.

So it does the same work and takes the same time whether or not there is an account. The job finds that out, and only
the address's owner learns it.
"""

from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from pegboard_sdk.jobs import Job

from pegboard.identity.accounts import AccountService
from pegboard.identity.letters import (
    address_asked_for,
    confirm_address,
    known_address,
    reset_password,
    verify_address,
)
from pegboard.identity.markets import market_of
from pegboard.identity.one_time_tokens import OneTimeTokens
from pegboard.identity.repository import IdentityRepository
from pegboard.jobs.sealed import Sealed, seal, unseal
from pegboard.mail.outbox import send_mail

if TYPE_CHECKING:
    from pegboard.work import Work

__all__ = (
    "ANSWER_BY_MAIL",
    "EmailChange",
    "PasswordForgotten",
    "Registration",
    "Verification",
    "answer_by_mail",
    "mail_verification",
)


class Registration(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Somebody registers `email`: the account is theirs once they prove that they read mail there."""

    email: str
    password_hash: str
    display_name: str


class Verification(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Somebody wants to prove that `email` is theirs."""

    email: str


class PasswordForgotten(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Somebody has forgotten the password of the account with `email`."""

    email: str


class EmailChange(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An account wants to have `email` as its address."""

    account_id: UUID
    email: str


class _Question(msgspec.Struct, frozen=True):
    asked: Registration | Verification | PasswordForgotten | EmailChange


async def answer_by_mail(work: "Work", asked: Registration | Verification | PasswordForgotten | EmailChange) -> None:
    """Have `asked` answered by mail once the caller's transaction is committed."""
    await work.enqueue(ANSWER_BY_MAIL, seal(work.runtime, work.tenant_id, _Question(asked)))


async def _answer(work: "Work", payload: Sealed) -> None:
    asked = unseal(work.runtime, work.tenant_id, payload, _Question).asked
    if isinstance(asked, Registration):
        await _register(work, asked)
    elif isinstance(asked, Verification):
        await _verify(work, asked)
    elif isinstance(asked, PasswordForgotten):
        await _reset_password(work, asked)
    else:
        await _change_email(work, asked)


async def _register(work: "Work", asked: Registration) -> None:
    repository = IdentityRepository(work)
    account = await repository.account_by_email(asked.email)
    if account is None:
        account = await AccountService(work.runtime).create(
            work, email=asked.email, password_hash=None, display_name=asked.display_name, email_verified=False
        )
        account_id, fresh = account.id, True
    else:
        # Whoever registered it before had no proof either: the password of whoever proves it first is the account's.
        account_id = account["id"]
        fresh = account["email_verified_at"] is None and not await repository.has_password(account_id)
    token = await OneTimeTokens(work).issue(
        account_id,
        "verify_email",
        email=asked.email,
        ttl=work.runtime.config.auth.verify_ttl,
        password_hash=asked.password_hash if fresh else None,
        display_name=asked.display_name if fresh else None,
    )
    if token is None:
        return
    market = await market_of(work)
    letter = verify_address(asked.email, market, token) if fresh else known_address(asked.email, market)
    await send_mail(work, letter)


async def _verify(work: "Work", asked: Verification) -> None:
    repository = IdentityRepository(work)
    account = await repository.account_by_email(asked.email)
    if account is None or account["status"] != "active" or account["email_verified_at"] is not None:
        return
    if await repository.has_password(account["id"]):
        await mail_verification(work, account["id"], account["email"])
    else:  # several may have registered it: whose password would count? Its owner chooses one
        await _reset_password(work, PasswordForgotten(email=asked.email))


async def mail_verification(work: "Work", account_id: UUID, email: str) -> None:
    """Mail an account the token that proves its address, unless it got too many of them."""
    config = work.runtime.config
    token = await OneTimeTokens(work).issue(account_id, "verify_email", email=email, ttl=config.auth.verify_ttl)
    if token is not None:
        market = await market_of(work)
        await send_mail(work, verify_address(email, market, token))


async def _reset_password(work: "Work", asked: PasswordForgotten) -> None:
    repository, config = IdentityRepository(work), work.runtime.config
    account = await repository.account_by_email(asked.email)
    if account is None or account["status"] != "active":
        return
    token = await OneTimeTokens(work).issue(
        account["id"], "reset_password", email=account["email"], ttl=config.auth.reset_ttl
    )
    if token is not None:
        market = await market_of(work)
        await send_mail(work, reset_password(account["email"], market, token))


async def _change_email(work: "Work", asked: EmailChange) -> None:
    repository, config = IdentityRepository(work), work.runtime.config
    account = await repository.account(asked.account_id)
    if account is None or account["status"] != "active":
        return
    taken_by = await repository.account_by_email(asked.email)
    token = await OneTimeTokens(work).issue(
        asked.account_id, "change_email", email=asked.email, ttl=config.auth.verify_ttl
    )
    if token is None:
        return
    market = await market_of(work)
    if taken_by is None or taken_by["id"] == asked.account_id:
        await send_mail(work, confirm_address(asked.email, market, token))
    else:
        await send_mail(work, known_address(asked.email, market))
    await send_mail(work, address_asked_for(account["email"], market))


ANSWER_BY_MAIL = Job(name="kernel.answer_by_mail", payload=Sealed, run=_answer)  # type: ignore[arg-type]  # the kernel's own jobs get the kernel's unit of work
