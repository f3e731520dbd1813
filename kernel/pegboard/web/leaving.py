"""Ending with streams under way.

Told to end, the server takes nothing new, waits for what is under way, and only then has the application shut down. A
stream may be under way for ever, so the application has to hear of the signal too.
"""

import asyncio
import signal
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

__all__ = ("heed",)


def heed(signals: Iterable[signal.Signals], leave: Callable[[bool], None]) -> None:
    """Call `leave` in the running loop when one of `signals` comes, with whether it came before. Whoever handles them
    now still does: the event loop among others.
    """
    loop = asyncio.get_running_loop()
    seen: set[int] = set()

    def chain(previous: Any) -> Callable[[int, FrameType | None], None]:
        def handle(number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(leave, number in seen)
            seen.add(number)
            if callable(previous):
                previous(number, frame)

        return handle

    for one in signals:
        signal.signal(one, chain(signal.getsignal(one)))
