"""`pegboard up`: the whole platform, by one command."""

import asyncio
import sys
from pathlib import Path

import click
import msgspec

from pegboard.cli import CommandError, CommandLine
from pegboard.cli._options import host_option, overridden, port_option
from pegboard.config.model import Config
from pegboard.embedded.errors import EmbeddedError
from pegboard.supervisor.errors import StartError
from pegboard.supervisor.progress import Progress
from pegboard.supervisor.supervisor import Supervisor
from pegboard.telemetry.logging import configure_logging


@click.command("up")
@host_option
@port_option
@click.option("--var", type=click.Path(path_type=Path), metavar="PATH", help="The data folder. Default: var, ./var.")
@click.option("--safe-mode", is_flag=True, help="Load only the plugins that come with Pegboard, this once.")
@click.pass_obj
def command(cli: CommandLine, host: str | None, port: str | None, var: Path | None, safe_mode: bool) -> None:
    """Start everything and keep it running: databases, API, workers and scheduler. Ctrl-C stops it.

    PostgreSQL and Valkey are started where database.url and redis.url are empty; their data are in the data folder.
    The first start prints the first administrator's password, unless PEGBOARD_ADMINISTRATOR__PASSWORD sets one.
    The last line of the start is `ready` and the address.

    In safe mode other people's plugins wait with their jobs and data, and nothing is written to plugins.toml: the next
    start without it has them again.

    \b
    Examples:
      pegboard up
      pegboard up --port 0 --var /srv/pegboard
      pegboard up --safe-mode
    """
    config, _ = overridden(cli, HTTP__HOST=host, HTTP__PORT=port, VAR=var, SAFE_MODE="true" if safe_mode else None)
    level = "debug" if config.log.level == "debug" else "warning"  # the steps are told apart from the log
    configure_logging(msgspec.structs.replace(config.log, level=level))
    try:
        asyncio.run(_run(config))
    except (StartError, EmbeddedError) as error:
        raise CommandError(str(error)) from error


async def _run(config: Config) -> None:
    await Supervisor(config, Progress(sys.stdout)).run()
