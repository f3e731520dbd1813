"""A start that fails is tried again for as long as each attempt tells something new of a plugin."""

from pathlib import Path

from pegboard.plugins.start_marks import StartMarks
from pegboard.supervisor.lessons import ATTEMPTS, Lessons

from tests.kernel.plugins.test_start_marks import crash


def test_three_in_a_row_that_teach_nothing_are_enough(tmp_path: Path) -> None:
    lessons = Lessons(StartMarks(tmp_path), 10)

    assert [lessons.another() for _ in range(ATTEMPTS)] == [True, True, False]
    assert not lessons.learned


def test_each_that_names_a_plugin_is_worth_another(tmp_path: Path) -> None:
    marks = StartMarks(tmp_path)
    lessons = Lessons(marks, 5)
    for number in range(5):
        for _ in range(2):
            crash(tmp_path, f"broken_{number}")
            assert lessons.another()
            assert lessons.learned
            assert f"importing broken_{number}" in lessons.amid
    assert not all(lessons.another() for _ in range(ATTEMPTS))


def test_there_is_an_end_to_it(tmp_path: Path) -> None:
    lessons = Lessons(StartMarks(tmp_path), 1)
    tried = 0
    while lessons.another():
        crash(tmp_path)
        tried += 1

    assert tried == ATTEMPTS + 2 - 1
