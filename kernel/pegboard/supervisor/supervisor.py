"""`pegboard up`: everything in order, kept running, and stopped in order."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import msgspec
import structlog

from pegboard.config.errors import ConfigError
from pegboard.config.model import Config
from pegboard.embedded.process import GuardedProcess, launched
from pegboard.plugins.start_marks import StartMarks
from pegboard.supervisor.child import Child
from pegboard.supervisor.errors import StartError
from pegboard.supervisor.http import wait_until_ready
from pegboard.supervisor.lessons import Lessons
from pegboard.supervisor.outcome import Outcome
from pegboard.supervisor.ports import Address
from pegboard.supervisor.progress import Progress
from pegboard.supervisor.readiness import StartGate
from pegboard.supervisor.redis_probe import unanswered
from pegboard.supervisor.runfile import RunFile, attach, remove_runfile, write_runfile
from pegboard.supervisor.servers import Servers
from pegboard.supervisor.var import VarFolder
from pegboard.telemetry.metrics import share_metrics

__all__ = ("Supervisor",)

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
DRAIN = 40.0
"""Seconds for the API's last requests: more than a request may take and than an open stream gets."""
SPARE = 5.0
"""Seconds on top of what a process gives its own work."""
log = structlog.get_logger("pegboard.supervisor")


