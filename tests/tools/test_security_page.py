"""The checklist in docs/security.md: what it points at is there, nothing is left out, and it counts right."""

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
STATES = ("met", "in part", "not met", "does not apply")

ROW = re.compile(r"^\| (\d+)\.(\d+)\.(\d+) \| (.+?) \| (.+?) \| (.+) \|$", re.MULTILINE)
POINTER = re.compile(
    r"`((?:\.ci|\.github|docs|kernel|migrations|plugins|sdk|tests)/[\w./-]+|[\w.-]+\.(?:md|toml|lock)|Makefile)(?:::(\w+))?`"
)
TOTALS = re.compile(r"^\| (?:V(\d+) .+?|all) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", re.MULTILINE)

# ASVS 4.0.3, levels 1 and 2, by section: how far its numbers go, and which of them are deleted or level 3's.
LAST = {
    "1.1": 7, "1.2": 4, "1.4": 5, "1.5": 4, "1.6": 4, "1.7": 2, "1.8": 2, "1.9": 2, "1.10": 1, "1.11": 2, "1.12": 2,
    "1.14": 6, "2.1": 12, "2.2": 3, "2.3": 3, "2.4": 5, "2.5": 7, "2.6": 3, "2.7": 6, "2.8": 7, "2.9": 3, "2.10": 4,
    "3.1": 1, "3.2": 4, "3.3": 4, "3.4": 5, "3.5": 3, "3.7": 1, "4.1": 5, "4.2": 2, "4.3": 3, "5.1": 5, "5.2": 8,
    "5.3": 10, "5.4": 3, "5.5": 4, "6.1": 3, "6.2": 6, "6.3": 2, "6.4": 2, "7.1": 4, "7.2": 2, "7.3": 4, "7.4": 3,
    "8.1": 4, "8.2": 3, "8.3": 8, "9.1": 3, "9.2": 4, "10.2": 2, "10.3": 3, "11.1": 8, "12.1": 3, "12.2": 1,
    "12.3": 6, "12.4": 2, "12.5": 2, "12.6": 1, "13.1": 5, "13.2": 6, "13.3": 2, "13.4": 2, "14.1": 4, "14.2": 6,
    "14.3": 3, "14.4": 7, "14.5": 4,
}  # fmt: skip
LEFT_OUT = {"1.4.2", "1.4.3", "1.12.1", "4.1.4", "7.3.2", "13.1.2", "13.2.4", "14.3.1"}


def test_every_requirement_has_its_line_in_order() -> None:
    there = [".".join(row[:3]) for row in ROW.findall(PAGE)]
    asked = [f"{section}.{number}" for section, last in LAST.items() for number in range(1, last + 1)]
    assert there == [number for number in asked if number not in LEFT_OUT]


def test_every_line_has_a_state_and_says_where_or_why() -> None:
    for chapter, section, number, _, state, where in ROW.findall(PAGE):
        assert state in STATES, f"{chapter}.{section}.{number}"
        if state in ("met", "in part"):
            assert POINTER.search(where) or "](#" in where, f"{chapter}.{section}.{number} points at nothing"


def test_what_it_names_is_there() -> None:
    named = POINTER.findall(PAGE)
    assert len(named) > 200
    for path, test in named:
        assert (ROOT / path).exists(), path
        assert not test or f"def {test}(" in (ROOT / path).read_text(encoding="utf-8"), f"{path}::{test}"


def test_the_counts_are_right() -> None:
    counted: dict[str, Counter[str]] = {}
    for chapter, _, _, _, state, _ in ROW.findall(PAGE):
        for key in (chapter, ""):
            counted.setdefault(key, Counter())[state] += 1
    told = {chapter: [int(number) for number in numbers] for chapter, *numbers in TOTALS.findall(PAGE)}
    assert told == {key: [states[state] for state in STATES] for key, states in counted.items()}
    assert f"{counted[''].total()} requirements:" in PAGE
