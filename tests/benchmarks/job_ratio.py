"""Jobs enqueued one a transaction and completed, against procrastinate on the same server."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import IO, Any

import asyncpg
from pegboard_sdk.database import protect_table

from tests.benchmarks.figures import ratio_figure
from tests.benchmarks.options import Options
from tests.benchmarks.peers.job_producer import CONCURRENCY, PRODUCERS

NAME = "job_ratio"
JOBS = 500
"""How many jobs one run enqueues."""
QUEUES = ("pegboard", "procrastinate", "dramatiq")
EFFECTS = (
    "CREATE TABLE bench_effects (id uuid PRIMARY KEY, tenant_id uuid NOT NULL, n integer NOT NULL)",
    protect_table("bench_effects", privileges="INSERT"),
)
NOTES = f"{PRODUCERS} producers, one worker process, {CONCURRENCY} jobs at once"


def run(options: Options) -> Iterator[dict[str, Any]]:
    """Interleaved: ours, procrastinate, and plain dramatiq, with jobs that do nothing; then the durable ones with jobs
    that insert a row, ours in the transaction of the completion.
    """
    url = options.database("bench_jobs")
    asyncio.run(_execute(url, *EFFECTS))
    env = options.environment(url, BENCH_DATABASE_URL=url)
    with ExitStack() as stack:
        # A producer first: procrastinate's makes its schema.
        producers = {name: stack.enter_context(_process(name, "producer", env)) for name in QUEUES}
        for name in QUEUES:
            stack.enter_context(_process(name, "worker", env))
        nothing = _measure(url, options.pairs, producers, "nothing", QUEUES)
        inserts = _measure(url, options.pairs, producers, "insert", QUEUES[:2])
    yield ratio_figure(
        NAME, nothing["pegboard"], nothing["procrastinate"], peer="procrastinate", unit="jobs/s", notes=NOTES
    )
    yield ratio_figure(
        "job_ratio_with_insert",
        inserts["pegboard"],
        inserts["procrastinate"],
        peer="procrastinate, whose completion is a transaction of its own",
        unit="jobs/s",
    )
    yield ratio_figure(
        "job_ratio_dramatiq",
        nothing["pegboard"],
        nothing["dramatiq"],
        peer="plain dramatiq over Redis, not durable",
        unit="jobs/s",
    )


def _measure(
    url: str, pairs: int, producers: Mapping[str, subprocess.Popen[str]], kind: str, names: tuple[str, ...]
) -> dict[str, list[float]]:
    """Jobs per second of each queue, in turns; the first turn warms up and doesn't count, and all tables have
    their statistics after it, as on a server that has run for a while.
    """
    rates: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(pairs + 1):
        for name in names:
            stdin, stdout = _pipes(producers[name])
            stdin.write(f"{kind} {JOBS}\n")
            stdin.flush()
            rates[name].append(JOBS / float(stdout.readline()))
        if turn == 0:
            asyncio.run(_execute(url, "VACUUM ANALYZE"))
    return {name: measured[1:] for name, measured in rates.items()}


@contextlib.contextmanager
def _process(queue: str, role: str, env: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", f"tests.benchmarks.peers.job_{queue}", role],
        env=dict(env),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        if _pipes(process)[1].readline() != "ready\n":
            raise RuntimeError(f"the {role} of {queue} did not start")
        yield process
    finally:
        process.terminate()
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


async def _execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
