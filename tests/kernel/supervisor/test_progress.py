"""What a person or a program that watches the start reads."""

import io

import pytest
from pegboard.supervisor.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Gone(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


async def test_elsewhere_there_are_plain_lines() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    async with progress.step("Database") as step:
        step.detail = "up to date"
    progress.say("ready")
    first, second = stream.getvalue().splitlines()
    assert first.startswith("  ✓ Database: up to date (0.")
    assert second == "ready"
    assert "\x1b" not in stream.getvalue()


async def test_on_a_terminal_the_step_under_way_is_shown_and_replaced() -> None:
    stream = Terminal()
    async with Progress(stream).step("Database"):
        assert stream.getvalue().endswith("… Database\x1b[0m")
    assert stream.getvalue().count("\n") == 1


async def test_a_step_that_fails_is_not_said_to_be_done() -> None:
    stream = io.StringIO()
    with pytest.raises(OSError, match="no"):
        async with Progress(stream).step("Database"):
            raise OSError("no")
    assert stream.getvalue() == ""


async def test_a_reader_that_went_away_stops_nothing() -> None:
    progress = Progress(Gone())
    async with progress.step("Database"):
        progress.say("line")
