import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


def open_folder() -> Path:
    """A folder that every user may enter, unlike pytest's own, with a path short enough for sockets."""
    path = Path(tempfile.mkdtemp(prefix="pegboard-test-"))
    path.chmod(0o755)
    return path


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder."""
    path = open_folder()
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Path]:
    """The folder of a PostgreSQL, for all tests of a file: initialising costs a second. No server runs between
    tests.
    """
    path = open_folder()
    yield path / "postgres"
    shutil.rmtree(path)
