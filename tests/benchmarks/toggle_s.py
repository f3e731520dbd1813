"""`pegboard plugins disable` and `enable` from the command's exec until every process runs the new plugin set."""

from collections.abc import Iterator
from typing import Any

from tests.benchmarks.figures import summary
from tests.benchmarks.options import Options
from tests.benchmarks.toggling import API_PROCESSES, PLUGIN, WORKERS, running_platform

NAME = "toggle_s"


def run(options: Options) -> Iterator[dict[str, Any]]:
    """Off and on again in turn, on an otherwise idle platform."""
    off: list[float] = []
    on: list[float] = []
    with running_platform(options, options.database("bench_toggle")) as platform:
        for turn in range(options.pairs + 1):
            seconds = platform.toggle(enabled=False), platform.toggle(enabled=True)
            if turn:  # the first round warms up
                off.append(seconds[0])
                on.append(seconds[1])
    yield {
        "name": NAME,
        **summary(off + on),
        "unit": "s",
        "disable_s": summary(off)["value"],
        "enable_s": summary(on)["value"],
        "plugin": PLUGIN,
        "api_processes": API_PROCESSES,
        "workers": WORKERS,
    }
