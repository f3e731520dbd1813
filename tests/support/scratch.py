"""An environment with Pegboard and a plugin installed from their wheels, as an administrator would have it."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

__all__ = ("build_wheel", "make_environment")

ROOT = Path(__file__).parents[2]
_NOT_SOURCE = shutil.ignore_patterns(".git", ".venv*", ".pytest_cache", ".ruff_cache", "__pycache__", "*.egg-info")
_NOT_SOURCE_AT_THE_TOP = {"dist", "tests", "var"}


def build_wheel(project: Path, into: Path) -> Path:
    """Build a project's wheel without the network, from a copy, so that nothing is left in the checkout."""
    into.mkdir()
    copy = into / "source"
    shutil.copytree(project, copy, ignore=lambda at, names: _ignored(project, str(at), names))
    _run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(into), str(copy)])
    (wheel,) = into.glob("*.whl")
    return wheel


def _ignored(project: Path, at: str, names: list[str]) -> set[str]:
    top = _NOT_SOURCE_AT_THE_TOP if Path(at) == project else set()
    return _NOT_SOURCE(at, names) | (top & set(names))


def make_environment(folder: Path, *wheels: Path) -> Path:
    """Make a virtual environment in `folder` with the wheels; gives its interpreter.

    What they depend on comes from our own site-packages, which come after the environment's: a `.pth` file adds the
    folder, and `.pth` files in it (such as the one of an editable install) are not read.
    """
    venv.create(folder, symlinks=True, with_pip=False)
    python = folder / "bin" / "python"
    _run(
        [sys.executable, "-m", "uv", "pip", "install", "--no-index", "--no-deps", "--offline", "--python", str(python)]
        + [str(wheel) for wheel in wheels]
    )
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "development.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return python


def _run(command: list[str]) -> None:
    result = subprocess.run(
        command,
        env={name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert result.returncode == 0, f"{command}: {result.stdout[-2000:]}{result.stderr[-2000:]}"
