"""The factory that the server calls in each API process."""

import os
import signal
from pathlib import Path

from pegboard.config.load import load_config
from pegboard.telemetry.logging import configure_logging
from pegboard.telemetry.tracing import configure_tracing
from pegboard.web.entry import Entry

__all__ = ("create",)


def create() -> Entry:
    """The ASGI application of the configuration that `PEGBOARD_CONFIG` and the environment give."""
    path = os.environ.get("PEGBOARD_CONFIG")
    config = load_config(Path(path) if path else None)
    access_log = configure_logging(config.log)
    configure_tracing("pegboard-api")
    return Entry(config, access_log, stop_signals=(signal.SIGTERM, signal.SIGINT))
