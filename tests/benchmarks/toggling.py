"""A platform of four API processes, two workers and a scheduler, and somebody who toggles plugins on it."""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import msgspec

from tests.benchmarks.load import free_port, running_server
from tests.benchmarks.options import Options
from tests.support.fleet import until

__all__ = ("API_PROCESSES", "PLUGIN", "WORKERS", "Platform", "running_platform")

API_PROCESSES, WORKERS = 4, 2
PLUGIN = "integrations"
"""What is toggled: with tables, routes, a job, and no other that needs it."""

_TIMEOUT = 60.0


class Platform(msgspec.Struct, frozen=True):
    """A running one. `url` is its base URL, `database_url` a superuser's."""

    url: str
    database_url: str
    env: dict[str, str]

    def toggle(self, enabled: bool) -> float:
        """Run `pegboard plugins enable|disable`; gives the seconds from its exec until every process has swapped."""
        return asyncio.run(self._toggle(enabled))

    async def _toggle(self, enabled: bool) -> float:
        connection = await asyncpg.connect(self.database_url)
        try:
            before = await connection.fetchval(
                "SELECT number FROM kernel_plugin_revisions ORDER BY number DESC LIMIT 1"
            )
            command = [sys.executable, "-m", "pegboard", "plugins", "enable" if enabled else "disable", PLUGIN]
            began = time.perf_counter()
            process = await asyncio.create_subprocess_exec(
                *command, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
            await until(lambda: self._swapped(connection, before + 1), seconds=_TIMEOUT)
            seconds = time.perf_counter() - began
            _, error = await process.communicate()
            if process.returncode:
                raise RuntimeError(f"{' '.join(command[2:])} failed: {error.decode()[-2000:]}")
            return seconds
        finally:
            await connection.close()

    @staticmethod
    async def _swapped(connection: asyncpg.Connection, revision: int) -> bool:
        """Whether all processes run the revision: API, workers, scheduler."""
        row = await connection.fetchrow(
            "SELECT count(*) AS all, count(*) FILTER (WHERE active_revision = $1) AS swapped"
            " FROM kernel_live_processes",
            revision,
        )
        assert row is not None
        if row["all"] != API_PROCESSES + WORKERS + 1:
            raise RuntimeError(f"{row['all']} processes are alive, not {API_PROCESSES + WORKERS + 1}")
        return row["swapped"] == row["all"]


@contextlib.contextmanager
def running_platform(options: Options, database_url: str) -> Iterator[Platform]:
    """`pegboard up` with the shipped plugins on the benchmark's servers; it is ended at the end."""
    port = free_port()
    env = options.environment(
        database_url,
        PEGBOARD_VAR=str(Path(options.folder) / "var"),
        PEGBOARD_HTTP__WORKERS=str(API_PROCESSES),
        PEGBOARD_JOBS__PROCESSES=str(WORKERS),
    )
    command = [sys.executable, "-m", "pegboard", "up", "--port", str(port)]
    with running_server(command, port=port, env=env, ready="/health/ready") as url:
        asyncio.run(_all_there(database_url))
        yield Platform(url, database_url, env)


async def _all_there(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)

    async def started() -> bool:
        running = await connection.fetchval(
            "SELECT count(*) FROM kernel_live_processes WHERE active_revision IS NOT NULL"
        )
        return running == API_PROCESSES + WORKERS + 1

    try:
        await until(started, seconds=_TIMEOUT)
    finally:
        await connection.close()
