"""What was raised in requests that were answered with 500: the answer itself doesn't tell."""

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog

from pegboard.conformance.place import raised_in
from pegboard.plugins.hooks import describe

__all__ = ("Failures", "failures_heard")


class Failures:
    """The exceptions that the platform logged, by the request's id."""

    def __init__(self) -> None:
        self._raised: dict[str, BaseException] = {}

    def note(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """structlog's processor: keep an exception, and hand everything on as it came."""
        error = event.get("exc_info")
        if isinstance(error, BaseException) and "request_id" in event:
            self._raised[event["request_id"]] = error
        return event

    def told(self, request_id: str, folder: Path) -> str:
        """What was raised in a request, and where: in the plugin's `folder`, if it came by there."""
        error = self._raised.get(request_id)
        if error is None:
            return f"the log of the request {request_id} says why"
        while error.__cause__ is not None and not raised_in(error, folder):
            error = error.__cause__
        place = raised_in(error, folder) or raised_in(error)
        return f"{describe(error)} ({place})" if place else describe(error)


@contextmanager
def failures_heard() -> Iterator[Failures]:
    """Listen to what is logged in this process until the end of the block."""
    failures = Failures()
    # The list itself is changed: loggers that were made before hold on to it.
    processors = structlog.get_config()["processors"]
    processors.insert(0, failures.note)
    try:
        yield failures
    finally:
        processors.remove(failures.note)
