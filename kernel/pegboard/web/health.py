"""Whether the process lives, can work, and how its plugins are."""

import asyncio
import time
from typing import Literal

import msgspec
import redis.exceptions
from pegboard_sdk.health import HealthCheck

from pegboard.database.pool import TRANSACTION_ERRORS
from pegboard.isolation.breaker import State
from pegboard.plugins.asking import ask
from pegboard.plugins.registry import LoadedPlugin
from pegboard.runtime import Runtime

__all__ = (
    "SAFE_MODE",
    "Check",
    "Health",
    "PluginHealth",
    "PluginHealthPage",
    "check_plugins",
    "check_ready",
    "plugins_left_out",
)


SAFE_MODE = "Safe mode is on: only the plugins that come with Pegboard run. Start without it to leave it."


class Check(msgspec.Struct, frozen=True):
    """One check: `detail` says what is wrong, `ms` how long it took. `upstream`: it tells of a program that isn't
    ours.
    """

    name: str
    ok: bool
    ms: float
    detail: str | None = None
    upstream: bool = False


class Health(msgspec.Struct, frozen=True):
    """`ready`, `degraded` (works, with something optional down) or `unready`."""

    status: Literal["ready", "degraded", "unready"]
    checks: list[Check]


class PluginHealth(msgspec.Struct, frozen=True):
    """A plugin's own checks, and its circuit breaker in the process that answers: `open` while it fails too often.

    One that should be on and is not has no checks and is not `ok`; `state` and `reason` say why, as in
    `pegboard plugins list`.
    """

    plugin: str
    ok: bool
    checks: list[Check]
    breaker: State
    state: str = "enabled"
    reason: str | None = None


class PluginHealthPage(msgspec.Struct, frozen=True):
    """The plugins' health, all on one page: first those that run, then those that should and don't. `notice` says when
    safe mode keeps plugins out, and how to leave it.
    """

    items: list[PluginHealth]
    next_cursor: None = None
    notice: str | None = None


async def check_ready(runtime: Runtime) -> Health:
    """PostgreSQL must answer; Redis may be down: limits count in the process and jobs wait."""
    database, cache = await asyncio.gather(_database(runtime), _redis(runtime))
    status = "unready" if not database.ok else "ready" if cache.ok else "degraded"
    return Health(status, [database, cache])


async def _database(runtime: Runtime) -> Check:
    began = time.perf_counter()
    detail: str | None = None
    try:
        async with asyncio.timeout(2):
            connection = await runtime.database.acquire(runtime.database.app)
            try:
                await connection.fetchval("SELECT 1")
            finally:
                await runtime.database.app.release(connection)
    except TRANSACTION_ERRORS as error:
        detail = f"PostgreSQL does not answer ({type(error).__name__})"
    return Check("postgresql", detail is None, _ms(began), detail)


async def _redis(runtime: Runtime) -> Check:
    began = time.perf_counter()
    detail: str | None = None
    try:
        async with asyncio.timeout(2):
            await runtime.redis.ping()
    except (OSError, TimeoutError, redis.exceptions.RedisError) as error:
        detail = f"Redis does not answer ({type(error).__name__})"
    return Check("redis", detail is None, _ms(began), detail)


async def check_plugins(runtime: Runtime, *, in_turn: bool = False) -> list[PluginHealth]:
    """Run the enabled plugins' health checks, each within its own time-out: all at once, or plugin after plugin, so
    that none is late because another's blocks the event loop.
    """
    plugins = [plugin for plugin in runtime.registry.plugins if plugin.name != "kernel"]
    if in_turn:
        results = [await _look(plugin) for plugin in plugins]
    else:
        results = await asyncio.gather(*map(_look, plugins))
    states = runtime.breakers.states()
    return [
        PluginHealth(plugin.name, all(check.ok for check in checks), checks, states.get(plugin.name, "closed"))
        for plugin, checks in zip(plugins, results, strict=True)
    ]


def plugins_left_out(runtime: Runtime) -> list[PluginHealth]:
    """The plugins that should be on and that this process left out."""
    return [
        PluginHealth(one.name, ok=False, checks=[], breaker="closed", state=one.state, reason=one.reason)
        for one in sorted(runtime.registry.skipped, key=lambda one: one.name)
        if one.state != "disabled"
    ]


async def _look(plugin: LoadedPlugin) -> list[Check]:
    return await asyncio.gather(*map(_run, plugin.health_checks))


async def _run(check: HealthCheck) -> Check:
    began = time.perf_counter()
    detail = await ask(check)
    return Check(check.name, detail is None, _ms(began), detail, check.upstream)


def _ms(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 1)
