"""`pegboard worker`: a process that runs jobs."""

from typing import Any

import click
import msgspec

from pegboard.cli import CommandLine
from pegboard.cli._platform import run
from pegboard.config.model import Config
from pegboard.supervisor.readiness import wait_for_start
from pegboard.telemetry.logging import configure_logging
from pegboard.telemetry.tracing import configure_tracing


@click.command("worker")
@click.option("--concurrency", type=click.IntRange(min=1), help="Jobs at a time. Default: jobs.concurrency, 16.")
@click.pass_obj
def command(cli: CommandLine, concurrency: int | None) -> None:
    """Run jobs and deliver events. Start as many of these as the work needs, on any number of machines.

    SIGTERM and SIGINT stop it: it takes no more jobs, those that run get jobs.shutdown_grace seconds, and what is then
    unfinished goes back to the queue.

    \b
    Example:
      pegboard worker --concurrency 32
    """
    import uvloop

    from pegboard.jobs.process import run_worker

    config: Config = cli.config()
    if concurrency is not None:
        jobs: Any = msgspec.structs.replace(config.jobs, concurrency=concurrency)
        config = msgspec.structs.replace(config, jobs=jobs)
    configure_logging(config.log)
    configure_tracing("pegboard-worker")
    wait_for_start()
    run(run_worker(config), runner=uvloop.run)
