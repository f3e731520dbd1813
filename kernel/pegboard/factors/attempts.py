"""One lock-out for passwords and all second factors: who guesses waits, and waits longer each time.

An attempt counts before it is judged, so that a thousand at once are no better than one after another; one that is
right is taken back. It counts twice: for the address with the network that it comes from, and, with more room, for the
address alone, against who guesses from many networks. That must not lock the owner out: it doesn't bind a device that
they trust, which has a count of its own, a network that they were logged in from lately, and passkeys, which nobody
guesses. All is in PostgreSQL: every process knows, and a Redis that was emptied forgets nothing.
"""

from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from pegboard.config.model import AuthConfig
from pegboard.factors.errors import LockedOut
from pegboard.identity.devices import Device
from pegboard.web.addresses import Addresses

if TYPE_CHECKING:
    from pegboard.work import Work

__all__ = ("Attempt", "Attempts", "seconds_to_wait")

_WIDER = 5
"""How many times as many attempts an address has free as one network with it."""

_WINDOW = 86_400
"""Seconds without an attempt after which all is forgotten."""

_LOCK = """
INSERT INTO kernel_attempts AS a (tenant_id, subject, failures, locked_until, last_at)
SELECT $1, subject, 0, to_timestamp(0), clock_timestamp() FROM unnest($2::bytea[]) AS t (subject) ORDER BY subject
ON CONFLICT (tenant_id, subject) DO UPDATE SET
    failures = CASE WHEN a.last_at < clock_timestamp() - make_interval(secs => $3) THEN 0 ELSE a.failures END
RETURNING subject, failures,
    greatest(0, ceil(extract(epoch FROM locked_until - clock_timestamp())))::int AS wait
"""

_COUNT = """
UPDATE kernel_attempts a
SET failures = t.failures, last_at = clock_timestamp(),
    locked_until = clock_timestamp() + make_interval(secs => t.seconds)
FROM unnest($2::bytea[], $3::int[], $4::int[]) AS t (subject, failures, seconds)
WHERE a.tenant_id = $1 AND a.subject = t.subject
"""

_HOLD = "SELECT FROM kernel_attempts WHERE tenant_id = $1 AND subject = ANY($2) ORDER BY subject FOR UPDATE"

_TAKE_BACK = """
UPDATE kernel_attempts SET failures = greatest(0, failures - 1), locked_until = clock_timestamp()
WHERE tenant_id = $1 AND subject = ANY($2)
"""

_FORGET = "DELETE FROM kernel_attempts WHERE tenant_id = $1 AND subject = $2"


def seconds_to_wait(beyond: int, config: AuthConfig) -> int:
    """How long the next attempt has to wait, `beyond` the free ones."""
    if beyond < 0:
        return 0
    return min(config.lockout_max, config.lockout_base * 2 ** min(beyond, 20))


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One that is under way. `own` is what it counts for alone, `wide` with what others try. `locks`: unless it is
    right, the next from there has to wait, for the first time.
    """

    own: bytes
    wide: bytes | None
    locks: bool = False


class Attempts:
    """Over one unit of work."""

    def __init__(self, work: "Work") -> None:
        self._work = work
        self._config = work.runtime.config.auth
        self._addresses = Addresses((), ipv6_prefix=work.runtime.config.http.rate_ipv6_prefix)

    async def begin(
        self, email: str, device: Device, *, trusted_device: UUID | None = None, guessable: bool = True
    ) -> Attempt:
        """Count an attempt to prove that one is who `email` belongs to, from `device`. Commit before judging it.
        `guessable`: by something that might be guessed.

        It costs the same whether or not there is an account.

        Raises:
            LockedOut: too many have failed.
        """
        address, network = email.strip().lower().encode(), self._addresses.group(device.ip)
        if trusted_device is not None:
            attempt = Attempt(own=self._subject(b"device", address, trusted_device.bytes), wide=None)
        else:
            wide = self._subject(b"all", address) if guessable else None
            attempt = Attempt(own=self._subject(b"network", address, network.encode()), wide=wide)
        free = {attempt.own: self._config.lockout_attempts}
        if attempt.wide is not None:
            free[attempt.wide] = self._config.lockout_attempts * _WIDER
        rows = await self._work.fetch(_LOCK, self._work.tenant_id, list(free), _WINDOW)
        wait = {row["subject"]: row["wait"] for row in rows}
        if wait[attempt.own]:
            raise LockedOut(wait[attempt.own])
        if attempt.wide is not None and wait[attempt.wide]:
            if network not in await self._networks(email):
                raise LockedOut(wait[attempt.wide])
            attempt = Attempt(own=attempt.own, wide=None)
            rows = [row for row in rows if row["subject"] == attempt.own]
        failures = {row["subject"]: row["failures"] + 1 for row in rows}
        await self._work.execute(
            _COUNT,
            self._work.tenant_id,
            list(failures),
            list(failures.values()),
            [seconds_to_wait(count - free[subject], self._config) for subject, count in failures.items()],
        )
        locks = failures[attempt.own] == self._config.lockout_attempts
        return Attempt(own=attempt.own, wide=attempt.wide, locks=locks)

    async def succeeded(self, attempt: Attempt, *, entirely: bool) -> None:
        """The attempt was right, so it doesn't count. `entirely`: nothing is left to prove, so earlier failures from
        there are forgotten; else who knows a password could go on guessing codes for ever.
        """
        tenant_id = self._work.tenant_id
        subjects = [attempt.own] if attempt.wide is None else [attempt.own, attempt.wide]
        await self._work.execute(_HOLD, tenant_id, subjects)
        if entirely:
            subjects.remove(attempt.own)
            await self._work.execute(_FORGET, tenant_id, attempt.own)
        if subjects:
            await self._work.execute(_TAKE_BACK, tenant_id, subjects)

    async def forgive(self, email: str) -> None:
        """Whoever reads the mail of an address is its owner: what others have tried doesn't bind them."""
        subject = self._subject(b"all", email.strip().lower().encode())
        await self._work.execute(_FORGET, self._work.tenant_id, subject)

    async def _networks(self, email: str) -> set[str]:
        """Where the owner of an address was logged in from lately."""
        rows = await self._work.fetch(
            """
            SELECT DISTINCT s.ip FROM kernel_sessions s
            JOIN kernel_accounts a ON a.tenant_id = s.tenant_id AND a.id = s.account_id
            WHERE s.tenant_id = $1 AND lower(a.email) = lower($2) AND s.kind = 'log_in' AND s.ip <> ''
            """,
            self._work.tenant_id,
            email.strip(),
        )
        return {self._addresses.group(row["ip"]) for row in rows}

    def _subject(self, kind: bytes, *parts: bytes) -> bytes:
        return self._work.runtime.vault.derive("factors.attempts", b"\x00".join((kind, *parts)))
