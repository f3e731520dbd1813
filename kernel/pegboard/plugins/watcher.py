"""Keeps a process on the plugin set that PostgreSQL wants.

Two phases: each live process builds the wanted revision beside the running generation and reports ready; once all are,
the revision is active and each swaps. If one can't, nothing changes anywhere and the reason is kept.

    watcher = RegistryWatcher(runtime, "worker", on_swap=lambda registry: ...)
    await watcher.start()       # the first generation runs, and `runtime.registry` is its registry
    ...
    await watcher.stop()
"""

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import structlog
from pegboard_sdk.errors import DomainError
from pegboard_sdk.ids import new_id

from pegboard.background import supervised
from pegboard.config.errors import ConfigError
from pegboard.config.load import load_config
from pegboard.config.model import Config
from pegboard.database.pool import TRANSACTION_ERRORS
from pegboard.isolation.memory_looks import MemoryReporter
from pegboard.plugins import preparation, processes, revisions
from pegboard.plugins.failure import Cause, Failure
from pegboard.plugins.file_watch import FileWatch
from pegboard.plugins.generation import BuildError, Generation, GenerationHolder, StartupError
from pegboard.plugins.keeping import going_on
from pegboard.plugins.listener import Listener
from pegboard.plugins.manager import load_plugins
from pegboard.plugins.planning.contract import contracts_of, record_contracts, versions_of
from pegboard.plugins.preparation import PreparationError
from pegboard.plugins.processes import LeftOut, node_name
from pegboard.plugins.registry import EMPTY, Registry
from pegboard.plugins.revisions import Revision
from pegboard.plugins.start_marks import StartMarks
from pegboard.plugins.toggle import take_back
from pegboard.plugins.wanted import enabled_plugins, with_plugins
from pegboard.runtime import Runtime

__all__ = ("RegistryWatcher",)

PREPARE_TIMEOUT = 60.0
HEARTBEAT_INTERVAL = 2.0
LATE_RETRY = 10.0

log = structlog.get_logger(__name__)


