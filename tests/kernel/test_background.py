"""Background work goes on after what it did not expect, and somebody can read what that was."""

import asyncio

import pytest
from pegboard import background
from pegboard.background import supervised, worth_telling
from structlog.testing import capture_logs


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "PAUSE", 0.0)


async def test_work_that_failed_is_told_and_begins_again() -> None:
    attempts = 0

    async def work() -> None:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise ZeroDivisionError

    with capture_logs() as lines:
        await supervised("counting", work)
    assert attempts == 3
    assert [(line["event"], line["task"], line["exc_info"]) for line in lines] == [
        ("background.failed", "counting", True)
    ] * 2


async def test_cancelling_ends_it() -> None:
    begun = asyncio.Event()

    async def work() -> None:
        begun.set()
        await asyncio.Event().wait()

    task = supervised("waiting", work)
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_an_outage_is_told_ever_more_rarely() -> None:
    assert [n for n in range(1, 100) if worth_telling(n)] == [1, 2, 4, 8, 16, 32, 64]
