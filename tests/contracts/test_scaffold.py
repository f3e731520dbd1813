"""`pegboard plugins new`: what it makes is installed from its wheel, passes its own tests and is gold, untouched."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.scratch import ROOT, build_wheel, make_environment


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that every user may enter: the servers run as one of their own when the tests are root's."""
    path = Path(tempfile.mkdtemp(prefix="pegboard-scaffold-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def pegboard(folder: Path) -> Path:
    """Pegboard's wheel: the templates must be in it."""
    return build_wheel(ROOT, folder / "pegboard")


@pytest.fixture(scope="module")
def project(folder: Path, pegboard: Path) -> Path:
    """The project that an installed Pegboard makes."""
    python = make_environment(folder / "author", pegboard)
    made = run(python, folder, "pegboard", "plugins", "new", "order_reviews", "--summary", 'Reviews, "honest" ones.')
    assert "pegboard plugins check ." in made
    return folder / "pegboard-order-reviews"


@pytest.fixture(scope="module")
def python(folder: Path, pegboard: Path, project: Path) -> Path:
    """The interpreter of an environment with Pegboard and the plugin, from their wheels."""
    return make_environment(folder / "environment", pegboard, build_wheel(project, folder / "wheel"))


def run(python: Path, where: Path, *arguments: str) -> str:
    """What a module says that ends well. The servers are its own, not those of this run of tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PEGBOARD_", "PYTEST_"))}
    done = subprocess.run(
        [str(python), "-P", "-m", *arguments],
        cwd=where,
        env=kept,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_its_own_tests_pass(python: Path, project: Path) -> None:
    assert "12 passed" in run(python, project, "pytest", "-q", "-p", "no:cacheprovider")


def test_it_is_gold(python: Path, project: Path) -> None:
    report = json.loads(run(python, project, "pegboard", "plugins", "check", ".", "--tier", "gold", "--json"))

    assert report["tier"] == "gold"


def test_what_the_page_on_testing_shows_works_in_it(python: Path, project: Path) -> None:
    page = (ROOT / "docs" / "testing-a-plugin.md").read_text()
    shown = dict(re.findall(r"`((?:tests|pegboard_reviews)/[^`]+)`:\n\n```python\n(.*?)```", page, re.DOTALL))
    assert set(shown) == {"tests/conftest.py", "tests/test_page.py", "pegboard_reviews/conformance.py"}
    # The page's plugin has another name.
    for path, text in shown.items():
        file = project / path.replace("pegboard_reviews", "pegboard_order_reviews")
        file.write_text(text.replace("pegboard_reviews", "pegboard_order_reviews").replace("reviews/", "order_reviews/")
                        .replace('"reviews"', '"order_reviews"'))  # fmt: skip

    assert "1 passed" in run(python, project, "pytest", "-q", "-p", "no:cacheprovider", "tests/test_page.py")

    report = json.loads(run(python, project, "pegboard", "plugins", "check", ".", "--tier", "gold", "--json"))
    assert report["tier"] == "gold"
