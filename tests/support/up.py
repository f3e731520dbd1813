"""`pegboard up` as a process of its own, on a folder of its own, for tests that start and end it."""

import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import psutil

from tests.support.processes import left_of

__all__ = ("Refusal", "Up", "refused")

PLUGINS = ("ai_providers", "creation_studio", "finance", "governance", "integrations")
READY = re.compile(r"ready (http://\S+)")
START_TIMEOUT = 240.0
STOP_TIMEOUT = 60.0


class Refusal(msgspec.Struct, frozen=True):
    """How a start ended that was refused."""

    status: int
    stdout: str
    stderr: str


def write_config(folder: Path) -> Path:
    """A configuration with all built-in plugins on; the data folder is `var` beside it."""
    path = folder / "plugins.toml"
    path.write_text("\n".join(["[pegboard]", *(f"[plugins.{name}]\nenabled = true" for name in PLUGINS)]) + "\n")
    return path


def environment(config: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """Ours, without what the test run set for itself."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PEGBOARD_")}
    return {**kept, "PEGBOARD_CONFIG": str(config), **extra}


def refused(config: Path, *arguments: str, timeout: float = 30.0, **env: str) -> Refusal:
    """Run `pegboard up`, which is expected to end by itself."""
    result = subprocess.run(
        [sys.executable, "-m", "pegboard", "up", *arguments],
        env=environment(config, env),
        cwd=config.parent,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Refusal(result.returncode, result.stdout, result.stderr)


class Up:
    """A running `pegboard up` on a free port. As a context manager it is ready inside, and gone afterwards."""

    def __init__(
        self,
        config: Path,
        *,
        python: Sequence[str] = (sys.executable,),
        user: str | int | None = None,
        env: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        self.config = config
        self.lines: list[str] = []
        self.log = config.parent / "up.log"
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._began = time.monotonic()
        self.seconds = 0.0
        self.url = ""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*python, "-P", "-m", "pegboard", "up", "--port", "0", *arguments],
                env=environment(config, env or {}),
                cwd=config.parent,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                user=user,
                group=None if user is None else "nogroup",
                extra_groups=None if user is None else [],
            )
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Self:
        try:
            self.wait_until_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.kill()

    @property
    def port(self) -> int:
        """Of the API."""
        return int(self.url.rpartition(":")[2])

    @property
    def run(self) -> dict[str, int]:
        """The process ids, by name, that the run file names."""
        return msgspec.json.decode((self.config.parent / "var" / "run.json").read_bytes())["processes"]

    def wait_until_ready(self) -> None:
        """Read lines until the one that says ready."""
        while not self.url:
            try:
                line = self._lines.get(timeout=max(0.0, self._began + START_TIMEOUT - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"not ready in {START_TIMEOUT} s: {self.lines} {self._log()}") from None
            if line is None:
                raise AssertionError(f"ended at its start: {self.lines} {self._log()}")
            self.lines.append(line)
            if match := READY.match(line):
                self.url = match[1]
        self.seconds = time.monotonic() - self._began

    def all_processes(self) -> list[psutil.Process]:
        """Everything that it started, directly or not."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end; gives the exit status, after checking that nothing was left."""
        processes = self.all_processes()
        assert processes
        self.process.send_signal(number)
        status = self.process.wait(STOP_TIMEOUT)
        left = left_of(processes)
        assert left == [], f"still there after {number.name}: {[process.cmdline() for process in left]}"
        return status

    def kill(self) -> None:
        """End it at once; nothing is checked."""
        processes = self.all_processes() if self.process.poll() is None else []
        self.process.kill()
        self.process.wait()
        left_of(processes)

    def rest(self) -> list[str]:
        """The lines that came after the ready line, once it has ended."""
        rest: list[str] = []
        while (line := self._lines.get(timeout=10)) is not None:
            rest.append(line)
        return rest

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def _log(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]
