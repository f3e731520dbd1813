"""Log-ins on their way to a provider and back: every query of them.

begun → claimed: the state came back, once. claimed → proven: the provider's answer was verified; a code waits.
proven → done: the code was exchanged, once.
"""

from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from pegboard_sdk.ids import new_id
from pegboard_sdk.work import UnitOfWork

from pegboard.sso.proof import Proof
from pegboard.sso.state import digest

if TYPE_CHECKING:
    from pegboard.vault.vault import Vault

__all__ = ("BEGUN_TTL", "CODE_TTL", "LINK_TTL", "ClaimedFlow", "Flows", "ProvenFlow")

BEGUN_TTL = 600
"""Seconds in which the provider's answer must come."""

CODE_TTL = 60
"""Seconds in which a code must be exchanged: the page or app that gets it does so at once."""

LINK_TTL = 600
"""Seconds that somebody has who must log in another way first."""


class ClaimedFlow(msgspec.Struct, frozen=True, kw_only=True):
    """A flow whose state came back. `browser_digest` is of the cookie that must have come with it; None: an app's."""

    id: UUID
    provider: str
    browser_digest: bytes | None
    return_to: str
    redirect_uri: str
    begun_at: float


class ProvenFlow(msgspec.Struct, frozen=True, kw_only=True):
    """A flow whose code came. One of `browser_digest` and `code_challenge` says who may have it. With `account_id`
    somebody who is logged in (`session_id`) began it, to link an identity.
    """

    id: UUID
    provider: str
    account_id: UUID | None
    session_id: UUID | None
    browser_digest: bytes | None
    code_challenge: str | None
    proof: Proof


class Flows:
    """Over one unit of work."""

    def __init__(self, uow: UnitOfWork, vault: "Vault") -> None:
        self._uow = uow
        self._vault = vault
        self._tenant = uow.tenant_id

    async def begin(
        self,
        *,
        provider: str,
        state: str,
        browser: str | None,
        code_challenge: str | None,
        return_to: str,
        redirect_uri: str,
        account_id: UUID | None = None,
        session_id: UUID | None = None,
    ) -> None:
        """A new one. `browser` is the secret in its cookie."""
        await self._uow.execute(
            """
            INSERT INTO kernel_sso_flows (
                id, tenant_id, provider, state_digest, browser_digest, code_challenge, return_to, redirect_uri,
                account_id, session_id, expires_at
            ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, now() + make_interval(secs => $11))
            """,
            new_id(),
            self._tenant,
            provider,
            digest(state),
            None if browser is None else digest(browser),
            code_challenge,
            return_to,
            redirect_uri,
            account_id,
            session_id,
            BEGUN_TTL,
        )

    async def claim(self, state: str, *, provider: str) -> ClaimedFlow | None:
        """The flow of a state that waits for this provider's answer. It waits no more: of two answers one gets it."""
        row = await self._uow.fetchrow(
            """
            UPDATE kernel_sso_flows SET stage = 'claimed'
            WHERE tenant_id = $1 AND state_digest = $2 AND provider = $3 AND stage = 'begun' AND expires_at > now()
            RETURNING id, provider, browser_digest, return_to, redirect_uri,
                      extract(epoch FROM created_at)::float8 AS begun_at
            """,
            self._tenant,
            digest(state),
            provider,
        )
        return None if row is None else ClaimedFlow(**row)

    async def prove(self, flow_id: UUID, proof: Proof, code: str) -> None:
        """The provider's answer is verified: `code` is good for it."""
        await self._uow.execute(
            """
            UPDATE kernel_sso_flows
            SET stage = 'proven', proof = $3, code_digest = $4, expires_at = now() + make_interval(secs => $5)
            WHERE tenant_id = $1 AND id = $2 AND stage = 'claimed'
            """,
            self._tenant,
            flow_id,
            self._vault.encrypt(msgspec.json.encode(proof), associated_data=self._bound(flow_id)),
            digest(code),
            CODE_TTL,
        )

    async def lock_proven(self, code: str) -> ProvenFlow | None:
        """The flow of a code that waits to be exchanged, held until the end: of two that come at once one gets it."""
        row = await self._uow.fetchrow(
            """
            SELECT id, provider, account_id, session_id, browser_digest, code_challenge, proof FROM kernel_sso_flows
            WHERE tenant_id = $1 AND code_digest = $2 AND stage = 'proven' AND expires_at > now()
            FOR NO KEY UPDATE
            """,
            self._tenant,
            digest(code),
        )
        if row is None:
            return None
        proof = self._vault.decrypt(row["proof"], associated_data=self._bound(row["id"]))
        return ProvenFlow(**{**row, "proof": msgspec.json.decode(proof, type=Proof)})

    async def finish(self, flow_id: UUID) -> None:
        """The code was exchanged."""
        await self._uow.execute(
            "UPDATE kernel_sso_flows SET stage = 'done', proof = NULL WHERE tenant_id = $1 AND id = $2",
            self._tenant,
            flow_id,
        )

    async def keep(self, flow_id: UUID) -> None:
        """The code may be used a while longer."""
        await self._uow.execute(
            """
            UPDATE kernel_sso_flows SET expires_at = greatest(expires_at, created_at + make_interval(secs => $3))
            WHERE tenant_id = $1 AND id = $2
            """,
            self._tenant,
            flow_id,
            BEGUN_TTL + LINK_TTL,
        )

    async def delete_expired(self, *, limit: int) -> int:
        """Remove up to `limit` that are over; gives how many."""
        tag = await self._uow.execute(
            """
            DELETE FROM kernel_sso_flows WHERE tenant_id = $1 AND id IN (
                SELECT id FROM kernel_sso_flows WHERE tenant_id = $1 AND expires_at < now()
                ORDER BY expires_at LIMIT $2
            )
            """,
            self._tenant,
            limit,
        )
        return int(tag.rpartition(" ")[2])

    def _bound(self, flow_id: UUID) -> bytes:
        return b"sso.proof\x00" + self._tenant.bytes + flow_id.bytes
