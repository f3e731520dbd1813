"""A circuit breaker: stops calling what keeps failing, and finds out carefully when it works again.

Each plugin has one in each process, over its routes, event handlers and jobs. It is used by one event loop and holds no
lock; a call that succeeds costs two method calls and allocates nothing.

    ticket = breaker.admit()
    if ticket == REFUSED: …                 # open: don't call; `retry_in` says when to ask again
    …
    breaker.succeeded(ticket)               # or .failed(cause, ticket), or .undecided(ticket)
"""

import time
from collections.abc import Callable
from typing import Literal

import msgspec

from pegboard.config.model import IsolationConfig

__all__ = ("CALLED", "REFUSED", "Breaker", "Cause", "State")

State = Literal["closed", "half_open", "open"]

REFUSED = -1
"""The ticket of who was not let through."""
CALLED = 0
"""The ticket of a call that did not ask and was counted when it began: another plugin's, of a service; a stream."""
SLOTS = 10
"""The window moves on by this part of itself."""


class Cause(msgspec.Struct, frozen=True):
    """A failure: the error's type, and `file:line function` of the plugin's code where it arose."""

    error: str
    place: str


class Breaker:
    """Closed, it counts calls and failures over a rolling window, and opens once enough calls were made and too many of
    them failed. Open, it refuses for a while. Then, half open, it lets a few through at a time: when as many have
    succeeded it closes, and the first that fails opens it again, for twice as long (up to a bound).

    `changed` is told of each new state.
    """

    __slots__ = (
        "_calls", "_changed", "_clock", "_closed_at", "_failed", "_failures", "_good", "_openings", "_probes",
        "_settings", "_slot", "_ticket", "_total", "_until", "_width", "cause", "state",
    )  # fmt: skip

    def __init__(
        self,
        settings: IsolationConfig,
        *,
        changed: Callable[["Breaker"], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.state: State = "closed"
        self.cause: Cause | None = None
        """The last failure that counted."""
        self._settings = settings
        self._changed = changed
        self._clock = clock
        self._width = settings.window / SLOTS
        self._calls = [0] * SLOTS
        self._failures = [0] * SLOTS
        self._slot = int(clock() / self._width)
        self._total = 0
        self._failed = 0
        self._ticket = 1  # raised with each state: who began under another one has no say any more
        self._openings = 0
        self._until = 0.0
        self._closed_at = float("-inf")
        self._probes = 0
        self._good = 0

    @property
    def counts(self) -> tuple[int, int]:
        """The calls in the window, and how many of them failed."""
        self._move(self._clock())
        return max(self._total, self._failed), self._failed

    @property
    def retry_in(self) -> float:
        """Seconds after which it is worth to ask again; 0 where it may be now."""
        return 0.0 if self.state == "closed" else max(0.0, self._until - self._clock())

    @property
    def open_for(self) -> float:
        """Seconds that it stays open this time."""
        longest = self._settings.max_open_seconds
        return min(longest, self._settings.open_seconds * 2.0 ** min(max(0, self._openings - 1), 32))

    def admit(self) -> int:
        """The ticket of a call that may be made now, else `REFUSED`. Give the ticket back with what became of it."""
        if self.state == "closed":
            return self._ticket
        now = self._clock()
        if now >= self._until:
            if self.state == "open":
                self._half_open(now)
            else:
                # Probes that are still under way (a stream, a slow job) must not keep it from ever closing.
                self._probes = 0
                self._until = now + self.open_for
        elif self.state == "open":
            return REFUSED
        if self._probes >= self._settings.probes:
            return REFUSED
        self._probes += 1
        return self._ticket

    def called(self) -> None:
        """A call was made that did not ask. Only its failure is heard of, if it fails: with `CALLED` as its ticket."""
        if self.state == "closed":
            self._count()
        elif (now := self._clock()) >= self._until:
            # Where nobody ever asks, such calls are all that there is to go by.
            if self.state == "open":
                self._half_open(now)
            elif self._probes == 0:
                self._close()

    def succeeded(self, ticket: int) -> None:
        """The call did what it should."""
        if ticket != self._ticket:
            return
        if self.state == "closed":
            self._count()
        elif self.state == "half_open":
            self._probes = max(0, self._probes - 1)
            self._good += 1
            if self._good >= self._settings.probes:
                self._close()

    def failed(self, cause: Cause, ticket: int) -> None:
        """The call failed, and it is this plugin's fault."""
        if ticket not in (self._ticket, CALLED) or self.state == "open":
            return
        self.cause = cause
        now = self._clock()
        if self.state == "half_open":
            self._openings += 1
            self._open(now)
            return
        self._move(now)
        if ticket != CALLED:
            self._count()
        self._failures[self._slot % SLOTS] += 1
        self._failed += 1
        if self._trips():
            # One that closed just now had not mended: what follows is the same trouble.
            mended = now - self._closed_at > self._settings.window
            self._openings = 1 if mended else self._openings + 1
            self._open(now)

    def undecided(self, ticket: int) -> None:
        """The call ended in a way that says nothing of the plugin: a caller's mistake, somebody else's outage."""
        if self.state == "half_open" and ticket == self._ticket:
            self._probes = max(0, self._probes - 1)

    def _count(self) -> None:
        now = self._clock()
        if int(now / self._width) != self._slot:
            self._move(now)
        self._calls[self._slot % SLOTS] += 1
        self._total += 1

    def _trips(self) -> bool:
        settings = self._settings
        # A call that was counted when it began may have fallen out of the window before its failure.
        calls = max(self._total, self._failed)
        return calls >= settings.minimum_calls and self._failed >= settings.failure_ratio * calls

    def _move(self, now: float) -> None:
        """Leave behind what has fallen out of the window."""
        slot = int(now / self._width)
        for passed in range(self._slot + 1, min(slot, self._slot + SLOTS) + 1):
            index = passed % SLOTS
            self._total -= self._calls[index]
            self._failed -= self._failures[index]
            self._calls[index] = self._failures[index] = 0
        self._slot = max(slot, self._slot)

    def _open(self, now: float) -> None:
        self._until = now + self.open_for
        self._become("open")

    def _half_open(self, now: float) -> None:
        self._probes = self._good = 0
        self._until = now + self.open_for
        self._become("half_open")

    def _close(self) -> None:
        self._calls = [0] * SLOTS
        self._failures = [0] * SLOTS
        self._total = self._failed = 0
        self._closed_at = self._clock()
        self._become("closed")

    def _become(self, state: State) -> None:
        self._ticket += 1
        self.state = state
        self._changed(self)
