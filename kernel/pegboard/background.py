"""Background work that nobody waits for: what ends it unexpectedly is logged, and it begins again."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

__all__ = ("supervised", "worth_telling")

PAUSE = 1.0
"""Seconds until work that failed begins again."""

log = structlog.get_logger("pegboard.background")


def supervised(name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
    """A task that runs `work()` until it returns or the task is cancelled.

    Errors that `work` expects, such as an outage, are for itself to handle: another one is logged with its traceback,
    and `work` is called again after a moment. So a mistake costs some time and a line in the log, not the work for as
    long as the process lives.
    """
    return asyncio.create_task(_run(name, work), name=name)


def worth_telling(failures: int) -> bool:
    """Whether the failure that is the nth in a row gets a line: the first, second, fourth, eighth and so on.

    An outage is known from its first lines; hours of the same one bury what else the log says.
    """
    return failures & (failures - 1) == 0


async def _run(name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    while True:
        try:
            await work()
        except Exception:
            log.exception("background.failed", task=name, again_after=PAUSE)
        else:
            return
        await asyncio.sleep(PAUSE)
