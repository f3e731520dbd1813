"""`emulate`'s identity providers: GitHub, Google, Apple, Okta and Microsoft, as a company would meet them."""

import json
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.processes import until

__all__ = ("emulated", "installed")

COUNTERPARTIES = Path(__file__).parents[1] / "counterparties"


def installed() -> bool:
    """Whether `make counterparties` was run."""
    return (COUNTERPARTIES / "node_modules" / "emulate").is_dir()


@contextmanager
def emulated(service: str, seed: Mapping[str, Any], log: Path) -> Iterator[str]:
    """A running service; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["node", str(COUNTERPARTIES / "emulate.mjs"), service, str(port), json.dumps({service: seed})]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        until(lambda: process.poll() is not None or "listening on" in log.read_text())
        assert process.poll() is None, f"{service} did not start: {log.read_text()}"
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)