class Supervisor:
    """One run of the platform on one data folder."""

    def __init__(self, config: Config, progress: Progress) -> None:
        self._config = config
        self._progress = progress
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._gate = StartGate()
        self._marks = StartMarks(Path(config.var))
        self._var: VarFolder | None = None
        self._address: Address | None = None
        self._servers: Servers | None = None
        self._api: list[Child] = []
        self._workers: list[Child] = []
        self._ready = False
        self._asked = False
        """Whether somebody wants it to end."""
        self._preparing = False

    async def run(self) -> None:
        """Start, run until SIGINT, SIGTERM or SIGHUP, and stop. A second signal ends what is still at work.

        Raises:
            StartError, EmbeddedError: it can't start; what was started is stopped.
        """
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self._signalled)
        try:
            start = asyncio.create_task(self._start())
            stop = asyncio.create_task(self._stop.wait())
            await asyncio.wait({start, stop}, return_when=asyncio.FIRST_COMPLETED)
            if start.done():
                start.result()
                await stop
            else:
                start.cancel()
                await asyncio.gather(start, return_exceptions=True)
        finally:
            await self._shut_down()
            for number in STOP_SIGNALS:
                loop.remove_signal_handler(number)

    def _signalled(self) -> None:
        if self._stop.is_set():
            self._hurry.set()
        self._asked = True
        self._stop.set()

    async def _start(self) -> None:
        self._var = VarFolder(Path(self._config.var))
        self._address = Address(self._config.http.host, self._config.http.port)
        key = None if self._config.secrets.master_key else self._var.master_key()
        self._servers = Servers(self._config, self._progress, on_restart=self._write_runfile, on_failure=self._stop.set)
        await self._servers.start()
        env = self._environment(self._servers, self._address, key)
        self._make_children(env, self._address)
        for child in (*self._api, *self._workers):
            child.start()
        outcome = await self._prepare(env)
        self._gate.open()
        async with self._progress.step("API, workers and scheduler", others_write=True) as step:
            try:
                await asyncio.gather(*(child.ready() for child in (*self._api, *self._workers)))
            except StartError as error:
                raise StartError(f"{error} {self._way_out()}") from error
            workers = self._config.jobs.processes
            step.detail = f"{workers} worker process{'es' if workers > 1 else ''}"
        self._write_runfile()
        if outcome.third_parties:
            await self._say_quarantined(outcome.skipped)
        if (place := await unanswered(self._servers.redis_url)) is not None:
            self._progress.say(f"  ! Redis does not answer at {place}: jobs wait until it does")
        self._ready = True
        url = self._address.url
        self._progress.say(f"ready {url} · API docs {url}/docs · Ctrl-C stops")

    def _environment(self, servers: Servers, address: Address, key: Path | None) -> dict[str, str]:
        """What every process is told: the configuration's file, and what was resolved here."""
        env = {
            **os.environ,
            "PEGBOARD_CONFIG": self._config.path,
            "PEGBOARD_VAR": self._config.var,
            "PEGBOARD_DATABASE__URL": servers.database_url,
            "PEGBOARD_REDIS__URL": servers.redis_url,
            "PEGBOARD_HTTP__HOST": address.host,
            "PEGBOARD_HTTP__PORT": str(address.port),
        }
        if self._config.safe_mode:
            env["PEGBOARD_SAFE_MODE"] = "true"
        env |= share_metrics(Path(self._config.var) / "metrics")
        if key is not None:
            env["PEGBOARD_SECRETS__MASTER_KEY"] = f"file:{key}"
        return env

    async def _say_quarantined(self, told: Collection[str]) -> None:
        """Name the plugins that the processes left out when they started; those in `told` are known already."""
        # Here, as it takes its time to import, and nobody needs it where all plugins are ours.
        import asyncpg

        from pegboard.plugins.effective import quarantined_before

        try:
            found = await quarantined_before(attach(self._config))
        except (ConfigError, OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("plugins.not_asked_for", reason=repr(error))
            return
        for name in sorted(found.keys() - set(told)):
            self._progress.say(f"  ! plugin {name} is skipped: {found[name]}")

    async def _prepare(self, env: dict[str, str]) -> Outcome:
        async with self._progress.step("Database") as step:
            self._preparing = True
            outcome = await self._prepared(env)
            self._preparing = False
            if outcome.error:
                raise StartError(outcome.error)
            done = [f"{outcome.applied} migrations run" if outcome.applied else "up to date"]
            done += [f"{outcome.terms} taxonomy terms added"] if outcome.terms else []
            step.detail = ", ".join(done)
        self._progress.say(f"  Plugins: {', '.join(outcome.plugins) or 'none'}")
        if self._config.safe_mode:
            self._progress.say(
                "  ! safe mode: only the plugins that come with Pegboard run. Start without it to leave it"
            )
        for name, reason in outcome.skipped.items():
            self._progress.say(f"  ! plugin {name} is skipped: {reason}")
        for problem in outcome.problems:
            self._progress.say(f"  ! {problem}")
        if (administrator := outcome.administrator) is not None:
            password = administrator.password
            shown = f"password {password} (shown this once)" if password else "with the configured password"
            self._progress.say(f"  First administrator: {administrator.email} {shown}")
        return outcome

    async def _prepared(self, env: dict[str, str]) -> Outcome:
        """What preparing came to. Where a plugin's import or hooks end the process, it is known after the second time
        and left out in the next.
        """
        lessons = self._lessons()
        while (outcome := await self._prepare_once(env)) is None:
            again = lessons.another()
            log.error("prepare.ended", amid=self._marks.left(), again=again)
            if not (again and lessons.learned):
                raise StartError(f"preparing the database failed: see above. {self._way_out()}")
        return outcome

    def _lessons(self) -> Lessons:
        return Lessons(self._marks, len(self._config.plugins))

    def _way_out(self) -> str:
        """What to try when processes end at their start: a plugin may be at fault, and it may be known which."""
        if self._config.safe_mode:
            return "Safe mode is on: it is no third party's plugin."
        left = self._marks.left()
        who = f"It was {left}" if left else "If a third party's plugin is at fault"
        return f"{who}: `pegboard up --safe-mode` starts without it."

    async def _prepare_once(self, env: dict[str, str]) -> Outcome | None:
        command = [sys.executable, "-P", "-m", "pegboard.supervisor.prepare"]
        process = await launched(
            lambda: GuardedProcess(command, env=env, grace=SPARE, stdout=subprocess.PIPE), undo=GuardedProcess.kill
        )
        try:
            assert process.stdout is not None
            answer = await asyncio.to_thread(process.stdout.read)
            status = await process.wait()
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        try:
            return msgspec.json.decode(answer, type=Outcome)
        except msgspec.MsgspecError:
            log.error("prepare.failed", status=status)
            return None

    def _make_children(self, env: dict[str, str], address: Address) -> None:
        http, jobs = self._config.http, self._config.jobs
        host = next((host for host in http.allowed_hosts if host != "*"), f"{address.host}:{address.port}")
        serve = ["serve", "--host", address.ip, "--port", str(address.port)]

        def child(name: str, arguments: list[str], **options: Any) -> Child:
            on_start, on_failure, lessons = self._write_runfile, self._stop.set, self._lessons()
            return Child(
                name,
                arguments,
                env,
                gate=self._gate,
                lessons=lessons,
                on_start=on_start,
                on_failure=on_failure,
                **options,
            )

        self._api = [
            child(
                "api",
                serve,
                grace=max(DRAIN, http.request_timeout + SPARE),
                probe=lambda: wait_until_ready(address.reachable_ip, address.port, host),
            ),
            child("scheduler", ["scheduler"], grace=jobs.shutdown_grace + SPARE),
        ]
        self._workers = [
            child(f"worker-{number}", ["worker"], grace=jobs.shutdown_grace + SPARE)
            for number in range(1, jobs.processes + 1)
        ]

    def _write_runfile(self) -> None:
        if self._var is None or self._servers is None or self._address is None:
            return
        processes = {child.name: child.pid for child in (*self._api, *self._workers) if child.pid is not None}
        run = RunFile(
            pid=os.getpid(),
            url=self._address.url,
            database_url=self._servers.database_url,
            redis_url=self._servers.redis_url,
            safe_mode=self._config.safe_mode,
            processes={**self._servers.pids, **processes},
        )
        try:
            write_runfile(self._var.path, run)
        except OSError as error:  # commands beside it don't find it then; what runs goes on
            log.error("runfile.not_written", reason=str(error))

    async def _shut_down(self) -> None:
        """In order: accept nothing new and answer what is under way, finish jobs, then the servers they need."""
        children = [*self._api, *self._workers]
        if self._ready:
            self._progress.say("stopping: requests and jobs under way are finished; Ctrl-C again ends them")
        hurry = asyncio.create_task(self._kill_when_hurried(children))
        try:
            await _all(child.stop() for child in self._api)
            await _all(child.stop() for child in self._workers)
        finally:
            hurry.cancel()
            if self._asked and (self._preparing or any(child.interrupted for child in children)):
                self._marks.forgive()
            self._gate.close()
            if self._servers is not None:
                await self._servers.stop()
            if self._address is not None:
                self._address.release()
            if self._var is not None:
                remove_runfile(self._var.path)
                self._var.release()
        if self._stop.is_set():
            self._progress.say("stopped")

    async def _kill_when_hurried(self, children: list[Child]) -> None:
        await self._hurry.wait()
        for child in children:
            child.kill()


async def _all(work: Any) -> None:
    """Wait for all, also when one fails; then raise the first failure."""
    for result in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
