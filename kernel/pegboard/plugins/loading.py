"""Loading in bounded time: a plugin whose import or hooks don't come back is left out, like one that raises."""

import threading
import time
from collections.abc import Mapping

import msgspec
import structlog

from pegboard.config.model import Config
from pegboard.plugins.manager import load_plugins
from pegboard.plugins.registry import LoadedPlugin, Registry
from pegboard.plugins.start_marks import StartMarks

__all__ = ("load_in_time",)

log = structlog.get_logger(__name__)


def load_in_time(
    config: Config,
    *,
    failed: Mapping[str, str] | None = None,
    quarantined: Mapping[str, str] | None = None,
    marks: StartMarks | None = None,
    running: Mapping[str, LoadedPlugin] | None = None,
) -> Registry:
    """`load_plugins`, in which no plugin may take longer than `isolation.import_timeout`. It blocks.

    What Python code does in a thread can't be ended from outside: the thread is given up, and lives on until the
    process ends, which it doesn't delay. A plugin that was late is tried once more after all others: one that is slow
    and not stuck, as on a disk that was asleep, is there by then.

    Raises:
        ConfigError: see `load_plugins`.
    """
    limit = config.isolation.import_timeout
    told = (
        f"its import and hooks took longer than {limit:g} s, and as long again when it was tried once more (where it "
        "needs that time, set isolation.import_timeout)"
    )
    lenient = msgspec.structs.replace(config, strict=False)
    waiting: set[str] = set()
    again: set[str] = set()
    hung: dict[str, str] = {}
    while True:
        # While some wait for their second try the load is not the last one: what it leaves out is not refused.
        tried = lenient if waiting else config
        left_out = {**(failed or {}), **hung, **dict.fromkeys(waiting, told)}
        attempt = _Attempt(tried, left_out, quarantined, marks, running)
        late = attempt.run(limit)
        if late is None:
            if not waiting:
                return _with_cause(attempt.registry, hung)
            again |= waiting
            waiting.clear()
            continue
        if marks is not None:
            marks.withdraw(late)
        log.warning("plugin.slow", plugin=late, seconds=limit, again=late not in again)
        if late in again:
            hung[late] = told
        else:
            waiting.add(late)


class _Attempt:
    """One load, in a thread of its own."""

    def __init__(
        self,
        config: Config,
        failed: Mapping[str, str],
        quarantined: Mapping[str, str] | None,
        marks: StartMarks | None,
        running: Mapping[str, LoadedPlugin] | None,
    ) -> None:
        self.registry = Registry()
        self._config = config
        self._failed = failed
        self._quarantined = quarantined
        self._marks = marks
        self._running = running
        self._error: BaseException | None = None
        self._done = threading.Event()
        self._now: tuple[str | None, float] = (None, 0.0)

    def run(self, limit: float) -> str | None:
        """Load; gives the plugin that took longer than `limit` seconds, if one did."""
        threading.Thread(target=self._load, name="plugins-loading", daemon=True).start()
        wait = limit
        while not self._done.wait(wait):
            plugin, since = self._now
            wait = limit if plugin is None else since + limit - time.monotonic()
            if plugin is not None and wait <= 0:
                return plugin
        if self._error is not None:
            raise self._error
        return None

    def _load(self) -> None:
        try:
            self.registry = load_plugins(
                self._config,
                failed=self._failed,
                quarantined=self._quarantined,
                marks=self._marks,
                turn=self._turn,
                running=self._running,
            )
        except BaseException as error:  # noqa: BLE001  # it is raised again, in the thread that waits
            self._error = error
        finally:
            self._done.set()

    def _turn(self, plugin: str | None) -> None:
        self._now = (plugin, time.monotonic())


def _with_cause(registry: Registry, hung: Mapping[str, str]) -> Registry:
    if not hung:
        return registry
    skipped = [msgspec.structs.replace(one, cause="import") if one.name in hung else one for one in registry.skipped]
    return msgspec.structs.replace(registry, skipped=skipped)
