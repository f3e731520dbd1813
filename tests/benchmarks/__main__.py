"""Runs the benchmarks: `make bench`, or `make bench ONLY=read_ratio,job_ratio`. One JSON object a line on standard
output.

A benchmark is a module of this folder with `NAME`, the figures that it gives, and `run(options)`, which yields them.
Every ratio comes from interleaved pairs of one run: machines are shared and noisy, and two runs of identical code
differ by a third.
"""

import argparse
import importlib
import os
import pkgutil
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from tests.benchmarks.options import Options
from tests.support.servers import Servers


def modules() -> dict[str, str]:
    """Benchmark module by each figure's name."""
    found: dict[str, str] = {}
    package = importlib.import_module("tests.benchmarks")
    for info in pkgutil.iter_modules(package.__path__):
        if info.name.endswith(("_ratio", "_s", "_us")):
            found[info.name] = f"tests.benchmarks.{info.name}"
    return found


def main() -> int:
    """Run what was asked for; exit status 1 if a benchmark failed."""
    known = modules()
    parser = argparse.ArgumentParser(
        prog="make bench", description=__doc__, epilog="example: make bench ONLY=read_ratio"
    )
    parser.add_argument("--only", default="", help=f"comma-separated: {', '.join(known)}")
    parser.add_argument("--pairs", type=int, default=15, help="interleaved pairs per ratio (default 15)")
    arguments = parser.parse_args()
    names = [name for name in arguments.only.split(",") if name] or list(known)
    if unknown := [name for name in names if name not in known]:
        parser.error(f"no benchmark named {', '.join(unknown)}; there are {', '.join(known)}")
    servers = Servers.start(durable=True)
    failed = False
    try:
        with tempfile.TemporaryDirectory(prefix="pegboard-bench-") as folder:
            for name in names:
                options = Options.from_environment(Path(folder) / name, pairs=arguments.pairs)
                began = time.perf_counter()
                try:
                    for figure in importlib.import_module(known[name]).run(options):
                        sys.stdout.write(msgspec.json.encode(figure).decode() + "\n")
                        sys.stdout.flush()
                except Exception as error:
                    failed = True
                    line = {"name": name, "value": None, "error": f"{type(error).__name__}: {error}"}
                    sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
                    if os.environ.get("BENCH_TRACEBACK"):
                        raise
                sys.stderr.write(f"{name}: {time.perf_counter() - began:.0f} s\n")
    finally:
        servers.stop()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
