"""Replacing the key that signs access tokens, while everybody stays logged in.

The next key is published first, for longer than anybody caches the set of keys; then it signs, everywhere at the same
moment; the one before it verifies until the last token that it signed has expired.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from pegboard_sdk.access import Principal
from pegboard_sdk.errors import Conflict

from pegboard.audit.writer import write_entry
from pegboard.identity.keys import lock_signing_keys
from pegboard.machines.permissions import SIGNING_KEY_ROTATE

if TYPE_CHECKING:
    from pegboard.runtime import Runtime

__all__ = ("LEAD", "KeyRotation", "NextKeyPublished", "SigningKeyList", "SigningKeyService", "SigningKeyView")

LEAD = 600
"""Seconds that a key is published before it signs: twice as long as the set of keys may be cached."""

_MARGIN = 60
"""Seconds on top of an access token's life: clocks differ, and a process hears of the new key up to a second late."""

_FORGET_AFTER = "30 days"

_LIST = """
SELECT kid, created_at, signs_from, retired_at, verifies_until,
       CASE WHEN verifies_until <= now() THEN 'ended' WHEN retired_at <= now() THEN 'verifying'
            WHEN signs_from > now() THEN 'next' ELSE 'signing' END AS state
FROM kernel_signing_keys ORDER BY signs_from DESC, id DESC
"""
_PENDING = """
SELECT min(signs_from) FROM kernel_signing_keys WHERE signs_from > now() AND retired_at IS NULL
"""
_RETIRE = """
UPDATE kernel_signing_keys
SET retired_at = now() + make_interval(secs => $1), verifies_until = now() + make_interval(secs => $2),
    changed_xid = pg_current_xact_id()
WHERE retired_at IS NULL
"""
# Its keys may have retired already, and still verify.
_COMPROMISE = """
UPDATE kernel_signing_keys
SET retired_at = least(retired_at, now()), verifies_until = now(), changed_xid = pg_current_xact_id()
WHERE verifies_until IS NULL OR verifies_until > now()
"""
_DUE = """
SELECT max(signs_from) < now() - make_interval(days => $1) FROM kernel_signing_keys WHERE retired_at IS NULL
"""


class NextKeyPublished(Conflict):
    """The next key is published already, and does not sign yet."""

    code = "auth.next_key_published"

    def __init__(self, signs_from: datetime) -> None:
        super().__init__(
            f"The next key is published already and signs from {signs_from:%Y-%m-%d %H:%M:%S} UTC: wait until then,"
            " or say that a key is compromised."
        )


class KeyRotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another key is to sign, `after` seconds from now: until then it is only published. `compromised`: at once, and
    what the keys before it have signed is refused; people stay logged in, as their refresh tokens are not signed.
    """

    after: Annotated[int, msgspec.Meta(ge=300, le=604_800)] = LEAD
    compromised: bool = False


class SigningKeyView(msgspec.Struct, frozen=True, kw_only=True):
    """A key that signs access tokens, will (`next`) or did (`verifying`, then `ended`)."""

    kid: str
    state: Literal["next", "signing", "verifying", "ended"]
    created_at: datetime
    signs_from: datetime
    retired_at: datetime | None
    verifies_until: datetime | None


class SigningKeyList(msgspec.Struct, frozen=True):
    """All keys, the newest first. Those that ended are kept for a month."""

    items: list[SigningKeyView]


class SigningKeyService:
    """The rules of rotation. The keys are the platform's, so it works on a connection of the *system* role."""

    def __init__(self, runtime: "Runtime") -> None:
        self._database = runtime.database
        self._keys = runtime.authenticator.keys
        self._access_ttl = runtime.config.auth.access_ttl

    async def list(self) -> SigningKeyList:
        """All keys."""
        async with self._database.system_reader() as connection:
            return await _list(connection)

    async def rotate(
        self, *, actor: Principal, request_id: str, after: float = LEAD, compromised: bool = False
    ) -> SigningKeyList:
        """Make the key that signs from `after` seconds from now on. Of several who rotate at once one does.

        Raises:
            NextKeyPublished: that was done, and it doesn't sign yet.
            SessionEnded: the actor's session has.
        """
        await self._keys.load()  # makes the first one: a platform that was never started has none
        async with self._database.system_transaction() as connection:
            if actor.session_id is not None:
                await connection.execute("SELECT kernel_require_session($1)", actor.session_id)
            await lock_signing_keys(connection)
            await self._rotate(connection, actor, request_id, after, compromised=compromised)
            made = await _list(connection)
        await self._keys.load()
        return made

    async def rotate_if_due(self, days: int, *, actor: Principal, request_id: str) -> bool:
        """Rotate where the newest key signs for `days` already; whether it did. Twice is once."""
        async with self._database.system_transaction() as connection:
            await lock_signing_keys(connection)
            due = await connection.fetchval(_DUE, days)
            if due:
                await self._rotate(connection, actor, request_id, LEAD, compromised=False)
        return bool(due)

    async def _rotate(
        self, connection: Any, actor: Principal, request_id: str, after: float, *, compromised: bool
    ) -> None:
        if compromised:
            after = 0.0
            await connection.execute(_COMPROMISE)
        else:
            pending = await connection.fetchval(_PENDING)
            if pending is not None:
                raise NextKeyPublished(pending)
            await connection.execute(_RETIRE, after, after + self._access_ttl + _MARGIN)
        kid = await self._keys.make(connection, after=after)
        await connection.execute(
            f"DELETE FROM kernel_signing_keys WHERE verifies_until < now() - interval '{_FORGET_AFTER}'"  # noqa: S608
        )
        await write_entry(
            connection,
            actor,
            SIGNING_KEY_ROTATE,
            object_type="signing_key",
            object_id=kid,
            after={"signs_in": after, "compromised": compromised},
            request_id=request_id,
        )


async def _list(connection: Any) -> SigningKeyList:
    rows = await connection.fetch(_LIST)
    return SigningKeyList([SigningKeyView(**dict(row)) for row in rows])
