"""From the tokens that messages brought to jobs that run: claim in batches, run so many at once, beat for them, and
give back what is left at the end.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from uuid import UUID

import asyncpg
import structlog

from pegboard.database.pool import DATABASE_ERRORS
from pegboard.jobs.broker import Token
from pegboard.jobs.executor import Executor
from pegboard.jobs.lease import Claimed, beat, claim, release
from pegboard.jobs.relay import untake

__all__ = ("Dispatcher",)

log = structlog.get_logger("pegboard.jobs")


class _Offer:
    """A message's tokens, and who waits for them to be taken up."""

    __slots__ = ("done", "left")

    def __init__(self, count: int) -> None:
        self.left = count
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def settle(self) -> None:
        self.left -= 1
        if self.left == 0 and not self.done.done():
            self.done.set_result(None)


class Dispatcher:
    """One per worker process, in its event loop.

    `concurrency` jobs run at once and about as many more are claimed ahead, so that one UPDATE claims many. From the
    claim on the row holds the job, not the message: a message is acknowledged once its jobs are claimed.
    """

    def __init__(
        self, executor: Executor, pool: asyncpg.Pool, *, worker: str, concurrency: int, heartbeat_interval: float
    ) -> None:
        self._executor = executor
        self._pool = pool
        self._worker = worker
        self._concurrency = concurrency
        self._heartbeat_interval = heartbeat_interval
        self._offered: deque[tuple[Token, _Offer]] = deque()
        self._ready: deque[Claimed] = deque()
        self._running: dict[UUID, tuple[Claimed, asyncio.Task[None]]] = {}
        self._lost: set[UUID] = set()
        self._wake = asyncio.Event()
        self._stopping = False
        self.tasks: list[asyncio.Task[None]] = []
        """What runs as long as the dispatcher does. One that ends before has failed."""

    def start(self) -> None:
        """Begin to claim and to beat."""
        self.tasks = [
            asyncio.create_task(self._claim_forever(), name="jobs-claims"),
            asyncio.create_task(self._beat_forever(), name="jobs-heartbeat"),
        ]

    async def offer(self, tokens: Sequence[Token]) -> None:
        """Take up a message's jobs. Returns when each is claimed, or is found not to be for us, or the worker stops."""
        if self._stopping:
            await untake(self._pool, list(tokens))
            return
        offer = _Offer(len(tokens))
        self._offered.extend((token, offer) for token in tokens)
        self._wake.set()
        await offer.done

    async def stop(self, grace: float) -> None:
        """Claim no more, let what runs finish for at most `grace` seconds, stop the rest, queue again what is left."""
        self._stopping = True
        self._wake.set()
        claims, heartbeat = self.tasks
        # A claim under way is seen through: its rows would otherwise be held by nobody until they are rescued.
        await asyncio.wait([claims], timeout=5)
        claims.cancel()
        refused = [token for token, _ in self._offered]
        unstarted = [job.token for job in self._ready]
        self._ready.clear()
        while self._offered:
            self._offered.popleft()[1].settle()
        await self._give_back(refused, unstarted)
        if self._running:
            await asyncio.wait([task for _, task in self._running.values()], timeout=grace)
        stopped = list(self._running.values())
        for _, task in stopped:
            task.cancel()
        if stopped:
            await asyncio.wait([task for _, task in stopped], timeout=5)
            await self._give_back([], [job.token for job, _ in stopped])
            log.warning("jobs.given_back", count=len(stopped), reason="the worker stopped before they finished")
        heartbeat.cancel()
        await asyncio.wait([claims, heartbeat])

    async def _give_back(self, unclaimed: list[Token], claimed: list[Token]) -> None:
        try:
            if unclaimed:
                await untake(self._pool, unclaimed)
            if claimed:
                await release(self._pool, claimed)
        except DATABASE_ERRORS as error:
            # The sweep finds them: the unclaimed as lost messages, the claimed by their old heartbeat.
            log.warning("jobs.not_given_back", count=len(unclaimed) + len(claimed), error=repr(error))

    async def _claim_forever(self) -> None:
        """Claim whenever half of what is claimed ahead is used up."""
        failures = 0
        while not self._stopping:
            await self._wake.wait()
            self._wake.clear()
            while self._offered and len(self._ready) <= self._concurrency // 2 and not self._stopping:
                room = 2 * self._concurrency - len(self._running) - len(self._ready)
                batch = [self._offered.popleft() for _ in range(min(room, len(self._offered)))]
                try:
                    claimed = await claim(self._pool, [token for token, _ in batch], self._worker)
                except DATABASE_ERRORS as error:
                    self._offered.extendleft(reversed(batch))
                    failures += 1
                    log.warning("jobs.claim_failed", error=repr(error), failures=failures)
                    await asyncio.sleep(min(5.0, 0.1 * 2 ** min(failures, 6)))
                    continue
                except asyncio.CancelledError:
                    self._offered.extendleft(reversed(batch))
                    raise
                failures = 0
                self._ready.extend(claimed)
                for _, offer in batch:
                    offer.settle()
                self._fill()

    def _fill(self) -> None:
        while self._ready and len(self._running) < self._concurrency and not self._stopping:
            job = self._ready.popleft()
            self._running[job.id] = (job, asyncio.create_task(self._run(job), name=f"job-{job.id}"))

    async def _run(self, job: Claimed) -> None:
        try:
            await self._executor.run(job)
        except asyncio.CancelledError:
            if job.id not in self._lost:
                raise
            log.warning("job.lost", job=job.name, job_id=str(job.id), reason="its lease was taken over")
        except Exception:
            # The outcome could not be written: the sweep takes the job over when its heartbeat is old.
            log.exception("job.unrecorded", job=job.name, job_id=str(job.id))
        finally:
            self._lost.discard(job.id)
            del self._running[job.id]
            self._fill()
            if len(self._ready) <= self._concurrency // 2:
                self._wake.set()

    async def _beat_forever(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_interval)
            held = [job.token for job, _ in self._running.values()] + [job.token for job in self._ready]
            if not held:
                continue
            try:
                lost = await beat(self._pool, held)
            except DATABASE_ERRORS as error:
                log.warning("jobs.heartbeat_failed", error=repr(error))
                continue
            for job_id in lost & self._running.keys():
                self._lost.add(job_id)
                self._running[job_id][1].cancel()
