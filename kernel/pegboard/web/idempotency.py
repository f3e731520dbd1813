"""Idempotency keys: the same request twice has one effect and one answer.

A key belongs to (tenant, principal, method, route). In an ordinary route the answer is stored in the effect's own
transaction; the key is held by an advisory lock until it commits. A route that calls out has several transactions,
so it first commits a reservation with a lease. Stored answers are sealed with the vault's key: they may hold
anything.
"""

import hashlib
from datetime import timedelta
from typing import Any, Literal

import msgspec
from litestar.response import Response
from pegboard_sdk.errors import Conflict, DomainError, InvalidInput
from pegboard_sdk.ids import new_id

__all__ = ("RETENTION", "IdempotencyKey", "IdempotencyKeyInvalid", "IdempotencyKeyMissing")

RETENTION = timedelta(hours=24)
MAX_KEY = 255


class IdempotencyKeyMissing(DomainError):
    """The route moves money and came without a key."""

    code = "idempotency_key_missing"


class IdempotencyKeyInvalid(DomainError):
    """The key is empty, too long or not printable ASCII."""

    code = "idempotency_key_invalid"


class IdempotencyKeyReused(InvalidInput):
    """The key came before, with another body."""

    code = "idempotency_key_reused"


class IdempotencyKeyInFlight(Conflict):
    """The first request with this key is not answered yet."""

    code = "idempotency_key_in_flight"


class StoredAnswer(msgspec.Struct, frozen=True):
    """What was answered, without what belongs to one answer only (request id, date)."""

    status: int
    media_type: str
    headers: dict[str, str]
    body: bytes


_decoder = msgspec.msgpack.Decoder(StoredAnswer)


class IdempotencyKey:
    """One request's key, and the row that it stands for.

    `scope` is (principal id or `anonymous`, method, route template with its arguments filled in); the tenant is the
    transaction's.
    """

    def __init__(self, key: bytes, *, principal: str, method: str, path: str, body: bytes, vault: Any) -> None:
        text = key.decode("latin-1").strip()
        if not text or len(text) > MAX_KEY or not text.isascii() or not text.isprintable():
            raise IdempotencyKeyInvalid(
                f"Idempotency-Key takes 1 to {MAX_KEY} printable ASCII characters; a UUID is a good choice."
            )
        self.digest = hashlib.sha256("\x00".join((principal, method, path, text)).encode()).digest()
        self.body_digest = hashlib.sha256(body).digest()
        self._vault = vault
        self._lease = new_id()

    async def begin(self, work: Any) -> Response[bytes] | None:
        """Take the key for this transaction; the stored answer if there is one.

        Raises:
            IdempotencyKeyInFlight: another transaction holds it.
            IdempotencyKeyReused: it was used with another body.
        """
        row = await work.fetchrow("SELECT * FROM kernel_idempotency_begin($1)", self.digest)
        return self._replay(work, row)

    async def store(self, work: Any, response: Response[Any]) -> None:
        """Store the answer, in the effect's transaction."""
        await work.execute(
            "INSERT INTO kernel_idempotency_keys (tenant_id, digest, body_digest, answer, expires_at)"
            " VALUES ($1, $2, $3, $4, now() + $5)",
            work.tenant_id,
            self.digest,
            self.body_digest,
            self._seal(work, response),
            RETENTION,
        )

    async def reserve(self, work: Any, lease: float) -> Response[bytes] | None:
        """For a route that calls out: reserve the key for `lease` seconds; the stored answer if there is one. Commit it
        before calling out.

        Raises:
            IdempotencyKeyInFlight: another request's lease is not over.
            IdempotencyKeyReused: it was used with another body.
        """
        replay = await self.begin(work)
        if replay is None:
            await work.execute(
                "INSERT INTO kernel_idempotency_keys (tenant_id, digest, body_digest, lease, leased_until, expires_at)"
                " VALUES ($1, $2, $3, $4, now() + $5, now() + $6)"
                " ON CONFLICT (tenant_id, digest) DO UPDATE"
                " SET lease = excluded.lease, leased_until = excluded.leased_until",
                work.tenant_id,
                self.digest,
                self.body_digest,
                self._lease,
                timedelta(seconds=lease),
                RETENTION,
            )
        return replay

    async def settle(self, work: Any, response: Response[Any] | None) -> None:
        """Store the answer of a reserved key, or with None give the key back for another try.

        Where the lease ran out and another request has the key by now, it is left to that one.
        """
        await work.execute(
            "UPDATE kernel_idempotency_keys SET answer = $4, lease = NULL, leased_until = NULL"
            " WHERE tenant_id = $1 AND digest = $2 AND lease = $3",
            work.tenant_id,
            self.digest,
            self._lease,
            None if response is None else self._seal(work, response),
        )

    def _replay(self, work: Any, row: Any) -> Response[bytes] | None:
        state: Literal["new", "busy", "leased", "free", "done"] = row["state"]
        if state in ("busy", "leased"):
            raise IdempotencyKeyInFlight(
                "The first request with this Idempotency-Key is still running. Wait a moment, then repeat it.",
                headers={"Retry-After": "1"},
            )
        if state != "new" and row["body_digest"] != self.body_digest:
            raise IdempotencyKeyReused(
                "This Idempotency-Key was used with another body. Use a new key for a new request."
            )
        if state != "done":
            return None
        stored = _decoder.decode(self._vault.decrypt(row["answer"], associated_data=self._associated(work)))
        return Response(
            stored.body,
            status_code=stored.status,
            media_type=stored.media_type,
            headers={**stored.headers, "Idempotent-Replayed": "true"},
        )

    def _seal(self, work: Any, response: Response[Any]) -> bytes:
        answer = StoredAnswer(
            status=response.status_code or 200,
            media_type=str(response.media_type or "application/json"),
            headers={k: v for k, v in dict(response.headers).items() if v is not None},
            body=response.content or b"",
        )
        return self._vault.encrypt(msgspec.msgpack.encode(answer), associated_data=self._associated(work))

    def _associated(self, work: Any) -> bytes:
        return b"idempotency\x00" + work.tenant_id.bytes + self.digest
