"""A process that is kept running: what ends before it is ready is tried again, and given up at the start."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pegboard.plugins.start_marks import StartMarks
from pegboard.supervisor.child import Child
from pegboard.supervisor.errors import StartError
from pegboard.supervisor.lessons import Lessons
from pegboard.supervisor.readiness import StartGate


@pytest.fixture
def gate() -> Iterator[StartGate]:
    """Already open."""
    gate = StartGate()
    gate.open()
    yield gate
    gate.close()


def child(*arguments: str, started: list[str], gate: StartGate, var: Path) -> Child:
    return Child(
        "example",
        arguments,
        os.environ,
        gate=gate,
        grace=5.0,
        lessons=Lessons(StartMarks(var), 0),
        on_start=lambda: started.append("started"),
        on_failure=lambda: started.append("failed"),
    )


async def test_one_that_always_ends_before_it_is_ready_is_given_up(gate: StartGate, tmp_path: Path) -> None:
    started: list[str] = []
    ending = child("no-such-command", started=started, gate=gate, var=tmp_path)
    ending.start()
    with pytest.raises(StartError, match=r"example ended 3 times at its start \(status 2\)"):
        await ending.ready()
    assert started == ["started"] * 3
    await ending.stop()


async def test_one_that_never_gets_ready_is_ended_and_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pegboard.supervisor.child.START_TIMEOUT", 0.2)
    started: list[str] = []
    closed = StartGate()
    waiting = child("scheduler", started=started, gate=closed, var=tmp_path)
    waiting.start()
    with pytest.raises(StartError, match=r"example was not ready in 0 s"):
        await waiting.ready()
    await waiting.stop()
    closed.close()
    assert started
    assert waiting.pid is None


async def test_what_keeps_it_from_running_is_told(gate: StartGate, tmp_path: Path) -> None:
    started: list[str] = []
    ending = child("no-such-command\0", started=started, gate=gate, var=tmp_path)
    ending.start()
    with pytest.raises(ValueError, match="null byte"):
        await ending.ready()
    assert started == ["failed"]
    with pytest.raises(ValueError, match="null byte"):
        await ending.stop()
