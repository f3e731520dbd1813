"""Who a machine's credential stands for, as each process knows it.

What a key proves is remembered by the authenticator as that of any token is, so a request with a known key asks nobody.
Roles and scopes are not in the key but in the database: where they change, the feed that follows revocations says so.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog

from pegboard.background import supervised
from pegboard.database.pool import TRANSACTION_ERRORS, Database
from pegboard.identity.errors import SessionEnded
from pegboard.identity.tokens import AUDIENCE, AccessToken
from pegboard.machines.errors import ApiKeyInvalid
from pegboard.machines.texts import API_KEY, MachineText, digest_of, same_digest
from pegboard.vault.errors import VaultError
from pegboard.vault.resealing import Envelopes
from pegboard.vault.vault import Vault

__all__ = ("CREDENTIALS", "Machines", "associated_data")

_FLUSH_INTERVAL = 30.0
"""Seconds that the time of a credential's last use is late by at most."""

_MAX_RATES = 50_000

# All that a credential's access is made of. It sees all tenants: which one it is, the credential says.
_STATE = """
SELECT c.id AS credential_id, s.id AS session_id, c.tenant_id, c.account_id, c.digest, c.scopes, c.rate,
       least(s.expires_at, o.expires_at) AS expires_at,
       array(
           SELECT g.role FROM kernel_role_grants g WHERE g.tenant_id = c.tenant_id AND g.account_id = c.account_id
       ) AS roles
FROM kernel_machine_credentials c
JOIN kernel_sessions o ON o.tenant_id = c.tenant_id AND o.id = c.id
JOIN kernel_sessions s ON s.tenant_id = c.tenant_id AND {session}
JOIN kernel_accounts a ON a.tenant_id = c.tenant_id AND a.id = c.account_id AND a.status = 'active'
WHERE {which} AND o.revoked_at IS NULL AND o.expires_at > now() AND s.revoked_at IS NULL AND s.expires_at > now()
"""
_BY_KEY = _STATE.format(session="s.id = c.id", which="c.kind = 'api_key' AND c.public_id = $1")
_BY_TOKEN = _STATE.format(session="s.credential_id = c.id", which="s.id = $1")

# Asked with each look at the feed, and nearly always empty: the tokens are looked up only where something has changed.
_CHANGED = "SELECT tenant_id, id FROM kernel_machine_credentials WHERE changed_xid >= $1::text::xid8"
_TOKENS = """
SELECT s.id FROM unnest($1::uuid[], $2::uuid[]) AS c (tenant_id, id)
JOIN kernel_sessions s ON s.tenant_id = c.tenant_id AND s.credential_id = c.id
WHERE s.expires_at > now()
"""

# The latest time wins, whichever process brings it first.
# A token's use is its credential's too.
_USED = """
WITH used AS (
    SELECT id, at FROM unnest($1::uuid[], $2::timestamptz[]) AS one (id, at)
), either AS (
    SELECT id, at FROM used
    UNION ALL
    SELECT t.credential_id, used.at FROM used
    JOIN kernel_sessions t ON t.id = used.id WHERE t.credential_id IS NOT NULL
), latest AS (
    SELECT id, max(at) AS at FROM either GROUP BY id
)
UPDATE kernel_sessions s SET last_used_at = latest.at FROM latest
WHERE s.id = latest.id AND s.last_used_at < latest.at
"""
log = structlog.get_logger("pegboard.machines")


