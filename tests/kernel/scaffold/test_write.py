"""Making a project: all of it or nothing, and only under a name that a plugin can have."""

import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from pegboard.cli import main
from pegboard.scaffold.render import render
from pegboard.scaffold.request import LICENCES, ScaffoldError, ScaffoldRequest
from pegboard.scaffold.write import write_project

LONGEST = "a" * 26 + "_abcde"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize("name", ["a", "reviews", LONGEST])
def test_its_style_is_kept_whatever_the_name(tmp_path: Path, name: str) -> None:
    write_project(ScaffoldRequest(name=name), tmp_path / "made", NOW)

    for arguments in (["check", "."], ["format", "--check", "."]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *arguments],
            cwd=tmp_path / "made",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


def test_nothing_of_a_template_is_left(tmp_path: Path) -> None:
    for path, text in render(ScaffoldRequest(name="reviews"), NOW).items():
        assert "§" not in text, path
        assert "NAME" not in path
    assert "pegboard_reviews/migrations/reviews_2026_11_24_0001.py" in render(ScaffoldRequest(name="reviews"), NOW)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Reviews", "snake_case"),
        ("2nd", "snake_case"),
        ("order__reviews", "snake_case"),
        (f"{LONGEST}f", "at most 32"),
        ("class", "keyword"),
        ("finance", "installed here"),
        ("sdk", "no plugin"),
        ("health", "reserved"),
        ("kernel_notes", "reserved"),
    ],
)
def test_a_name_that_no_plugin_can_have_is_refused(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(ScaffoldError, match=says):
        write_project(ScaffoldRequest(name=name), tmp_path / "made", NOW)

    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("here")

    with pytest.raises(ScaffoldError, match="not empty"):
        write_project(ScaffoldRequest(name="reviews"), tmp_path, NOW)
    with pytest.raises(ScaffoldError, match="is no folder"):
        write_project(ScaffoldRequest(name="reviews"), tmp_path / "mine", NOW)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_an_empty_folder_is_taken_unless_one_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(ScaffoldError, match="you are in it"):
        write_project(ScaffoldRequest(name="reviews"), Path(), NOW)
    monkeypatch.chdir(tmp_path)

    files = write_project(ScaffoldRequest(name="reviews"), Path("empty"), NOW)

    found = {path.relative_to("empty").as_posix() for path in Path("empty").rglob("*") if path.is_file()}
    assert found == set(files)
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_whatever_a_person_writes_lands_in_the_files_as_text(tmp_path: Path) -> None:
    summary, author = 'Says "hi" \\ and ünïcode, $HOME, §{plugin}.', 'O\'Neil "Nil" \\'
    write_project(ScaffoldRequest(name="reviews", summary=summary, author=author, licence="MIT"), tmp_path / "m", NOW)

    project = tomllib.loads((tmp_path / "m" / "pyproject.toml").read_text())["project"]
    manifest = tomllib.loads((tmp_path / "m" / "pegboard_reviews" / "plugin.toml").read_text())
    assert (project["description"], project["authors"], project["license"]) == (summary, [{"name": author}], "MIT")
    assert manifest["summary"] == summary
    assert f"Copyright (c) 2026 {author}" in (tmp_path / "m" / "LICENSE").read_text()
    with pytest.raises(ScaffoldError, match="--summary"):
        write_project(ScaffoldRequest(name="reviews", summary="two\nlines"), tmp_path / "n", NOW)


def test_each_licence_has_its_text() -> None:
    for licence in LICENCES:
        assert render(ScaffoldRequest(name="reviews", licence=licence), NOW)["LICENSE"].strip()
    with pytest.raises(ScaffoldError, match=r"one of Apache-2\.0"):
        write_project(ScaffoldRequest(name="reviews", licence="GPL"), Path("never"), NOW)


def test_the_command_says_what_is_next_or_what_is_wrong(tmp_path: Path) -> None:
    target = str(tmp_path / "made")

    made = CliRunner().invoke(main, ["plugins", "new", "reviews", "--path", target])
    again = CliRunner().invoke(main, ["plugins", "new", "reviews", "--path", target])

    assert (made.exit_code, again.exit_code) == (0, 2)
    assert "pegboard plugins enable reviews" in made.output
    assert "not empty" in again.stderr
