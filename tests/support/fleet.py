"""Several processes of one platform, all in this one: real applications and watchers on a database of their own."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

from pegboard.config.load import load_config
from pegboard.config.model import Config
from pegboard.plugins.registry import Registry
from pegboard.plugins.watcher import RegistryWatcher
from pegboard.runtime import Runtime
from pegboard_sdk.ids import new_id

from tests.support.platform import Account, TestPlatform
from tests.support.servers import TEMPLATE, create_database, make_config

__all__ = ("Fleet", "until")

T = TypeVar("T")


async def until(condition: Callable[[], Awaitable[T | None]], *, seconds: float = 20.0) -> T:
    """Wait until `condition` gives something true, and give that."""
    async with asyncio.timeout(seconds):
        while True:
            found = await condition()
            if found:
                return found
            await asyncio.sleep(0.02)


class Fleet:
    """A platform's processes. Each has a `plugins.toml`: the same, unless a folder of its own is named."""

    def __init__(self, postgres_url: str, redis_url: str, folder: Path) -> None:
        self._postgres_url = postgres_url
        self._redis_url = redis_url
        self._stack = AsyncExitStack()
        self.database_url = ""
        self.folder = folder

    @property
    def file(self) -> Path:
        """The `plugins.toml` of processes without a folder of their own."""
        return self.folder / "plugins.toml"

    async def open(self) -> None:
        """Make the database: roles and the kernel's migrations have run."""
        self.database_url = await create_database(self._postgres_url, f"fleet_{new_id().hex}", template=TEMPLATE)

    async def close(self) -> None:
        """End all processes."""
        await self._stack.aclose()

    def config(self, folder: Path | None = None) -> Config:
        """The configuration that a process in `folder` reads."""
        folder = folder or self.folder
        folder.mkdir(exist_ok=True)
        path = folder / "plugins.toml"
        if not path.exists():
            path.write_text("# Switched by tests.\n[pegboard]\nstrict = false\n")
        return make_config(folder, self.database_url, self._redis_url, plugins=())

    async def api(self, folder: Path | None = None) -> TestPlatform:
        """Start an API process."""
        platform = TestPlatform(self.config(folder))
        await platform.start()
        self._stack.push_async_callback(platform.stop)
        return platform

    async def worker(self, folder: Path | None = None) -> "WorkerProcess":
        """Start what a worker runs of it: a registry that follows what is wanted."""
        worker = WorkerProcess(self.config(folder))
        await worker.start()
        self._stack.push_async_callback(worker.stop)
        return worker

    def write(self, text: str, folder: Path | None = None) -> None:
        """Edit `plugins.toml` as a person would: the whole file at once."""
        path = (folder or self.folder) / "plugins.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def enabled(self, folder: Path | None = None) -> set[str]:
        """What `plugins.toml` turns on."""
        config = load_config((folder or self.folder) / "plugins.toml", {})
        return {name for name, entry in config.plugins.items() if entry.enabled}


class WorkerProcess:
    """A process without an application."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._runtime: Runtime | None = None
        self._watcher: RegistryWatcher | None = None
        self.swaps: list[Registry] = []

    async def start(self) -> None:
        self._runtime = await Runtime.open(self._config)
        self._watcher = RegistryWatcher(self._runtime, "worker", self.swaps.append)
        await self._watcher.start()

    async def stop(self) -> None:
        """End it. Doing it twice changes nothing."""
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            await watcher.stop()
        runtime, self._runtime = self._runtime, None
        if runtime is not None:
            await runtime.close()

    async def waits(self) -> bool:
        """Whether it has nothing to do but to wait for news."""
        return self._watcher is not None and self._watcher.looks > 0

    def wake(self) -> None:
        """Have it hear a notification now."""
        assert self._watcher is not None
        self._watcher.wake()

    @property
    def plugins(self) -> list[str]:
        """The plugins that it runs."""
        assert self._runtime is not None
        return [plugin.name for plugin in self._runtime.registry.plugins if plugin.name != "kernel"]


async def operator(platform: TestPlatform) -> Account:
    """Somebody who may toggle plugins."""
    return await platform.account(await platform.tenant(), roles=("member", "operator"))


async def overview(account: Account) -> dict[str, Any]:
    """`GET /api/v1/admin/plugins`."""
    answer = await account.client.get("/api/v1/admin/plugins")
    assert answer.status_code == 200, answer.text
    return answer.json()
