"""Failed guesses at passwords, codes and tokens: who makes many of them waits, and a flood of them is noticed.

What belongs to one account has its own lock-out (`pegboard.factors.attempts`). This looks at what no account shows: one
network that tries many accounts, and many networks that each try a few (credential stuffing).
"""

import time
from typing import TYPE_CHECKING, Any

import msgspec
import redis.exceptions
import structlog
from litestar import Request
from litestar.types import Scope
from pegboard_sdk.errors import DomainError, TooManyRequests

from pegboard.config.model import HttpConfig

if TYPE_CHECKING:
    from pegboard.telemetry.metrics import Metrics
    from pegboard.vault.vault import Vault

__all__ = ("Guesses", "name_of", "was_wrong")

MEMORY = 3_600
"""Seconds for which a network's failures are remembered after its last one."""
WINDOW = 300
"""Seconds in which names and networks are counted together."""
ALARM = 600
"""Seconds for which the alarm stays on after the last window that raised it."""
FIRST_WAIT = 5
TIGHTER = 10
"""By how much fewer failures are free while the alarm is on, where `http.stuffing_tightens` says so."""
MAX_LOCAL = 50_000
_UNAVAILABLE = (redis.exceptions.RedisError, OSError, TimeoutError)
log = structlog.get_logger("pegboard.guesses")


class _Named(msgspec.Struct):
    email: str = ""


def was_wrong(problem: DomainError | None) -> bool:
    """Whether a guessable route refused what was to prove something: not its form, and not that it came too often."""
    if problem is None or problem.code == "auth.step_up_required":
        return False
    return problem.status == 401 or (problem.status < 500 and problem.code.endswith(("_invalid", "_wrong")))


async def name_of(scope: Scope) -> str:
    """Whom a request tried to be: the e-mail address in its body, which was read already; empty where it has none."""
    try:
        return msgspec.json.decode(await Request[Any, Any, Any](scope).body(), type=_Named).email.strip().lower()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, DomainError):
        return ""


class Guesses:
    """One per process; counted in Redis together with the others. With Redis down each counts alone."""

    def __init__(self, redis: Any, http: HttpConfig, vault: "Vault", metrics: "Metrics") -> None:
        self._redis = redis
        self._http = http
        self._vault = vault
        self._metrics = metrics
        self._local: dict[str, tuple[int, float]] = {}
        self._told = 0

    async def admit(self, network: str) -> None:
        """Let a network guess, unless it has to wait.

        Raises:
            TooManyRequests: it has been wrong too often.
        """
        try:
            wait = int(await self._redis.ttl(f"pegboard:guesses:wait:{network}"))
        except _UNAVAILABLE:
            wait = int(self._local.get(network, (0, 0.0))[1] - time.time())
        if wait > 0:
            self._metrics.guesses.labels("held").inc()
            raise TooManyRequests(
                "Too many attempts from your network were wrong: wait for the seconds that Retry-After says.",
                retry_after=wait,
            )

    async def failed(self, network: str, name: str) -> None:
        """A guess from a network was wrong; `name` is whom it was about, as far as that is known."""
        self._metrics.guesses.labels("wrong").inc()
        try:
            failures, alarm = await self._count(network, name)
        except _UNAVAILABLE:
            self._fail_here(network)
            return
        wait = self._wait(failures, alarm=alarm)
        if wait:
            try:
                await self._redis.set(f"pegboard:guesses:wait:{network}", 1, ex=wait)
            except _UNAVAILABLE:
                self._local[network] = (failures, time.time() + wait)

    async def _count(self, network: str, name: str) -> tuple[int, bool]:
        """The network's failures, and whether the alarm is on."""
        window = int(time.time()) // WINDOW
        names, networks = f"pegboard:guesses:names:{window}", f"pegboard:guesses:networks:{window}"
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.incr(f"pegboard:guesses:wrong:{network}")
        pipeline.expire(f"pegboard:guesses:wrong:{network}", MEMORY)
        if name:
            # Keyed, so that Redis holds nothing that tells who logs in.
            pipeline.pfadd(names, self._vault.derive("web.guessed_name", name.encode()))
            pipeline.pfadd(networks, network)
            pipeline.expire(names, 2 * WINDOW)
            pipeline.expire(networks, 2 * WINDOW)
        pipeline.pfcount(names)
        pipeline.pfcount(networks)
        pipeline.exists("pegboard:guesses:alarm")
        failures, *_, seen_names, seen_networks, alarm = await pipeline.execute()
        if seen_names >= self._http.stuffing_names and seen_networks >= self._http.stuffing_networks:
            await self._redis.set("pegboard:guesses:alarm", 1, ex=ALARM)
            alarm = True
            if self._told != window:
                self._told = window
                self._metrics.guesses.labels("alarm").inc()
                log.warning(
                    "credential_stuffing.suspected",
                    names=seen_names,
                    networks=seen_networks,
                    seconds=WINDOW,
                    tightened=self._http.stuffing_tightens,
                )
        return int(failures), bool(alarm)

    def _fail_here(self, network: str) -> None:
        failures = self._local.pop(network, (0, 0.0))[0] + 1
        while len(self._local) >= MAX_LOCAL:
            del self._local[next(iter(self._local))]
        self._local[network] = (failures, time.time() + self._wait(failures, alarm=False))

    def _wait(self, failures: int, *, alarm: bool) -> int:
        """Seconds to wait after a network's nth failure: doubled by each that is not free."""
        free = self._http.guess_failures
        if alarm and self._http.stuffing_tightens:
            free = max(1, free // TIGHTER)
        beyond = failures - free
        return 0 if beyond <= 0 else min(self._http.guess_wait_max, FIRST_WAIT * 2 ** min(beyond - 1, 20))
