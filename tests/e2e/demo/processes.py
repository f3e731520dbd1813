"""What the demo starts: a platform on a free port, and a language model; both end with it."""

import contextlib
import os
import secrets
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from tests.e2e.demo.api import Surprise, Transcript

__all__ = ("Platform", "running_model", "running_platform")

ADMINISTRATOR = "admin@pegboard.example"
STOP_TIMEOUT = 90


class Platform(msgspec.Struct, frozen=True):
    """A platform to play on. `command` is how its own commands are run, from `folder`."""

    url: str
    administrator: str
    password: str
    command: Sequence[str]
    folder: Path

    def set_secret(self, name: str, text: str) -> None:
        """Store a secret in the vault, as its administrator does.

        Raises:
            Surprise: the command failed.
        """
        done = subprocess.run(
            [*self.command, "secrets", "set", name],
            cwd=self.folder,
            input=text.encode(),
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            raise Surprise(f"pegboard secrets set {name}: {done.stderr.decode().strip()}")


@contextlib.contextmanager
def running_platform(command: str, transcript: Transcript) -> Iterator[Platform]:
    """Start `pegboard up` on a free port with data of its own, and stop it at the end.

    Raises:
        Surprise: it did not start, or did not stop cleanly.
    """
    words = [str(Path(word).absolute()) if os.sep in word else word for word in shlex.split(command)]
    password = secrets.token_urlsafe(18)
    with tempfile.TemporaryDirectory(prefix="pegboard-demo-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # as root PostgreSQL runs as another user, who must get in
        subprocess.run([*words, "config", "init"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        env = {
            **os.environ,
            "PEGBOARD_ADMINISTRATOR__EMAIL": ADMINISTRATOR,
            "PEGBOARD_ADMINISTRATOR__PASSWORD": password,
        }
        log = folder / "log"
        with log.open("wb") as errors:
            process = subprocess.Popen(
                [*words, "up", "--port", "0"], cwd=folder, env=env, stdout=subprocess.PIPE, stderr=errors
            )
        try:
            url = _ready(process, transcript, log)
            yield Platform(url, ADMINISTRATOR, password, words, folder)
        finally:
            process.terminate()
            try:
                status = process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                status = process.wait()
        if status != 0:
            raise Surprise(f"the platform ended with status {status}: {log.read_text()[-2000:]}")
        transcript.line("the platform stopped cleanly")


def _ready(process: subprocess.Popen[bytes], transcript: Transcript, log: Path) -> str:
    assert process.stdout is not None
    for raw in process.stdout:
        line = raw.decode().rstrip()
        if line.startswith("ready "):
            return line.split()[1]
        transcript.line(line.strip())
    raise Surprise(f"the platform did not start: {log.read_text()[-2000:]}")


@contextlib.contextmanager
def running_model(python: str) -> Iterator[str]:
    """Serve SmolLM2 with the interpreter of the demo's own environment. Gives the base URL of its API.

    Raises:
        Surprise: it did not start.
    """
    script = Path(__file__).with_name("model_server.py")
    process = subprocess.Popen(
        [python, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().decode().strip()
        if not url:
            raise Surprise(f"the language model did not start: {python} {script}")
        yield url
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
