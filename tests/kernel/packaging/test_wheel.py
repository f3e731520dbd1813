"""The wheel holds all that an installation needs, nothing else, and comes out the same wherever it is built."""

import email
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGING = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = PACKAGING["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
INPUTS = ("pyproject.toml", "plugins.toml", "README.md", "LICENSE", ".gitignore", "migrations", *PACKAGES)


def build(tree: Path, into: Path, *, umask: int) -> Path:
    """Build the wheel of a tree, without the network."""
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(into)],
        cwd=tree,
        env={**os.environ, "SOURCE_DATE_EPOCH": "1790000000"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        umask=umask,
        timeout=120,
    )
    (wheel,) = into.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("here"), umask=0o022)


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


def sources(folder: Path) -> set[str]:
    """The files below a folder that git would take."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }


def test_it_holds_every_file_of_every_package(names: set[str]):
    for package in PACKAGES:
        folder = ROOT / package
        assert {f"{folder.name}/{name}" for name in sources(folder)} <= names


def test_it_holds_the_migrations_and_the_template(names: set[str]):
    migrations = {f"pegboard/_migrations/{name}" for name in sources(ROOT / "migrations")}

    assert migrations
    assert migrations <= names
    assert "pegboard/_plugins.toml" in names


def test_each_plugin_brings_its_manifest(names: set[str]):
    entry_points = PACKAGING["project"]["entry-points"]["pegboard.plugins"]

    assert {f"{module.partition('.')[0]}/plugin.toml" for module in entry_points.values()} <= names


def test_the_kernel_and_the_sdk_are_typed(names: set[str]):
    assert {"pegboard/py.typed", "pegboard_sdk/py.typed"} <= names


def test_it_holds_nothing_else(names: set[str]):
    tops = {name.partition("/")[0] for name in names}

    assert tops == {Path(package).name for package in PACKAGES} | {"pegboard-0.1.0.dist-info"}
    assert not {name for name in names if "__pycache__" in name or name.endswith(".pyc")}


def test_its_metadata_names_the_licence_and_the_commands(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        metadata = email.message_from_bytes(archive.read("pegboard-0.1.0.dist-info/METADATA"))
        entry_points = archive.read("pegboard-0.1.0.dist-info/entry_points.txt").decode()
        licence = archive.read("pegboard-0.1.0.dist-info/licenses/LICENSE")

    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert licence == (ROOT / "LICENSE").read_bytes()
    assert "pegboard = pegboard.cli:main" in entry_points
    assert "[pegboard.plugins]" in entry_points


def test_it_comes_out_the_same_elsewhere(wheel: Path, tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    ignored = shutil.ignore_patterns("__pycache__")
    for name in INPUTS:
        source, target = ROOT / name, elsewhere / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():  # copied without times and modes, which a clone has of its own too
            shutil.copytree(source, target, ignore=ignored, copy_function=shutil.copyfile)
        else:
            shutil.copyfile(source, target)

    again = build(elsewhere, tmp_path, umask=0o077)

    assert again.read_bytes() == wheel.read_bytes()
