"""`pegboard scheduler`: a process that fires schedules."""

import click

from pegboard.cli import CommandLine
from pegboard.cli._platform import run
from pegboard.config.model import Config
from pegboard.supervisor.readiness import wait_for_start
from pegboard.telemetry.logging import configure_logging
from pegboard.telemetry.tracing import configure_tracing


@click.command("scheduler")
@click.pass_obj
def command(cli: CommandLine) -> None:
    """Start the jobs whose schedules are due. Where several run, one works and the others stand by.

    \b
    Example:
      pegboard scheduler
    """
    from pegboard.jobs.process import run_scheduler

    config: Config = cli.config()
    configure_logging(config.log)
    configure_tracing("pegboard-scheduler")
    wait_for_start()
    run(run_scheduler(config))
