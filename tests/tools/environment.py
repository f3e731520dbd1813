"""Makes the virtual environment that the Makefile works in, or leaves it alone when it is up to date.

    python3 tests/tools/environment.py .venv runtime|dev
    python3 tests/tools/environment.py .venv-demo demo

Everything comes from the lock files with its hash checked; Pegboard itself is installed editable. This runs with the
system's Python before anything is installed: it imports only the standard library, and old Pythons can parse it.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
LOCKS = {
    "runtime": ("requirements.lock", "requirements-build.lock"),
    "dev": ("requirements-dev.lock",),
    "demo": ("requirements-demo.lock",),
}
COVERS = {"runtime": ("runtime",), "dev": ("dev", "runtime"), "demo": ("demo",)}
"""What an installation of each kind brings: development's includes the runtime's."""


class UnusableError(Exception):
    """The environment can't be made; the message says what to do."""


def fingerprint(venv: Path, kind: str) -> str:
    """What the environment was made from: it changes when a lock, the packaging, the interpreter or the place does."""
    digest = hashlib.sha256(f"{venv}\0{ROOT}\0{sys.version}\0{sys.base_prefix}".encode())
    for name in (*LOCKS[kind], "pyproject.toml"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def run(*command: str) -> None:
    """Run a step; its own output stays visible."""
    environ = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    status = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, env=environ).returncode
    if status:
        raise UnusableError("this step failed with status {}: {}".format(status, " ".join(command)))


def create(venv: Path) -> None:
    """A virtual environment with pip; one whose interpreter is gone or another is made anew."""
    python = venv / "bin" / "python"
    probe = "import pip, sys; print(sys.version, sys.base_prefix)"
    if python.exists():
        shown = subprocess.run([str(python), "-c", probe], capture_output=True, text=True)
        if shown.stdout.strip() == f"{sys.version} {sys.base_prefix}":
            return
    print(f"pegboard: making {venv} with Python {sys.version.split()[0]}", flush=True)
    try:
        run(sys.executable, "-m", "venv", "--clear", str(venv))
    except UnusableError as error:
        raise UnusableError(f"{error}\nOn Debian and Ubuntu: apt-get install python3-venv") from error


def install(venv: Path, kind: str) -> None:
    """The locks, then Pegboard; the demo's model server is apart from it and comes alone."""
    pip = (str(venv / "bin" / "python"), "-m", "pip", "-qq", "--no-input", "--disable-pip-version-check", "install")
    started = time.monotonic()
    names = " and ".join(LOCKS[kind])
    print(f"pegboard: installing {names}; this takes up to a minute the first time", flush=True)
    files = [argument for name in LOCKS[kind] for argument in ("-r", name)]
    run(*pip, "--require-hashes", "--no-deps", *files)
    if kind != "demo":
        run(*pip, "--no-deps", "--no-build-isolation", "--editable", ".")
    print(f"pegboard: installed in {time.monotonic() - started:.0f} s", flush=True)


def main() -> int:
    """Bring the environment up to date; one process at a time."""
    if sys.version_info < (3, 11):  # noqa: UP036  # this may be an older Python than Pegboard's
        version = ".".join(map(str, sys.version_info[:3]))
        print(f"pegboard: needs Python 3.11 or newer, and this is {version}: make PYTHON=/path/to/python3.11")
        return 2
    venv, kind = Path(sys.argv[1]).absolute(), sys.argv[2]
    stamps = {name: venv / f".pegboard-{name}" for name in LOCKS}
    wanted = fingerprint(venv, kind)
    try:
        with (ROOT / "pyproject.toml").open("rb") as lock:  # any file that is always there
            fcntl.flock(lock, fcntl.LOCK_EX)
            if stamps[kind].is_file() and stamps[kind].read_text() == wanted and (venv / "bin" / "python").exists():
                return 0
            create(venv)
            for stamp in stamps.values():
                stamp.unlink(missing_ok=True)
            install(venv, kind)
            for name in COVERS[kind]:
                stamps[name].write_text(fingerprint(venv, name))
    except (UnusableError, OSError) as error:
        print(f"pegboard: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
