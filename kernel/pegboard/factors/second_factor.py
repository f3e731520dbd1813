"""What an account has to prove besides its first factor."""

from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from pegboard_sdk.work import Record

from pegboard.factors.challenges import Challenges, Purpose, passkey_challenge
from pegboard.factors.errors import PasskeysUnavailable
from pegboard.factors.passkeys import Passkeys
from pegboard.factors.repository import FactorRepository
from pegboard.factors.schemas import CredentialRequest
from pegboard.identity.schemas import Challenge

if TYPE_CHECKING:
    from pegboard.runtime import Runtime
    from pegboard.work import Work

__all__ = ("challenges_of", "passkey_log_in", "second_factor")


def challenges_of(runtime: "Runtime") -> Challenges:
    """The installation's challenges."""
    return Challenges(runtime.vault, ttl=runtime.config.auth.challenge_ttl)


async def second_factor(
    work: "Work",
    account_id: UUID,
    *,
    purpose: Purpose,
    password_hash: str | None,
    methods: tuple[str, ...] = (),
    session_id: UUID | None = None,
) -> Challenge | None:
    """The challenge to prove a second factor, for an account whose first was proved by `methods`; None where it has no
    second one. It is worth nothing once the account has another password than that of `password_hash`.
    """
    repository = FactorRepository(work, work.runtime.vault)
    have = await repository.available(account_id)
    if not have["totp"] and not have["passkeys"]:
        return None
    challenges = challenges_of(work.runtime)
    token = challenges.issue(
        purpose,
        work.tenant_id,
        account_id=account_id,
        session_id=session_id,
        methods=methods,
        state=challenges.state(account_id, password_hash),
    )
    request = _request(work.runtime, token, await repository.descriptors(account_id)) if have["passkeys"] else None
    names = {"totp": have["totp"], "passkey": request is not None, "recovery_code": have["recovery_codes"]}
    return Challenge(
        challenge=token,
        methods=[name for name, has in names.items() if has],
        expires_in=challenges.ttl,
        passkey=msgspec.UNSET if request is None else request,
    )


def passkey_log_in(runtime: "Runtime", tenant_id: UUID) -> Challenge:
    """The challenge to log in by a passkey alone, whosever it is.

    Raises:
        PasskeysUnavailable: the configuration names no host name.
    """
    challenges = challenges_of(runtime)
    token = challenges.issue("passkey", tenant_id)
    request = Passkeys(runtime.config).request(passkey_challenge(token), verify_user=True)
    return Challenge(challenge=token, methods=["passkey"], expires_in=challenges.ttl, passkey=request)


def _request(runtime: "Runtime", token: str, known: list[Record]) -> CredentialRequest | None:
    try:
        return Passkeys(runtime.config).request(passkey_challenge(token), known)
    except PasskeysUnavailable:
        return None  # the configuration has changed since: the other factors are still good
