"""A plugin that ends its process while it is imported or started is known afterwards, and after the second time left
out.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pegboard.plugins import start_marks
from pegboard.plugins.failure import Failure
from pegboard.plugins.start_marks import StartMarks

CRASH = """
import os, sys
from contextlib import ExitStack
from pathlib import Path
from pegboard.plugins.start_marks import StartMarks

marks = StartMarks(Path(sys.argv[1]))
with ExitStack() as under_way:
    for plugin in sys.argv[4:]:
        under_way.enter_context(marks.during(plugin, sys.argv[2], sys.argv[3]))
    os._exit(7)
"""
WAIT = """
import sys
from pathlib import Path
from pegboard.plugins.start_marks import StartMarks

with StartMarks(Path(sys.argv[1])).during("slow", "1.0.0", "import"):
    print("under way", flush=True)
    sys.stdin.read()
"""


def crash(var: Path, *plugins: str, version: str = "1.0.0", cause: str = "import") -> None:
    """A process that ends while it does something with the plugins."""
    command = [sys.executable, "-c", CRASH, str(var), version, cause, *(plugins or ("crasher",))]
    assert subprocess.run(command, check=False).returncode == 7


@contextmanager
def under_way(var: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that imports the plugin `slow` inside the block."""
    command = [sys.executable, "-c", WAIT, str(var)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "under way\n"
        yield process


@pytest.mark.parametrize(
    ("cause", "doing", "told"),
    [
        ("import", "importing crasher", "imported it"),
        ("hook", "calling the hooks of crasher", "called its hooks"),
        ("startup", "running the on_startup of crasher", "ran its on_startup"),
    ],
)
def test_two_processes_in_a_row_that_end_are_a_crash(tmp_path: Path, cause: str, doing: str, told: str) -> None:
    marks = StartMarks(tmp_path)
    crash(tmp_path, cause=cause)
    assert (marks.left(), marks.crashed()) == (doing, {})
    crash(tmp_path, cause=cause)

    (failure,) = marks.crashed().values()
    assert (failure.cause, failure.version) == (cause, "1.0.0")
    assert failure.reason == f"2 processes in a row ended while they {told}"


def test_what_goes_well_forgives_and_only_itself(tmp_path: Path) -> None:
    marks = StartMarks(tmp_path)
    crash(tmp_path)
    crash(tmp_path, cause="startup")
    with marks.during("crasher", "1.0.0", "import"):
        assert marks.crashed() == {}

    assert marks.strikes() == {("crasher", "1.0.0", "startup"): 1}


def test_one_that_raises_has_not_ended_the_process(tmp_path: Path) -> None:
    marks = StartMarks(tmp_path)
    with pytest.raises(ValueError, match="no ink"), marks.during("broken", "1.0.0", "import"):
        raise ValueError("no ink")

    assert marks.left() == ""


def test_another_version_begins_anew(tmp_path: Path) -> None:
    crash(tmp_path)
    crash(tmp_path, version="2.0.0")

    assert StartMarks(tmp_path).crashed() == {}


def test_all_that_were_starting_are_suspects_and_the_one_at_fault_is_found(tmp_path: Path) -> None:
    marks = StartMarks(tmp_path)
    crash(tmp_path, "guilty", "well", cause="startup")
    assert marks.suspects() == {"guilty", "well"}
    with marks.during("well", "1.0.0", "startup"):
        pass
    crash(tmp_path, "guilty", cause="startup")

    assert set(marks.crashed()) == {"guilty"}
    assert marks.suspects() == {"guilty"}


def test_what_blocks_is_known_at_once_and_nobody_else_is_suspected(tmp_path: Path) -> None:
    marks = StartMarks(tmp_path)
    with marks.during("well", "1.0.0", "startup"):
        marks.blame("blocking", "2.0.0", "startup", "it slept")
        assert marks.crashed() == {"blocking": Failure("startup", "it slept", "2.0.0")}
        assert list((tmp_path / "starts").iterdir()) == [next((tmp_path / "starts").glob("blocking-*"))]
    marks.forgive()

    assert set(marks.crashed()) == {"blocking"}


def test_strikes_of_processes_that_somebody_ended_are_forgiven(tmp_path: Path) -> None:
    crash(tmp_path)
    StartMarks(tmp_path).forgive()
    crash(tmp_path)

    assert StartMarks(tmp_path).crashed() == {}


def test_what_is_under_way_in_a_living_process_is_no_strike(tmp_path: Path) -> None:
    with StartMarks(tmp_path).during("slow", "1.0.0", "import"):
        assert StartMarks(tmp_path).left() == ""
    with under_way(tmp_path) as process:
        assert StartMarks(tmp_path).left() == ""
        process.kill()
        process.wait()
        assert StartMarks(tmp_path).left() == "importing slow"


def test_a_process_of_another_container_is_not_taken_for_dead(tmp_path: Path) -> None:
    """Its number means nothing here: in a namespace of its own it is no process of ours, or another one's."""
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", WAIT, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as it:
        assert it.stdin is not None
        assert it.stdout is not None
        if it.stdout.readline() != "under way\n":
            pytest.skip("this user may not make namespaces")
        assert StartMarks(tmp_path).left() == ""
        it.stdin.close()
        assert it.wait(20) == 0

    assert StartMarks(tmp_path).left() == ""


def test_marks_of_another_machine_count_when_they_are_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(start_marks, "_boot", lambda: "elsewhere")
        StartMarks(tmp_path).blame("theirs", "1.0.0", "startup", "it slept")
    assert StartMarks(tmp_path).crashed() == {}
    (file,) = (tmp_path / "starts").iterdir()
    old = time.time() - start_marks.ELSEWHERE - 1
    os.utime(file, (old, old))

    assert set(StartMarks(tmp_path).crashed()) == {"theirs"}


def test_a_block_that_is_given_up_leaves_no_mark_when_its_process_ends(tmp_path: Path) -> None:
    marks = StartMarks(tmp_path)
    with marks.during("stuck", "1.0.0", "import"):
        marks.withdraw("stuck")
        assert list((tmp_path / "starts").iterdir()) == []


def test_a_folder_that_cannot_be_written_to_keeps_nothing_from_being_imported(tmp_path: Path) -> None:
    (tmp_path / "starts").write_text("a file where the folder should be")
    reached = False
    with StartMarks(tmp_path).during("well", "1.0.0", "import"):
        reached = True

    assert reached
