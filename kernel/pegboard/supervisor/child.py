"""One of the platform's processes: started, watched, started again when it ends, and stopped."""

import asyncio
import contextlib
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from pegboard.embedded.process import GuardedProcess, launched
from pegboard.supervisor.errors import StartError
from pegboard.supervisor.lessons import Lessons
from pegboard.supervisor.readiness import READY_FD, START_FD, ReadyPipe, StartGate

__all__ = ("Child",)

FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
CALM = 60.0
"""Seconds after which a process counts as started well, and the next delay is the first again."""
START_TIMEOUT = 90.0
log = structlog.get_logger("pegboard.supervisor")


class Child:
    """A `pegboard` command that is kept running. Its output is ours.

    `grace` is how long it may take to stop, in seconds. `probe` waits until it works; without one, the child's own line
    on its pipe counts. `on_start` is called at each start, `on_failure` when it can't be kept running; `stop` then
    raises why. `lessons` say how often a start that fails is tried again.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        env: Mapping[str, str],
        *,
        gate: StartGate,
        grace: float,
        lessons: Lessons,
        probe: Callable[[], Awaitable[None]] | None = None,
        on_start: Callable[[], None],
        on_failure: Callable[[], None],
    ) -> None:
        self.name = name
        self._command = [sys.executable, "-P", "-m", "pegboard", *arguments]
        self._env = dict(env)
        self._gate = gate
        self._grace = grace
        self._lessons = lessons
        self._probe = probe
        self._on_start = on_start
        self._on_failure = on_failure
        self._process: GuardedProcess | None = None
        self._ready = asyncio.Event()
        self._stopping = asyncio.Event()
        self._interrupted = False
        self._counted = asyncio.Event()
        """Set with each start that failed, once `lessons` know of it."""
        self._clock: asyncio.Timeout | None = None
        self._failed_starts = 0
        self._status = 0
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process id, while it runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    @property
    def interrupted(self) -> bool:
        """Whether `stop` or `kill` ended it amid its start."""
        return self._interrupted

    def start(self) -> None:
        """Start it, and keep it running from then on. It loads its code, and does no more before the gate opens."""
        self._keeper = asyncio.create_task(self._keep(), name=f"keep {self.name}")
        self._keeper.add_done_callback(lambda task: task.cancelled() or not task.exception() or self._on_failure())

    async def ready(self) -> None:
        """Wait until it works; to be called when the gate is open.

        Raises:
            StartError: it ended several times before, or was not ready in time.
        """
        assert self._keeper is not None
        ready = asyncio.create_task(self._ready.wait())
        try:
            while not self._ready.is_set() and not self._keeper.done():
                clock = self._clock = asyncio.timeout(START_TIMEOUT)
                with contextlib.suppress(TimeoutError):
                    async with clock:
                        await asyncio.wait({ready, self._keeper}, return_when=asyncio.FIRST_COMPLETED)
                self._clock = None
                if clock.expired():
                    await self._give_up_start()
        finally:
            self._clock = None
            ready.cancel()
        if not self._ready.is_set():
            await self._keeper
            times = f"{self._failed_starts} times at its start (status {self._status})"
            raise StartError(f"{self.name} ended {times}: see its log above.")

    async def _give_up_start(self) -> None:
        """End a start that takes too long. Where a plugin holds it up, that is known then, and it is tried again."""
        assert self._process is not None
        assert self._keeper is not None
        self._counted.clear()
        self._process.kill()
        counted = asyncio.create_task(self._counted.wait())
        await asyncio.wait({counted, self._keeper}, return_when=asyncio.FIRST_COMPLETED)
        counted.cancel()
        if not self._lessons.learned:
            raise StartError(f"{self.name} was not ready in {START_TIMEOUT:.0f} s: see its log above.")

    async def stop(self) -> None:
        """Ask it to stop, and wait until it has: it finishes what it does, within its grace.

        One that never was ready is ended at once: nothing is under way, and while it loads it may miss a signal.
        """
        self._stopping.set()
        if self._process is not None:
            self._note_interruption()
            self._process.request_stop()
            if not self._ready.is_set():
                self._process.kill()
        if self._keeper is not None:
            await self._keeper

    def kill(self) -> None:
        """End it now."""
        self._stopping.set()
        if self._process is not None:
            self._note_interruption()
            self._process.kill()

    def _note_interruption(self) -> None:
        self._interrupted = self._interrupted or (self.pid is not None and not self._ready.is_set())

    async def _keep(self) -> None:
        delay = FIRST_DELAY
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                was_ready = await self._run()
            except OSError as error:  # no memory for a process, say: as if it had ended
                log.error("process.not_started", process=self.name, reason=str(error))
                was_ready = False
            if self._stopping.is_set():
                return
            if not self._ready.is_set():
                self._failed_starts += 1
                again = self._lessons.another()
                self._counted.set()
                if not again:
                    return
                if self._lessons.learned:
                    delay = FIRST_DELAY
                    if self._clock is not None:
                        self._clock.reschedule(asyncio.get_running_loop().time() + START_TIMEOUT)
            if was_ready and time.monotonic() - began > CALM:
                delay = FIRST_DELAY
            amid = {"amid": self._lessons.amid} if self._lessons.amid else {}
            log.error("process.ended", process=self.name, status=self._status, restart_in=delay, **amid)
            try:
                async with asyncio.timeout(delay):
                    await self._stopping.wait()
            except TimeoutError:
                delay = min(delay * 2, LONGEST_DELAY)

    async def _run(self) -> bool:
        """Run it once, to its end; gives whether it was ready in between."""
        pipe = ReadyPipe()
        watch: asyncio.Task[None] | None = None
        try:
            self._process = process = await launched(lambda: self._launch(pipe), undo=GuardedProcess.stop_and_wait)
            if self._stopping.is_set():
                process.kill()
            self._on_start()
            watch = asyncio.create_task(self._watch(pipe))
            self._status = await process.wait()
            return watch.done() and not watch.cancelled() and watch.exception() is None
        finally:
            if watch is not None:
                watch.cancel()
                await asyncio.gather(watch, return_exceptions=True)  # it looks at the pipe until then
            pipe.close()

    def _launch(self, pipe: ReadyPipe) -> GuardedProcess:
        return GuardedProcess(
            self._command,
            env={**self._env, READY_FD: str(pipe.write_end), START_FD: str(self._gate.read_end)},
            grace=self._grace,
            pass_fds=(pipe.write_end, self._gate.read_end),
        )

    async def _watch(self, pipe: ReadyPipe) -> None:
        await (self._probe() if self._probe is not None else pipe.wait())
        self._ready.set()
