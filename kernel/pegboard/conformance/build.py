"""Builds the wheel of a checkout, in a process of its own and from a copy, which leaves the checkout as it is."""

import importlib.util
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from pegboard.conformance.project import Project

__all__ = ("BuildError", "build_wheel", "contents", "unavailable")

_SECONDS = 150
_NOT_SOURCE = shutil.ignore_patterns(".git", ".venv*", "venv", "node_modules", "__pycache__", "dist", "build", "var")
_BUILD = """
import importlib, sys
sys.path[:0] = [path for path in sys.argv[3:]]
module, _, attribute = sys.argv[1].partition(":")
backend = importlib.import_module(module)
for name in filter(None, attribute.split(".")):
    backend = getattr(backend, name)
print(backend.build_wheel(sys.argv[2]))
"""


class BuildError(Exception):
    """The wheel can't be built; the text says why."""


def unavailable(project: Project) -> str | None:
    """Why the wheel can't be built here; None where it can. Nothing is installed for it."""
    backend = _backend(project)
    if importlib.util.find_spec(backend.partition(":")[0].partition(".")[0]) is None:
        return f"its build back-end {backend} is not installed here: install it, or check the wheel"
    return None


def build_wheel(project: Project) -> Path:
    """The wheel of a checkout, as PEP 517 has it, in the project's scratch folder.

    Raises:
        BuildError: the build back-end failed.
    """
    assert project.project is not None
    folder = Path(tempfile.mkdtemp(dir=project.scratch))
    copy = folder / "project"
    shutil.copytree(project.project, copy, ignore=_NOT_SOURCE, symlinks=True)
    inside = project.pyproject.get("build-system", {}).get("backend-path", [])
    command = [sys.executable, "-P", "-c", _BUILD, _backend(project), str(folder), *(str(copy / one) for one in inside)]
    try:
        # The back-end is whatever the project names: building a project runs its code, here as with pip.
        done = subprocess.run(  # noqa: S603
            command, cwd=copy, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise BuildError(f"the wheel took longer than {_SECONDS} s to build") from None
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise BuildError(f"the wheel can't be built: {last[0]}")
    return folder / done.stdout.strip().splitlines()[-1]


def contents(wheel: Path) -> frozenset[str]:
    """The names of a wheel's files."""
    with zipfile.ZipFile(wheel) as archive:
        return frozenset(archive.namelist())


def _backend(project: Project) -> str:
    # PEP 517: without the table it is setuptools' old way.
    return project.pyproject.get("build-system", {}).get("build-backend", "setuptools.build_meta:__legacy__")
