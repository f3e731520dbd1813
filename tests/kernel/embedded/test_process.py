"""The guard: what it guards ends in time, with everything that it started."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
from pegboard.embedded.process import GuardedProcess

from tests.support.processes import left_of

STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if child:
    print(child, flush=True)
time.sleep(600)
"""


async def test_it_gives_the_exit_status_and_the_signal() -> None:
    assert await GuardedProcess(["sh", "-c", "exit 7"]).wait() == 7
    process = GuardedProcess(["sleep", "600"])
    os.kill(process.pid, signal.SIGKILL)
    assert await process.wait() == 128 + signal.SIGKILL
    assert process.returncode == 128 + signal.SIGKILL


async def test_a_command_that_is_not_there_says_so(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as out:
        assert await GuardedProcess([tmp_path / "missing"], stderr=out).wait() == 127
    assert f"can't run {tmp_path / 'missing'}: No such file or directory" in (tmp_path / "out").read_text()


async def test_stop_sends_the_stop_signal() -> None:
    process = GuardedProcess(["sleep", "600"], stop_signal=signal.SIGINT)
    assert await process.stop() == 128 + signal.SIGINT


async def test_what_ignores_the_stop_signal_is_killed_after_the_grace_with_its_children() -> None:
    process = GuardedProcess([sys.executable, "-c", STUBBORN], grace=0.2, stdout=subprocess.PIPE)
    assert process.stdout
    grandchild = psutil.Process(int(await asyncio.to_thread(process.stdout.readline)))
    assert await process.stop() == 128 + signal.SIGKILL
    assert left_of([grandchild]) == []


async def test_children_that_outlive_their_parent_are_killed() -> None:
    process = GuardedProcess(["sh", "-c", "sleep 600 & echo $!"], stdout=subprocess.PIPE)
    assert process.stdout
    grandchild = psutil.Process(int(await asyncio.to_thread(process.stdout.readline)))
    assert await process.wait() == 0
    assert left_of([grandchild]) == []


async def test_the_signals_of_a_terminal_do_not_reach_the_command() -> None:
    process = GuardedProcess(["sleep", "600"])
    os.kill(process.guard_pid, signal.SIGINT)
    os.kill(process.guard_pid, signal.SIGTERM)
    assert os.getsid(process.guard_pid) != os.getsid(0)
    assert os.getsid(process.pid) not in (os.getsid(0), os.getsid(process.guard_pid))
    process.kill()
    assert await process.wait() == 128 + signal.SIGKILL


async def test_the_command_starts_with_ordinary_signal_dispositions() -> None:
    process = GuardedProcess(["grep", "SigIgn", "/proc/self/status"], stdout=subprocess.PIPE)
    assert process.stdout
    line = await asyncio.to_thread(process.stdout.readline)
    assert (
        int(line.split()[1], 16) & (1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGINT - 1) | 1 << (signal.SIGTERM - 1))
        == 0
    )
    await process.wait()
