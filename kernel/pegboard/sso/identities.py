"""The log-ins elsewhere that an account is linked to."""

from typing import TYPE_CHECKING
from uuid import UUID

from pegboard_sdk.access import Principal
from pegboard_sdk.errors import NotFound
from pegboard_sdk.ids import new_id
from pegboard_sdk.work import Record, UnitOfWork

from pegboard.audit.writer import insert_entry
from pegboard.factors.repository import FactorRepository
from pegboard.identity.errors import EmailNotVerified
from pegboard.identity.repository import IdentityRepository
from pegboard.mail.outbox import send_mail
from pegboard.sso.errors import IdentityTaken, LastWayIn, SsoCodeInvalid
from pegboard.sso.flows import Flows
from pegboard.sso.letters import identity_linked, identity_unlinked
from pegboard.sso.permissions import IDENTITY_LINK, IDENTITY_UNLINK
from pegboard.sso.proof import Proof
from pegboard.sso.providers import Providers, domain_of
from pegboard.sso.realms import required_provider
from pegboard.sso.recipients import require_recipient
from pegboard.sso.schemas import Identities, Identity

if TYPE_CHECKING:
    from pegboard.runtime import Runtime
    from pegboard.work import Work

__all__ = ("IdentityService", "SsoIdentities", "add_identity")


class SsoIdentities:
    """Every query of them, over one unit of work."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow
        self._tenant = uow.tenant_id

    async def account_of(self, issuer: str, subject: str) -> UUID | None:
        """The account that is linked to an issuer's subject."""
        return await self._uow.fetchval(
            "SELECT account_id FROM kernel_sso_identities WHERE tenant_id = $1 AND issuer = $2 AND subject = $3",
            self._tenant,
            issuer,
            subject,
        )

    async def insert(self, account_id: UUID, provider: str, proof: Proof) -> UUID | None:
        """Link an account; gives the link's id, or None where the identity is linked already."""
        return await self._uow.fetchval(
            """
            INSERT INTO kernel_sso_identities (id, tenant_id, account_id, issuer, subject, provider, email)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            ON CONFLICT (tenant_id, issuer, subject) DO NOTHING
            RETURNING id
            """,
            new_id(),
            self._tenant,
            account_id,
            proof.issuer,
            proof.subject,
            provider,
            proof.email,
        )

    async def touch(self, proof: Proof) -> None:
        """The identity was used, and its address is this one now."""
        await self._uow.execute(
            """
            UPDATE kernel_sso_identities SET last_used_at = now(), email = $4
            WHERE tenant_id = $1 AND issuer = $2 AND subject = $3
            """,
            self._tenant,
            proof.issuer,
            proof.subject,
            proof.email,
        )

    async def of_account(self, account_id: UUID) -> list[Record]:
        """An account's, oldest first."""
        return await self._uow.fetch(
            """
            SELECT id, provider, issuer, email, created_at, last_used_at FROM kernel_sso_identities
            WHERE tenant_id = $1 AND account_id = $2 ORDER BY id
            """,
            self._tenant,
            account_id,
        )

    async def delete(self, identity_id: UUID) -> None:
        """Remove a link."""
        await self._uow.execute(
            "DELETE FROM kernel_sso_identities WHERE tenant_id = $1 AND id = $2", self._tenant, identity_id
        )


