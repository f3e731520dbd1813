"""A started platform with a plugin on: what `pegboard_sdk.testing.kernel_fixture` opens."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pegboard_sdk.ids import new_id
from pegboard_sdk.manifest import Manifest

from pegboard.config.errors import ConfigError
from pegboard.config.model import LogConfig
from pegboard.database.migrate import migrate
from pegboard.plugins.discovery import discover
from pegboard.plugins.manager import load_plugins
from pegboard.plugins.registry import Registry
from pegboard.taxonomies.seed import seed
from pegboard.telemetry.logging import configure_logging
from pegboard.testing.platform import TestPlatform
from pegboard.testing.servers import (
    POSTGRES,
    REDIS,
    TEMPLATE,
    config_for_tests,
    create_database,
    drop_database,
    write_config,
)
from pegboard.testing.shared import use_servers

__all__ = ("open_kernel", "redis_url", "required")

WORKER = "PYTEST_XDIST_WORKER"


@asynccontextmanager
async def open_kernel(
    plugin: str,
    *,
    settings: Mapping[str, Mapping[str, Any]],
    secrets: Mapping[str, str],
    also: Sequence[str],
    environ: Mapping[str, str] | None = None,
    must: bool = True,
) -> AsyncIterator[TestPlatform]:
    """`pegboard_sdk.testing.OpenKernel`. `environ` overrides the configuration; without `must` a plugin that can't be
    loaded is left out, as in production.
    """
    configure_logging(LogConfig(level="warning"))
    await asyncio.to_thread(use_servers)
    folder = Path(tempfile.mkdtemp(prefix="pegboard-kernel-"))
    name = f"pegboard_{new_id().hex}"
    try:
        names = required((plugin, *also))
        path = folder / "plugins.toml"
        write_config(path, dict.fromkeys(names, True), settings)
        url = await create_database(os.environ[POSTGRES], name, template=TEMPLATE)
        config = config_for_tests(path, url, redis_url(), **(environ or {}))
        try:
            registry = await asyncio.to_thread(load_plugins, config)
        except ConfigError as error:
            raise RuntimeError("; ".join(str(one) for one in error.all)) from error
        if must:
            _require(registry, names)
        report = await migrate(url, [one.app for one in registry.plugins if one.app is not None])
        if must and report.failed:
            raise RuntimeError("\n".join(f"{one}: its migration failed: {why}" for one, why in report.failed.items()))
        await seed(config, registry)
        running = TestPlatform(config, plugin)
        await running.start()
        try:
            if must:
                _require(running.registry, names)
            for secret, value in secrets.items():
                await running.secret(secret, value)
            yield running
        finally:
            await running.stop()
    finally:
        await drop_database(os.environ[POSTGRES], [name])
        shutil.rmtree(folder)


def required(names: Iterable[str]) -> list[str]:
    """The plugins and everything that they require, directly or not; names that nobody installed stay."""
    manifests: dict[str, Manifest] = {name: one.manifest for name, one in discover().candidates.items()}
    found: list[str] = []
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.append(name)
            waiting += manifests[name].requires if name in manifests else ()
    return sorted(found)


def redis_url() -> str:
    """The run's Valkey, with a database number of this worker's."""
    worker = os.environ.get(WORKER)
    return f"{os.environ[REDIS]}?db={int(worker.removeprefix('gw')) + 1 if worker else 0}"


def _require(registry: Registry, names: Sequence[str]) -> None:
    reasons = {one.name: one.reason for one in registry.skipped if one.name in names}
    if reasons:
        raise RuntimeError("\n".join(f"the plugin {name} can't be used: {why}" for name, why in reasons.items()))
