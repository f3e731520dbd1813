"""Tokens that are mailed to an address and are good for one use: who has one reads mail there."""

import base64
import hashlib
import secrets
from typing import Literal
from uuid import UUID

from pegboard_sdk.ids import new_id
from pegboard_sdk.work import Record, UnitOfWork

from pegboard.identity.errors import OneTimeTokenInvalid

__all__ = ("MAX_AN_HOUR", "OneTimeTokens", "Purpose")

Purpose = Literal["verify_email", "reset_password", "change_email"]

MAX_AN_HOUR = 5
"""Mails of one purpose to one account: nobody's inbox is flooded by whoever knows the address."""

_PREFIX = "pgo_"
"""So that secret scanners know one when they see it."""

_FIND = """
SELECT t.id, t.account_id, t.email, t.password_hash, t.display_name
FROM kernel_one_time_tokens t
JOIN kernel_accounts a ON a.tenant_id = t.tenant_id AND a.id = t.account_id
WHERE t.tenant_id = $1 AND t.digest = $2 AND t.purpose = $3 AND t.used_at IS NULL AND t.expires_at > now()
  AND a.status = 'active' AND (t.purpose = 'change_email' OR lower(a.email) = lower(t.email))
"""


class OneTimeTokens:
    """Over one unit of work."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow
        self._tenant = uow.tenant_id

    async def issue(
        self,
        account_id: UUID,
        purpose: Purpose,
        *,
        email: str,
        ttl: int,
        password_hash: str | None = None,
        display_name: str | None = None,
    ) -> str | None:
        """A token for `purpose`, to be mailed to `email`, good for `ttl` seconds; only its digest is stored. None where
        the account got `MAX_AN_HOUR` of them within the last hour. A registration's password and name wait beside it.
        """
        # One at a time, or those that count at once would all find room.
        await self._uow.execute(
            "SELECT FROM kernel_accounts WHERE tenant_id = $1 AND id = $2 FOR NO KEY UPDATE", self._tenant, account_id
        )
        token = _PREFIX + base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()
        issued = await self._uow.fetchval(
            """
            INSERT INTO kernel_one_time_tokens
                (id, tenant_id, account_id, purpose, email, digest, password_hash, display_name, expires_at)
            SELECT $1, $2, $3, $4, $5, $6, $7, $8, now() + make_interval(secs => $9)
            WHERE $10 > (
                SELECT count(*) FROM kernel_one_time_tokens
                WHERE tenant_id = $2 AND account_id = $3 AND purpose = $4 AND created_at > now() - interval '1 hour'
            )
            RETURNING id
            """,
            new_id(),
            self._tenant,
            account_id,
            purpose,
            email,
            _digest(token),
            password_hash,
            display_name,
            ttl,
            MAX_AN_HOUR,
        )
        return None if issued is None else token

    async def find(self, token: str, purpose: Purpose) -> Record:
        """What a token was made for, without using it: `id`, `account_id`, `email`, `password_hash`, `display_name`.

        Raises:
            OneTimeTokenInvalid: it is unknown, used or too old, or the account has another address by now.
        """
        row = await self._uow.fetchrow(_FIND, self._tenant, _digest(token), purpose)
        if row is None:
            raise OneTimeTokenInvalid
        return row

    async def redeem(self, token: str, purpose: Purpose) -> Record:
        """Use a token, and make the account's others of the purpose worthless; gives what `find` gives.

        Lock the account first, for change: then of two who come with the same token at once one gets here.

        Raises:
            OneTimeTokenInvalid: as `find`.
        """
        row = await self.find(token, purpose)
        await self.withdraw(row["account_id"], purpose)
        return row

    async def withdraw(self, account_id: UUID, purpose: Purpose) -> None:
        """Make the account's tokens of a purpose worthless."""
        await self._uow.execute(
            """
            UPDATE kernel_one_time_tokens SET used_at = now(), password_hash = NULL, display_name = NULL
            WHERE tenant_id = $1 AND account_id = $2 AND purpose = $3 AND used_at IS NULL
            """,
            self._tenant,
            account_id,
            purpose,
        )

    async def delete_expired(self, *, days: int, limit: int) -> int:
        """Remove up to `limit` tokens that expired more than `days` ago; gives how many."""
        tag = await self._uow.execute(
            """
            DELETE FROM kernel_one_time_tokens WHERE tenant_id = $1 AND id IN (
                SELECT id FROM kernel_one_time_tokens
                WHERE tenant_id = $1 AND expires_at < now() - make_interval(days => $2) ORDER BY expires_at LIMIT $3
            )
            """,
            self._tenant,
            days,
            limit,
        )
        return int(tag.rpartition(" ")[2])


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
