"""Asking a plugin's health check how it is, whatever it does."""

import asyncio
import time

from pegboard_sdk.health import HealthCheck

from pegboard.plugins.hooks import describe

__all__ = ("ask",)


async def ask(check: HealthCheck) -> str | None:
    """What is wrong, or None. A check that raises is unwell, and so is one that takes longer than its time-out: also if
    it kept the event loop from noticing, or goes on although it was cancelled.
    """
    began = time.perf_counter()
    # In a task of its own, which can be left behind.
    asking = asyncio.create_task(_guarded(check), name=f"health-check-{check.name}")
    try:
        await asyncio.wait((asking,), timeout=check.timeout)
    finally:
        asking.cancel()
    if asking.done() and time.perf_counter() - began <= check.timeout:
        return asking.result()
    return f"it took longer than {check.timeout:g} s"


async def _guarded(check: HealthCheck) -> str | None:
    try:
        return await check.check()
    except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001  # whatever it raises: it is unwell
        return describe(error)
