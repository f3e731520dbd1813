import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


def open_folder() -> Path:
    """A folder that every user may enter, unlike pytest's own, with a path short enough for sockets."""
    path = Path(tempfile.mkdtemp(prefix="pegboard-e2e-"))
    path.chmod(0o755)
    return path


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder."""
    path = open_folder()
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def shared_folder() -> Iterator[Path]:
    """An empty folder for all tests of a file."""
    path = open_folder()
    yield path
    shutil.rmtree(path)
