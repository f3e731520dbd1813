"""The 99th percentile of requests' times while a plugin is toggled again and again, against without."""

import statistics
import threading
from collections.abc import Iterator
from typing import Any

from tests.benchmarks.figures import summary
from tests.benchmarks.gigs import GIGS_PATH, prepare
from tests.benchmarks.load import measure
from tests.benchmarks.options import Options
from tests.benchmarks.toggling import Platform, running_platform

NAME = "toggle_p99_ratio"
SECONDS = 3.0
CONNECTIONS = 4


def run(options: Options) -> Iterator[dict[str, Any]]:
    """Interleaved pairs of a quiet time and one in which the plugin goes off and on; no request may fail in either."""
    url = options.database("bench_toggle_p99")
    token = prepare(options.config(url))
    headers = {"authorization": f"Bearer {token}"}
    quiet: list[float] = []
    toggled: list[float] = []
    toggles = 0
    with running_platform(options, url) as platform:
        path = platform.url + GIGS_PATH
        for turn in range(options.pairs + 1):
            without = _p99(path, headers)
            with _Toggling(platform) as toggling:
                during = _p99(path, headers)
            if turn:  # the first round warms up
                quiet.append(without)
                toggled.append(during)
                toggles += toggling.count
    yield {
        "name": NAME,
        **summary([b / a for a, b in zip(quiet, toggled, strict=True)]),
        "quiet_p99_ms": round(statistics.median(quiet) * 1000, 2),
        "toggling_p99_ms": round(statistics.median(toggled) * 1000, 2),
        "toggles": toggles,
    }


def _p99(url: str, headers: dict[str, str]) -> float:
    _, latencies = measure(url, headers=headers, seconds=SECONDS, connections=CONNECTIONS)
    return statistics.quantiles(latencies, n=100)[-1]


class _Toggling:
    """Toggles all the time while it is open, and leaves the plugin on."""

    def __init__(self, platform: Platform) -> None:
        self.count = 0
        self._platform = platform
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "_Toggling":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        enabled = True
        try:
            while not self._stop.is_set() or not enabled:
                enabled = not enabled
                self._platform.toggle(enabled)
                self.count += 1
        except Exception as error:  # noqa: BLE001  # told to who waits for this thread
            self._error = error