class RegistryWatcher:
    """One per process. `kind` is what the process is: api, worker or scheduler.

    The API gives the `holder` of its applications and swaps through that; other processes give `on_swap`, which is
    called in the event loop with each new registry. `reload` reads the configuration again (by default its file and the
    process's environment). `poll_interval` in seconds: how late a revision is noticed when no notification comes.
    """

    def __init__(
        self,
        runtime: Runtime,
        kind: str,
        on_swap: Callable[[Registry], None] | None = None,
        *,
        holder: GenerationHolder[Any] | None = None,
        reload: Callable[[], Config] | None = None,
        poll_interval: float = 1.0,
    ) -> None:
        self.process = new_id()
        self.looks = 0
        """How often it looked for what is wanted, since it started."""
        self._runtime = runtime
        self._database = runtime.database
        self._kind = kind
        self._on_swap = on_swap
        self._own_holder = holder is None
        self._holder: GenerationHolder[Any] = holder or GenerationHolder(
            lambda _: None,
            on_swap=self._swapped,
            startup_timeout=runtime.config.isolation.startup_timeout,
            marks=StartMarks(Path(runtime.config.var)),
        )
        self._config = runtime.config
        self._reload = reload or (lambda: load_config(Path(runtime.config.path)))
        self._poll_interval = poll_interval
        self._wake = asyncio.Event()
        self._listener = Listener(runtime.database, revisions.CHANNEL, self._wake)
        self._file = FileWatch(Path(runtime.config.path), self._reload) if runtime.config.path else None
        self._tasks: list[asyncio.Task[None]] = []
        self._active: int | None = None
        self._prepared: tuple[int, Generation[Any]] | None = None
        self._error: str | None = None
        self._conflict: str | None = None
        self._late_at = 0.0
        self._memory = MemoryReporter(runtime, self.process, kind, os.getpid())

    @property
    def error(self) -> str | None:
        """Why this process is not on what is wanted, if so."""
        return self._error or (self._file.error if self._file is not None else None)

    async def start(self) -> None:
        """Find out what is wanted, run it, and keep to it from then on.

        Plugins that can't run are left out, with a reason.

        Raises:
            ConfigError: `strict` is set and a plugin would have to be left out.
            OSError, asyncpg.PostgresError: the database can't be reached.
        """
        async with self._database.system_transaction() as connection:
            await processes.register(connection, self.process, self._kind, node_name(), os.getpid())
        self._tasks.append(supervised("plugins-heartbeat", self._beat))
        try:
            await self._run_late(await self._first_revision())
        except BaseException:
            await self.stop()
            raise
        self._tasks.append(supervised("plugins-watch", self._watch))

    async def stop(self) -> None:
        """Stop watching. The generation of a holder that was given goes on: it is its owner's to close."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
            self._tasks.clear()
        await self._memory.stop()
        await self._listener.close()
        await self._drop_prepared()
        try:
            async with self._database.system_transaction() as connection:
                await processes.remove(connection, self.process)
        except TRANSACTION_ERRORS as error:
            # Others notice by the missing heartbeats.
            log.warning("plugins.not_signed_off", error=repr(error))
        if self._own_holder:
            await self._holder.close()

    def wake(self) -> None:
        """Look now instead of when the next poll is due."""
        self._wake.set()

    def _swapped(self, generation: Generation[Any]) -> None:
        self._runtime.registry = generation.registry
        if self._on_swap is not None:
            self._on_swap(generation.registry)

    async def _first_revision(self) -> Revision:
        if self._file is not None:
            await self._file.look(self._database)
        async with self._database.system_transaction() as connection:
            await revisions.lock(connection)
            active = await revisions.active_revision(connection)
            if active is None:
                plugins = enabled_plugins(self._config)
                active = await revisions.propose(connection, plugins, file_hash="", origin="file")
            return active

    async def _watch(self) -> None:
        """Look whenever somebody says that something changed, and every `poll_interval` anyhow."""
        while True:
            self._wake.clear()
            try:
                await self._listener.ensure()
                await self._look()
            except TRANSACTION_ERRORS as error:
                log.warning("plugins.database_unavailable", error=repr(error))
            except Exception:
                # The process must go on with what it runs, whatever is wrong with what it should run.
                log.exception("plugins.watch_failed")
            self.looks += 1
            # Not wait_for: in Python 3.11 it swallows a cancellation that comes just when the event is set.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._poll_interval):
                    await self._wake.wait()

    async def _beat(self) -> None:
        while True:
            try:
                async with self._database.system_transaction() as connection:
                    if not await processes.heartbeat(
                        connection,
                        self.process,
                        error=self.error,
                        conflict=self._conflict,
                        breakers=self._runtime.breakers.states(),
                    ):
                        await processes.register(connection, self.process, self._kind, node_name(), os.getpid())
                        if self._active is not None:
                            await self._report_active(connection, self._active)
                    await self._memory.notice(connection)
            except TRANSACTION_ERRORS as error:
                log.warning("plugins.heartbeat_failed", error=repr(error))
            await asyncio.sleep(HEARTBEAT_INTERVAL)

    async def _look(self) -> None:
        """One look: the file, then the wanted revision."""
        if self._file is not None:
            await self._file.look(self._database)
        active, next_one = await revisions.standing(self._database.system)
        if active is None:
            raise RuntimeError("no plugin revision is active any more: was the database replaced?")
        wanted = next_one or active
        if self._prepared is not None and self._prepared[0] not in (active.number, wanted.number):
            await self._drop_prepared()
        self._note_conflict(wanted)
        if active.number != self._active:
            await self._catch_up(active)
        elif next_one is not None:
            await self._prepare(next_one, active)

    async def _prepare(self, wanted: Revision, active: Revision) -> None:
        """The first phase: report ready, or give the revision up for everybody."""
        if self._prepared is None:
            try:
                generation = await self._build(wanted, active)
            except TRANSACTION_ERRORS:
                raise
            except Exception as error:
                if not isinstance(error, PreparationError | BuildError | StartupError):
                    log.exception("plugins.preparation_failed", revision=wanted.number)
                # What was to be turned on just stays off, and what runs goes on running. What should be on and was
                # tried again, as after a release, must not be tried at each start.
                running = {one.name for one in self._holder.current.registry.plugins}
                tried = {
                    name: one
                    for name, one in _failures(error).items()
                    if name in active.plugins and name not in running
                }
                if tried:
                    await preparation.put_into_quarantine(self._database, tried)
                await self._give_up(wanted, str(error) or repr(error))
                return
            if generation is None:
                return
            self._prepared = (wanted.number, generation)
        async with self._database.system_transaction() as connection:
            await processes.report_ready(connection, self.process, wanted.number)
            decided = await revisions.activate_if_ready(connection, wanted.number)
            late = [] if decided else await processes.too_late(connection, wanted.number, PREPARE_TIMEOUT)
        if late:
            await self._give_up(wanted, f"not ready within {PREPARE_TIMEOUT:g} s: {', '.join(late)}")
        elif decided:
            log.info("plugins.revision_active", revision=wanted.number, plugins=wanted.plugins)
            await revisions.notify(self._database)
            await self._activate(wanted.number)

    async def _build(self, wanted: Revision, active: Revision) -> Generation[Any] | None:
        """The next generation; None while another process tries it first.

        One goes ahead of all others, as a plugin may end its process at its start, or hang it, and nothing in the
        process can keep it from that.
        """
        first = wanted.migrated_at is None
        if first:
            async with self._database.system_transaction() as connection:
                claim = await revisions.claim_trial(connection, wanted.number, self.process, serves=self._kind == "api")
            if claim == "wait":
                return None
            if claim == "lost":
                raise PreparationError("the process that tried it first ended, or hangs; see its log")
        running = self._holder.current.registry
        released = {one.name for one in running.skipped if one.state == "quarantined"}
        released -= (await preparation.quarantined_plugins(self._database)).keys()
        new = set(wanted.plugins) - set(active.plugins) | released.intersection(wanted.plugins)
        registry = await preparation.load(self._configured(wanted), self._database, must=new, running=running)
        if first:
            await preparation.migrate_plugins(self._database, registry, new)
        generation = await self._holder.prepare(registry)
        try:
            await preparation.check_health(registry.plugins, new)
            if first:
                async with self._database.system_transaction() as connection:
                    await revisions.mark_migrated(connection, wanted.number)
                await revisions.notify(self._database)
        except BaseException:  # a cancellation too: what was prepared is closed. It goes on from here
            await self._holder.discard(generation)
            raise
        return generation

    async def _give_up(self, wanted: Revision, reason: str) -> None:
        reason = f"{self._kind} {os.getpid()} on {node_name()}: {reason}"
        async with self._database.system_transaction() as connection:
            failed = await revisions.fail(connection, wanted.number, reason)
        if failed:
            log.error("plugins.revision_failed", revision=wanted.number, reason=reason)
        if failed and wanted.origin == "api" and self._file is not None:
            # The command line waits and does it itself; over the API nobody may be waiting any more.
            await self._take_back(wanted)
        await self._drop_prepared()
        await revisions.notify(self._database)

    async def _take_back(self, failed: Revision) -> None:
        """Have this machine's file say again what runs: else its next edit would ask once more for what failed."""
        try:
            await take_back(self._database, await asyncio.to_thread(self._reload), failed)
        except (ConfigError, DomainError) as error:
            log.warning("plugins.file_not_taken_back", revision=failed.number, error=str(error))

    async def _catch_up(self, active: Revision) -> None:
        """The second phase, or what this process missed of it."""
        if self._prepared is not None and self._prepared[0] == active.number:
            await self._activate(active.number)
        elif asyncio.get_running_loop().time() >= self._late_at:
            try:
                await self._run_late(active)
            except (ConfigError, BuildError, StartupError) as error:
                self._late_at = asyncio.get_running_loop().time() + LATE_RETRY
                self._error = f"revision {active.number} can't run here: {error}"
                log.error("plugins.revision_missed", revision=active.number, error=str(error))

    async def _run_late(self, revision: Revision) -> None:
        """Run a revision that is active already, without what can't run here."""
        config = self._configured(revision)
        running = EMPTY if self._active is None else self._holder.current.registry
        registry = await preparation.load_ready(config, self._database, running)
        left_out = preparation.reasons(registry)
        quarantined = {one.name: one.reason for one in registry.skipped if one.state == "quarantined"}
        while True:
            try:
                generation = await self._holder.prepare(registry)
                break
            except (BuildError, StartupError) as error:
                versions = {one.name: one.manifest.version for one in registry.plugins}
                found = {
                    name: msgspec.structs.replace(one, version=one.version or versions.get(name, ""))
                    for name, one in _failures(error).items()
                }
                if config.strict or not found.keys() - quarantined.keys():
                    raise
                quarantined |= await preparation.put_into_quarantine(self._database, found)
            registry = await asyncio.to_thread(
                load_plugins, config, failed=left_out, quarantined=quarantined, running=going_on(running)
            )
        self._prepared = (revision.number, generation)
        for one in preparation.left_out(generation.registry):
            log.error("plugin.skipped", plugin=one.name, state=one.state, reason=one.reason)
        await self._activate(revision.number)
        self._note_conflict(revision)

    async def _activate(self, number: int) -> None:
        assert self._prepared is not None
        _, generation = self._prepared
        self._prepared = None
        self._holder.activate(generation)
        self._active = number
        self._error = None
        async with self._database.system_transaction() as connection:
            await self._report_active(connection, number)
            await record_contracts(connection, contracts_of(self._holder.current.registry).values())

    async def _report_active(self, connection: Any, number: int) -> None:
        registry = self._holder.current.registry
        out = {one.name: LeftOut(state=one.state, reason=one.reason) for one in preparation.left_out(registry)}
        await processes.report_active(connection, self.process, number, versions_of(registry), out)

    async def _drop_prepared(self) -> None:
        if self._prepared is not None:
            _, generation = self._prepared
            self._prepared = None
            await self._holder.discard(generation)

    def _configured(self, revision: Revision) -> Config:
        """The configuration as it is written now, with the revision's plugins on; the last good one if it is broken."""
        try:
            config = self._reload() if self._file is not None else self._config
        except ConfigError as error:
            log.warning("plugins.configuration_broken", error=str(error))
        else:
            # What is not a plugin's is read when the process starts.
            self._config = msgspec.structs.replace(self._config, plugins=config.plugins, strict=config.strict)
        return with_plugins(self._config, revision.plugins)

    def _note_conflict(self, wanted: Revision) -> None:
        found = None if self._file is None else self._file.conflict(wanted.plugins)
        if found is not None and found != self._conflict:
            log.warning("plugins.conflict", conflict=found)
        self._conflict = found


def _failures(error: Exception) -> dict[str, Failure]:
    """What plugins' code did, of why a generation could not be made."""
    if isinstance(error, PreparationError):
        return error.failures
    if isinstance(error, BuildError | StartupError):
        cause: Cause = "startup" if isinstance(error, StartupError) else "hook"
        return {name: Failure(cause, reason) for name, reason in error.failed.items()}
    return {}