class IdentityService:
    """The rules of links, for the account that is logged in."""

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime

    async def list(self, work: "Work") -> Identities:
        """The account's links.

        Raises:
            Unauthorized: nobody is logged in.
        """
        rows = await SsoIdentities(work).of_account(work.principal.account)
        return Identities(
            items=[
                Identity(
                    id=row["id"],
                    provider=row["provider"],
                    issuer=row["issuer"],
                    email=row["email"],
                    created_at=row["created_at"],
                    last_used_at=row["last_used_at"],
                )
                for row in rows
            ]
        )

    async def link(self, work: "Work", *, code: str, verifier: str | None, browser: str | None) -> Identities:
        """Link whom a code proves to the account that is logged in; gives all its links. The owner is told by mail.

        The code is of a link that this session began; or of a log-in that was refused because this account has its
        address: then it is the address that must be the same.

        Raises:
            SsoCodeInvalid: it is used, too old, not for who sends it, or of another account's log-in.
            EmailNotVerified: the account's own address is not proven: somebody else may have registered it, who would
                keep a way in when its owner takes the account over.
            IdentityTaken: another account has the identity.
            Unauthorized: nobody is logged in.
        """
        principal = work.principal
        account_id = principal.account
        flows = Flows(work, self._runtime.vault)
        flow = require_recipient(await flows.lock_proven(code), verifier=verifier, browser=browser)
        account = await IdentityRepository(work).lock_account(account_id, change=True)
        if account is None:
            raise SsoCodeInvalid
        if flow.account_id is None:
            if flow.proof.email is None or flow.proof.email.lower() != account["email"].lower():
                raise SsoCodeInvalid
        elif (flow.account_id, flow.session_id) != (account_id, principal.session_id):
            raise SsoCodeInvalid
        await flows.finish(flow.id)
        await add_identity(work, account_id, flow.provider, flow.proof)
        return await self.list(work)

    async def unlink(self, work: "Work", identity_id: UUID) -> None:
        """Remove a link of the account. The owner is told by mail.

        Raises:
            NotFound: the account has no such link.
            LastWayIn: nobody could log in to the account without it.
            Unauthorized: nobody is logged in.
        """
        account_id = work.principal.account
        repository, identities = IdentityRepository(work), SsoIdentities(work)
        account = await repository.lock_account(account_id, change=True)
        rows = await identities.of_account(account_id)
        row = next((row for row in rows if row["id"] == identity_id), None)
        if account is None or row is None:
            raise NotFound("Your account has no such link.")
        if not await self._another_way_in(work, account, [other for other in rows if other is not row]):
            raise LastWayIn
        await identities.delete(identity_id)
        await insert_entry(
            work,
            IDENTITY_UNLINK,
            object_type="account",
            object_id=account_id,
            before={"provider": row["provider"], "issuer": row["issuer"]},
        )
        await send_mail(work, identity_unlinked(account["email"], await repository.market_name(), row["provider"]))

    async def _another_way_in(self, work: "Work", account: Record, others: "list[Record]") -> bool:
        required = await required_provider(work, domain_of(account["email"]))
        if required is not None:
            return any(other["provider"] == required for other in others)
        factors = await FactorRepository(work, self._runtime.vault).available(work.principal.account)
        if account["password_hash"] is not None or factors["passkeys"]:
            return True
        enabled = await Providers(self._runtime).settings(work)
        return any(other["provider"] in enabled for other in others)


async def add_identity(work: "Work", account_id: UUID, provider: str, proof: Proof) -> None:
    """Link an account, which is locked for change, to whom a provider has proven; its owner is told by mail.

    Raises:
        EmailNotVerified: the account's address is not proven.
        IdentityTaken: another account has the identity.
    """
    repository = IdentityRepository(work)
    account = await repository.lock_account(account_id, change=True)
    if account is None or account["email_verified_at"] is None:
        raise EmailNotVerified
    identities = SsoIdentities(work)
    if await identities.insert(account_id, provider, proof) is None:
        if await identities.account_of(proof.issuer, proof.subject) != account_id:
            raise IdentityTaken
        return
    actor = work.principal
    if actor.kind != "account":  # who logs in becomes somebody on the way
        actor = Principal(kind="account", tenant_id=work.tenant_id, account_id=account_id)
    await insert_entry(
        work,
        IDENTITY_LINK,
        object_type="account",
        object_id=account_id,
        after={"provider": provider, "issuer": proof.issuer},
        actor=actor,
    )
    await send_mail(work, identity_linked(account["email"], await repository.market_name(), provider))
