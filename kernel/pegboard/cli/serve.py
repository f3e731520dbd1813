"""`pegboard serve`: the API's processes."""

import os
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click
import structlog

from pegboard.cli import CommandError, CommandLine
from pegboard.cli._options import host_option, overridden, port_option
from pegboard.config.model import HttpConfig
from pegboard.database.urls import DatabaseUrls
from pegboard.supervisor.errors import StartError
from pegboard.supervisor.ports import Address
from pegboard.supervisor.readiness import supervised, wait_for_start
from pegboard.telemetry.logging import configure_logging
from pegboard.telemetry.metrics import SHARED_FOLDER, share_metrics
from pegboard.web.limits import MAX_HEADERS, MAX_TARGET

if TYPE_CHECKING:
    from pegboard.web.entry import Entry

DRAIN = 35
"""Seconds that requests under way get at the end: more than an open stream, which has 30."""
LOGGING = {
    "formatters": {},
    "handlers": {},
    "loggers": {"_granian": {"handlers": [], "propagate": True}, "granian.access": {"handlers": [], "propagate": True}},
}
"""Granian's loggers without handlers of their own: what they say goes the way of all our log lines."""


@click.command("serve")
@host_option
@port_option
@click.option("--workers", metavar="N", help="Processes. Default: http.workers, 1.")
@click.pass_obj
def command(cli: CommandLine, host: str | None, port: str | None, workers: str | None) -> None:
    """Serve the API. The databases run elsewhere and are migrated (see `pegboard migrate`).

    SIGTERM and SIGINT stop it: it accepts nothing new, and requests under way get 35 seconds. SIGHUP replaces its
    processes, one by one.

    \b
    Example:
      pegboard serve --host 0.0.0.0 --workers 2
    """
    config, variables = overridden(cli, HTTP__HOST=host, HTTP__PORT=port, HTTP__WORKERS=workers)
    configure_logging(config.log)
    os.environ.update(variables, PEGBOARD_CONFIG=config.path)
    if supervised():
        _serve(config.http, config.http.host, config.http.port)
        return
    try:
        DatabaseUrls.from_config(config)  # before the port, and as a line instead of a process that ends
        address = Address(config.http.host, config.http.port)
    except (StartError, ValueError) as error:
        raise CommandError(str(error)) from error
    structlog.get_logger("pegboard.serve").info("serve.listening", url=address.url, workers=config.http.workers)
    _serve(config.http, address.ip, address.port)


def _serve(http: HttpConfig, ip: str, port: int) -> None:
    """Run granian until it is told to stop. Its workers make the application, each its own."""
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings
    from granian.log import LogLevels
    from granian.server import Server

    if http.workers > 1 and SHARED_FOLDER not in os.environ:
        shared = tempfile.TemporaryDirectory(prefix="pegboard-metrics-")  # removed when this process ends
        os.environ |= share_metrics(Path(shared.name))
    Server(
        "pegboard.web.asgi:create",
        address=ip,
        port=port,
        interface=Interfaces.ASGI,
        workers=http.workers,
        http=HTTPModes.http1,
        websockets=False,
        http1_settings=HTTP1Settings(
            header_read_timeout=int(http.header_timeout * 1000), max_buffer_size=MAX_TARGET + MAX_HEADERS
        ),
        log_level=LogLevels.warning,
        log_dictconfig=LOGGING,
        respawn_failed_workers=http.workers > 1,  # of one alone, the end is for whoever runs us to see
        workers_kill_timeout=max(DRAIN, int(http.request_timeout) + 5),
    ).serve(target_loader=_application, wrap_loader=False)


def _application() -> "Entry":
    """The application of one worker process, made there."""
    # The main process's handler came along and does nothing here; granian sets the worker's own once this returns.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    from pegboard.web.asgi import create

    wait_for_start()
    return create()
