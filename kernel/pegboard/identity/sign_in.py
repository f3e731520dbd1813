"""From a proven first factor to a session, or to the challenge that stands before it.

Whatever proves who somebody is (a password, a log-in elsewhere, a passkey) ends here, so what an account must have
besides is asked in one place.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from pegboard.factors.devices import TRUSTED_DEVICE, TrustedDevices
from pegboard.factors.requirements import is_proven
from pegboard.factors.second_factor import second_factor
from pegboard.identity.devices import Device
from pegboard.identity.errors import AccountDisabled, BadCredentials, EmailNotVerified
from pegboard.identity.repository import IdentityRepository
from pegboard.identity.schemas import Challenge
from pegboard.identity.sessions import OpenSession, ProvenSession, SessionService
from pegboard.sso.realms import FEDERATED, require_realm

if TYPE_CHECKING:
    from pegboard.work import Work

__all__ = ("after_first_factor", "after_step_up")


async def after_first_factor(
    work: "Work", account_id: UUID, *, methods: Sequence[str], device: Device
) -> OpenSession | Challenge:
    """What an account gets that proved a first factor by `methods` (RFC 8176's names), in the caller's transaction.

    Raises:
        BadCredentials: the account is gone.
        AccountDisabled: an administrator has disabled it.
        EmailNotVerified: `auth.registration` is `verified`, and the address is not proven yet.
        SsoRequired: the address's domain must come by its identity provider.
    """
    account = await IdentityRepository(work).lock_account(account_id, change=False)
    if account is None:
        raise BadCredentials
    if account["status"] != "active":
        raise AccountDisabled
    if account["email_verified_at"] is None and work.runtime.config.auth.registration == "verified":
        raise EmailNotVerified
    if FEDERATED not in methods:
        await require_realm(work, account_id, account["email"], by=None)
    if not is_proven(methods):
        if await TrustedDevices(work).recognise(account_id, device):
            methods = (*methods, TRUSTED_DEVICE)
        else:
            challenge = await second_factor(
                work,
                account_id,
                purpose="sign_in",
                password_hash=account["password_hash"],
                methods=tuple(methods),
            )
            if challenge is not None:
                return challenge
    return await SessionService(work.runtime).open(work, account_id, methods=methods, device=device)


async def after_step_up(work: "Work", *, methods: Sequence[str]) -> ProvenSession | Challenge:
    """What who is logged in gets that has proved anew, by `methods`, who they are: a session whose proof is fresh, or
    the challenge to prove a second factor, where there is one.

    Raises:
        Forbidden: the session is no log-in.
    """
    if not is_proven(methods):
        principal = work.principal
        challenge = await second_factor(
            work,
            principal.account,
            purpose="step_up",
            password_hash=await IdentityRepository(work).password_hash(principal.account),
            methods=tuple(methods),
            session_id=principal.session_id,
        )
        if challenge is not None:
            return challenge
    return await SessionService(work.runtime).prove(work, methods=methods)
