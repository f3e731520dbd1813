"""Whose account it is that a provider has proven somebody to have, and whether that is enough to enter it."""

from typing import TYPE_CHECKING
from uuid import UUID

from pegboard_sdk.access import Principal
from pegboard_sdk.errors import DomainError

from pegboard.audit.writer import record_refusal
from pegboard.config.sso import ProviderSettings
from pegboard.identity.accounts import MEMBER, AccountService
from pegboard.identity.devices import Device
from pegboard.identity.errors import EmailTaken, RegistrationClosed
from pegboard.identity.repository import IdentityRepository
from pegboard.identity.schemas import Challenge
from pegboard.identity.sessions import SESSION_OPEN, OpenSession
from pegboard.identity.sign_in import after_first_factor
from pegboard.sso.claims import display_name
from pegboard.sso.errors import EmailNotProven, LinkRequired, NotProvisioned, SsoCodeInvalid
from pegboard.sso.flows import Flows, ProvenFlow
from pegboard.sso.identities import SsoIdentities, add_identity
from pegboard.sso.proof import Proof
from pegboard.sso.providers import Provider, Providers, domain_of
from pegboard.sso.realms import FEDERATED, require_realm
from pegboard.sso.recipients import require_recipient
from pegboard.work import SteppedWork

if TYPE_CHECKING:
    from pegboard.runtime import Runtime
    from pegboard.work import Work

__all__ = ("SignInService",)

_MULTI_FACTOR = "mfa"
_KNOWN_METHODS = frozenset({
    "face", "fpt", "geo", "hwk", "iris", "kba", "mca", "mfa", "otp", "pin", "pop", "pwd", "rba", "retina", "sc", "sms",
    "swk", "tel", "user", "vbm", "wia",
})  # fmt: skip
"""RFC 8176's names: no others are taken over, which may mean something here."""


class SignInService:
    """The rules. What decides is an issuer's subject; an address only counts where the provider has checked it, and
    never opens an account by itself unless the administrator says that the provider speaks for its domain.
    """

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime

    async def exchange(
        self, uow: SteppedWork, *, code: str, verifier: str | None, browser: str | None, device: Device
    ) -> OpenSession | Challenge:
        """What a code gives whoever began the log-in.

        Raises:
            SsoCodeInvalid: it is used, too old, or for somebody else.
            LinkRequired: there is an account with the address, and its owner must link it. The code stays good for
                that, for as long as it takes to log in.
            EmailNotProven, NotProvisioned, RegistrationClosed, SsoRequired: nobody's account is made.
            ProviderUnknown: the provider was taken away meanwhile.
            AccountDisabled: an administrator has disabled the account.
        """
        # Accounts are made and roles given by what the administrator decided, not by who asks.
        system = SteppedWork(
            self._runtime, uow.registry, Principal(kind="system", tenant_id=uow.tenant_id), uow.request_id
        )
        provider_name = None
        try:
            async with system.step() as work:
                flows = Flows(work, self._runtime.vault)
                flow = require_recipient(await flows.lock_proven(code), verifier=verifier, browser=browser)
                provider_name = flow.provider
                if flow.account_id is not None:
                    raise SsoCodeInvalid  # it was begun to link an identity
                outcome = await self._sign_in(work, flow, device)
                if isinstance(outcome, LinkRequired):
                    await flows.keep(flow.id)
                else:
                    await flows.finish(flow.id)
            # Raised only now: that the code stays good must be committed.
            if isinstance(outcome, LinkRequired):
                raise outcome
        except DomainError as error:
            await record_refusal(
                self._runtime,
                uow.principal,
                SESSION_OPEN,
                f"sso: {error.code}",
                uow.request_id,
                object_type="provider",
                object_id=provider_name,
            )
            raise
        return outcome

    async def _sign_in(self, work: "Work", flow: ProvenFlow, device: Device) -> OpenSession | Challenge | LinkRequired:
        provider = await Providers(self._runtime).find(work, flow.provider)
        proof = flow.proof
        identities = SsoIdentities(work)
        account_id = await identities.account_of(proof.issuer, proof.subject)
        if account_id is None:
            found = await self._enter(work, provider, proof)
            if isinstance(found, LinkRequired):
                return found
            account_id = found
        account = await IdentityRepository(work).lock_account(account_id, change=True)
        if account is not None:
            await require_realm(work, account_id, account["email"], by=provider.name)
        await identities.touch(proof)
        await self._sync_roles(work, account_id, provider.settings, proof)
        methods = _methods(provider.settings, proof)
        return await after_first_factor(work, account_id, methods=methods, device=device)

    async def _enter(self, work: "Work", provider: Provider, proof: Proof) -> UUID | LinkRequired:
        """The account of somebody who comes for the first time."""
        settings, email = provider.settings, proof.email
        if email is None or (settings.domains and domain_of(email) not in settings.domains):
            raise EmailNotProven
        existing = await IdentityRepository(work).account_by_email(email)
        if existing is not None:
            # An address that nobody has proven here may have been registered by somebody else, who waits for its owner
            # to come and would share the account. Who has more than a member's rights is worth more than a provider's
            # word: whoever may set providers up could otherwise become anybody.
            if (
                existing["email_verified_at"] is None
                or set(existing["roles"]) != {MEMBER}
                or domain_of(email) not in settings.authoritative_domains
            ):
                return LinkRequired()
            account_id: UUID = existing["id"]
        else:
            account_id = await self._provision(work, provider, proof, email)
        await add_identity(work, account_id, provider.name, proof)
        return account_id

    async def _provision(self, work: "Work", provider: Provider, proof: Proof, email: str) -> UUID:
        settings = provider.settings
        if settings.provision == "never":
            raise NotProvisioned
        if settings.provision == "open" and self._runtime.config.auth.registration == "closed":
            raise RegistrationClosed
        try:
            account = await AccountService(self._runtime).create(
                work,
                email=email,
                password_hash=None,
                display_name=display_name(proof.name, email),
                roles=settings.roles,
                email_verified=True,
            )
        except EmailTaken:  # somebody registered it this moment
            raise LinkRequired from None
        return account.id

    async def _sync_roles(self, work: "Work", account_id: UUID, settings: ProviderSettings, proof: Proof) -> None:
        """Of the roles that `role_map` speaks of the account has those that its groups give, and no others."""
        managed = {role for roles in settings.role_map.values() for role in roles}
        if not managed:
            return
        current = set(await IdentityRepository(work).roles(account_id))
        given = {role for group in proof.groups for role in settings.role_map.get(group, ())}
        wanted = (current - managed) | given
        if wanted != current:
            await AccountService(self._runtime).set_roles(work, account_id, sorted(wanted))


def _methods(settings: ProviderSettings, proof: Proof) -> list[str]:
    """How the session's owner was proven, as far as the administrator trusts what the provider says of it."""
    methods = [FEDERATED]
    if settings.trust_methods:
        methods += sorted(_KNOWN_METHODS.intersection(proof.methods))
    if proof.level in settings.trusted_acr and _MULTI_FACTOR not in methods:
        methods.append(_MULTI_FACTOR)
    return methods
