"""aimock as a language model's server: it speaks OpenAI's API, and fails as `models.json` says."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any, Self

import httpx

from tests.support.processes import until

__all__ = ("COUNTERPARTIES", "KEY", "AIMock")

COUNTERPARTIES = Path(__file__).parents[1] / "counterparties"
COMMAND = COUNTERPARTIES / "node_modules" / ".bin" / "llmock"
KEY = "sk-planted-key"
"""The only key that it takes. It is in the texts of its failures too, as some providers have it."""
LISTENING = re.compile(r"listening on (http://127\.0\.0\.1:\d+)")


class AIMock:
    """A running server; `base_url` is what the plugin is told."""

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        self._process = process
        self._client = httpx.Client(base_url=url, headers={"authorization": f"Bearer {KEY}"})
        self.base_url = f"{url}/v1"

    @classmethod
    def installed(cls) -> bool:
        """Whether `make counterparties` was run."""
        return COMMAND.exists()

    @classmethod
    def start(cls, folder: Path) -> Self:
        """Start it on a free port; its log is in `folder`."""
        log = folder / "aimock.log"
        fixtures = COUNTERPARTIES / "models.json"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [COMMAND, "-h", "127.0.0.1", "-p", "0", "-f", fixtures, "--strict", "--journal-max", "0"],
                env={**os.environ, "AIMOCK_API_KEYS": KEY},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            until(lambda: process.poll() is not None or LISTENING.search(log.read_text()) is not None)
            found = LISTENING.search(log.read_text())
            assert found is not None, f"aimock did not start: {log.read_text()}"
        except BaseException:
            process.kill()
            process.wait()
            raise
        return cls(process, found[1])

    def stop(self) -> None:
        """End it."""
        self._client.close()
        self._process.terminate()
        self._process.wait(10)

    def requests(self, text: str) -> list[dict[str, Any]]:
        """The requests that came with `text` in their last message, in their order."""
        answer = self._client.get("/__aimock/journal").raise_for_status()
        bodies = [entry["body"] for entry in answer.json()]
        return [body for body in bodies if body and text in body["messages"][-1]["content"]]
