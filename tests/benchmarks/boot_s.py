"""`pegboard serve` from its exec to ready, all plugins on, on a migrated database; and what each plugin adds."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.figures import summary
from tests.benchmarks.load import free_port, running_server
from tests.benchmarks.options import Options
from tests.support.servers import BUILT_IN

NAME = "boot_s"
SHARE_RUNS = 3


def run(options: Options) -> Iterator[dict[str, Any]]:
    """Interleaved: all plugins, all but one for each of them, and none."""
    sets = {"all": BUILT_IN, **{f"without {name}": tuple(n for n in BUILT_IN if n != name) for name in BUILT_IN}}
    sets["none"] = ()
    variants = []
    for number, (label, plugins) in enumerate(sets.items()):
        # A database each: processes on one database agree on one set of plugins.
        url = options.database(f"bench_boot_{number}")
        file = options.folder / f"plugins-{number}.toml"
        file.write_text("".join(f"[plugins.{name}]\nenabled = {str(name in plugins).lower()}\n" for name in BUILT_IN))
        variants.append((label, url, file))
    times: dict[str, list[float]] = {label: [] for label in sets}
    for turn in range(max(5, options.pairs // 3)):
        for label, url, file in variants:
            if turn < SHARE_RUNS or label in ("all", "none"):
                times[label].append(boot(options, url, file))
    everything = summary(times["all"])
    shares = {name: round(everything["value"] - summary(times[f"without {name}"])["value"], 3) for name in BUILT_IN}
    yield {
        "name": NAME,
        **everything,
        "unit": "s",
        "no_plugins_s": summary(times["none"])["value"],
        "share_s": shares,
        "import_only_s": summary([imports() for _ in range(5)])["value"],
    }


def boot(options: Options, url: str, file: Path) -> float:
    """Seconds from exec to the first 200 of /health/ready."""
    port = free_port()
    env = {**options.environment(url), "PEGBOARD_CONFIG": str(file)}
    began = time.perf_counter()
    command = [sys.executable, "-m", "pegboard", "serve", "--port", str(port)]
    with running_server(command, port=port, env=env, ready="/health/ready"):
        return time.perf_counter() - began


def imports() -> float:
    """Seconds that importing the application takes in a fresh interpreter, of that."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import pegboard.web.asgi"], check=True)
    return time.perf_counter() - began
