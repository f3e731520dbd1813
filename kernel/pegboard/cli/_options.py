"""Options that stand for settings: they go the way of environment variables, and are checked as those are."""

import os
from pathlib import Path
from typing import Any

import click

from pegboard.cli import CommandLine
from pegboard.config.load import load_config
from pegboard.config.model import Config

__all__ = ("host_option", "overridden", "port_option")

host_option = click.option("--host", metavar="HOST", help="Where the API listens. Default: http.host, 127.0.0.1.")
port_option = click.option("--port", metavar="PORT", help="Its port; 0 is any free one. Default: http.port, 8000.")


def overridden(cli: CommandLine, **given: Any) -> tuple[Config, dict[str, str]]:
    """The configuration with the options that were given (`HTTP__PORT="8000"`), and the variables that say the same.

    Raises:
        ConfigError: it has a mistake.
    """
    variables = {f"PEGBOARD_{name}": _text(value) for name, value in given.items() if value is not None}
    return load_config(cli.path, {**os.environ, **variables}), variables


def _text(value: Any) -> str:
    return str(value.absolute()) if isinstance(value, Path) else str(value)
