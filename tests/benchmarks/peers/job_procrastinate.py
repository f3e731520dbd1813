"""What `job_ratio` compares with: procrastinate, which keeps its jobs in PostgreSQL alone. Durable too.

As well as its manual runs it: the C implementation of psycopg, pools as large as the work, uvloop, async tasks.
"""

import os
import sys

import procrastinate
import uvloop
from procrastinate.tasks import Task

from tests.benchmarks.peers.job_producer import CONCURRENCY, PRODUCERS, produce

__all__ = ("main",)

UNFINISHED = "SELECT count(*) AS left FROM (SELECT 1 FROM procrastinate_jobs WHERE status IN ('todo', 'doing') LIMIT 1)"
INSERT = "INSERT INTO bench_effects (id, tenant_id, n) VALUES (gen_random_uuid(), gen_random_uuid(), %(n)s)"


def make_app(connections: int) -> tuple[procrastinate.App, dict[str, Task]]:
    """The application and its tasks by kind."""
    connector = procrastinate.PsycopgConnector(
        conninfo=os.environ["BENCH_DATABASE_URL"], min_size=connections, max_size=connections
    )
    app = procrastinate.App(connector=connector)

    @app.task(name="nothing")
    async def nothing(n: int) -> None:
        return None

    @app.task(name="insert")
    async def insert(n: int) -> None:
        await connector.execute_query_async(INSERT, n=n)

    return app, {"nothing": nothing, "insert": insert}


async def worker() -> None:
    """Run jobs until SIGTERM."""
    app, _ = make_app(CONCURRENCY + 4)
    async with app.open_async():
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await app.run_worker_async(concurrency=CONCURRENCY)


async def producer() -> None:
    """Enqueue what the input says."""
    app, tasks = make_app(PRODUCERS)
    async with app.open_async():
        await app.schema_manager.apply_schema_async()

        async def enqueue(kind: str, n: int) -> None:
            await tasks[kind].defer_async(n=n)

        async def finished() -> bool:
            return (await app.connector.execute_query_one_async(UNFINISHED))["left"] == 0

        await produce(enqueue, finished)


async def main(role: str) -> None:
    """Run as `role`."""
    await (worker if role == "worker" else producer)()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
