"""An import that ends its process is known afterwards, and after the second one the plugin is left out."""

import subprocess
import sys
from pathlib import Path

import pytest
from pegboard.plugins.import_marks import ImportMarks

CRASH = """
import os, sys
from pathlib import Path
from pegboard.plugins.import_marks import ImportMarks

with ImportMarks(Path(sys.argv[1])).importing("crasher", sys.argv[2]):
    os._exit(7)
"""


def crash(var: Path, version: str = "1.0.0") -> None:
    """A process that ends while it imports the plugin."""
    done = subprocess.run([sys.executable, "-c", CRASH, str(var), version], check=False)
    assert done.returncode == 7


def test_two_processes_in_a_row_that_end_are_a_crash(tmp_path: Path) -> None:
    marks = ImportMarks(tmp_path)
    crash(tmp_path)
    assert (marks.left(), marks.crashed()) == (["crasher"], {})
    crash(tmp_path)

    assert marks.crashed() == {"crasher": ("1.0.0", "2 processes in a row ended while they imported it")}


def test_an_import_that_goes_well_forgives(tmp_path: Path) -> None:
    marks = ImportMarks(tmp_path)
    crash(tmp_path)
    with marks.importing("crasher", "1.0.0"):
        assert marks.crashed() == {}
    crash(tmp_path)

    assert marks.crashed() == {}


def test_one_that_raises_has_not_ended_the_process(tmp_path: Path) -> None:
    marks = ImportMarks(tmp_path)
    with pytest.raises(ValueError, match="no ink"), marks.importing("broken", "1.0.0"):
        raise ValueError("no ink")

    assert marks.left() == []


def test_another_version_begins_anew(tmp_path: Path) -> None:
    crash(tmp_path)
    crash(tmp_path, "2.0.0")

    assert ImportMarks(tmp_path).crashed() == {}


def test_an_import_under_way_in_a_living_process_is_no_strike(tmp_path: Path) -> None:
    with ImportMarks(tmp_path).importing("slow", "1.0.0"):
        assert ImportMarks(tmp_path).left() == []


def test_a_folder_that_cannot_be_written_to_keeps_nothing_from_being_imported(tmp_path: Path) -> None:
    (tmp_path / "imports").write_text("a file where the folder should be")
    reached = False
    with ImportMarks(tmp_path).importing("well", "1.0.0"):
        reached = True

    assert reached