class Machines:
    """One per process. `lifetime`: seconds after which what is remembered of a key is read again at the latest.
    `on_changed` is called for each session whose rights may have changed.
    """

    def __init__(self, database: Database, vault: Vault, *, lifetime: int, on_changed: Callable[[UUID], None]) -> None:
        self._database = database
        self._vault = vault
        self._lifetime = lifetime
        self._on_changed = on_changed
        self._changes = 0
        self._rates: dict[UUID, int | None] = {}
        self._used: dict[UUID, float] = {}
        self._task: asyncio.Task[None] | None = None

    @staticmethod
    def is_key(token: str) -> bool:
        """Whether a bearer token is meant as an API key."""
        return token.startswith(API_KEY)

    async def of_key(self, token: str) -> AccessToken:
        """What an API key stands for. One that is mistyped is refused without asking the database.

        Raises:
            ApiKeyInvalid: it is not a key, or one that doesn't stand.
        """
        text = MachineText.parse(token, "api_key")
        if text is None:
            raise ApiKeyInvalid
        digest = digest_of(text)
        rows = await self._read(_BY_KEY, text.public_id)
        row = next((row for row in rows if self._is(row, digest)), None)
        if row is None:
            raise ApiKeyInvalid
        return self._access(row, scopes=row["scopes"], issued_at=int(time.time()), client=False)

    async def of_token(self, token: AccessToken) -> AccessToken:
        """What a client's access token stands for now: the scopes that it was given, as far as the credential has them.

        Raises:
            SessionEnded: the token or its credential was revoked, or the service account is disabled.
        """
        rows = await self._read(_BY_TOKEN, token.sid)
        if not rows or rows[0]["tenant_id"] != token.tid or rows[0]["account_id"] != token.sub:
            raise SessionEnded
        asked = (token.scope or "").split()
        scopes = [scope for scope in asked if scope in rows[0]["scopes"]]
        return self._access(rows[0], scopes=scopes, issued_at=token.iat, client=True)

    def limited(self, session_id: UUID) -> int | None:
        """Take note that a credential is used; how many requests a minute it is good for, None where no limit of its
        own is set or it is no machine's.
        """
        if session_id not in self._rates:
            return None
        self._used[session_id] = time.time()
        return self._rates[session_id]

    async def follow(self, connection: Any, horizon: int | None) -> None:
        """Forget what has changed since `horizon`, a transaction id. `connection` sees all tenants."""
        if horizon is None:
            self.changed(list(self._rates))
            return
        rows = await connection.fetch(_CHANGED, str(horizon))
        if rows:
            changed = [row["id"] for row in rows]
            tokens = await connection.fetch(_TOKENS, [row["tenant_id"] for row in rows], changed)
            self.changed([*changed, *(token["id"] for token in tokens)])

    def changed(self, session_ids: list[UUID]) -> None:
        """What these credentials may do has changed: read it again when they are used next."""
        if session_ids:
            self._changes += 1
        for session_id in session_ids:
            self._on_changed(session_id)

    def start(self) -> None:
        """Begin to write down when credentials were used."""
        self._task = supervised("credentials-used", self._run)

    async def stop(self) -> None:
        """End that, after a last time."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
            self._task = None
            await self._flush()

    async def flush(self) -> None:
        """Write down when credentials were used last, in one statement for all of them.

        Raises:
            OSError, asyncpg.PostgresError: the database can't be reached.
        """
        used, self._used = self._used, {}
        if not used:
            return
        ids = sorted(used)  # in one order, so that two processes never wait for each other
        times = [datetime.fromtimestamp(used[session_id], UTC) for session_id in ids]
        try:
            async with self._database.system_transaction() as connection:
                await connection.execute(_USED, ids, times)
        except BaseException:
            self._used = used | self._used
            raise

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_INTERVAL)
            await self._flush()

    async def _flush(self) -> None:
        try:
            await self.flush()
        except TRANSACTION_ERRORS as error:
            log.warning("credentials.use_not_written", error=repr(error))  # the next time brings them

    async def _read(self, sql: str, which: Any) -> list[Any]:
        while True:
            before = self._changes
            async with self._database.system_reader() as connection:
                rows = await connection.fetch(sql, which)
            # Where something changed meanwhile, these rows may be older than the change that was just forgotten.
            if self._changes == before:
                return rows

    def _is(self, row: Any, digest: bytes) -> bool:
        try:
            stored = self._vault.decrypt(row["digest"], associated_data=associated_data(row["credential_id"]))
        except VaultError as error:
            log.error("credential.unreadable", credential=str(row["credential_id"]), error=str(error))
            return False
        return same_digest(stored, digest)

    def _access(self, row: Any, *, scopes: list[str], issued_at: int, client: bool) -> AccessToken:
        if len(self._rates) >= _MAX_RATES:
            del self._rates[next(iter(self._rates))]
        self._rates[row["session_id"]] = row["rate"]
        expires_at = min(row["expires_at"].timestamp(), time.time() + self._lifetime)
        return AccessToken(
            iss="",
            aud=AUDIENCE,
            sub=row["account_id"],
            tid=row["tenant_id"],
            sid=row["session_id"],
            roles=row["roles"],
            client_id=row["account_id"] if client else None,
            scope=" ".join(scopes),
            iat=issued_at,
            exp=int(expires_at),
            jti=row["session_id"],
        )


def associated_data(credential_id: UUID) -> bytes:
    """What binds a sealed digest to its row."""
    return b"machine-credential\x00" + credential_id.bytes


CREDENTIALS = Envelopes(
    kind="API keys and client secrets",
    table="kernel_machine_credentials",
    column="digest",
    reads=("id",),
    bound=associated_data,
)
