"""What stands in the place of a connection that a unit of work doesn't have."""

from typing import NoReturn

__all__ = ("Busy", "Ended")


class Ended:
    """In place of a connection that was given back: a stream, or a task left behind, must not use it any more."""

    __slots__ = ()

    def __getattr__(self, name: str) -> NoReturn:
        raise RuntimeError("the unit of work has ended: read before an answer begins that comes in pieces")


class Busy:
    """In place of a connection that is being acquired: one connection does one thing at a time."""

    __slots__ = ()

    def __getattr__(self, name: str) -> NoReturn:
        raise RuntimeError("a unit of work reads one thing at a time: await each query before the next (no gather)")
