"""The embedded Valkey: private, ours alone, gone when we are gone, and its data there again."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import redis.asyncio
from pegboard.embedded.errors import AlreadyRunningError
from pegboard.embedded.valkey import EmbeddedValkey

from tests.support.processes import left_of

OWNER = """
import sys, time
from pathlib import Path
from pegboard.embedded.valkey import EmbeddedValkey

from tests.support.processes import left_of
server = EmbeddedValkey.start_and_wait(Path(sys.argv[1]))
print(server.pid, server.process.guard_pid, flush=True)
time.sleep(600)
"""


async def test_it_listens_on_a_private_socket_only_and_keeps_its_data(folder: Path) -> None:
    server = await EmbeddedValkey.start(folder / "valkey")
    async with redis.asyncio.Redis.from_url(server.url) as client:
        await client.set("kept", "yes")
        assert (await client.config_get("appendonly"))["appendonly"] == "yes"
    assert psutil.Process(server.pid).net_connections("inet") == []
    assert stat.S_IMODE(server.socket_folder.stat().st_mode) == 0o700
    if os.geteuid() == 0:
        assert psutil.Process(server.pid).uids().real != 0
    with pytest.raises(AlreadyRunningError, match="already runs Valkey"):
        await EmbeddedValkey.start(folder / "valkey")
    await server.stop()
    assert not psutil.pid_exists(server.pid)

    server = await EmbeddedValkey.start(folder / "valkey")
    async with redis.asyncio.Redis.from_url(server.url) as client:
        assert await client.get("kept") == b"yes"
    await server.stop()


async def test_any_path_will_do(folder: Path) -> None:
    server = await EmbeddedValkey.start(folder / "a b, é% c" / "valkey")
    async with redis.asyncio.Redis.from_url(server.url) as client:
        await client.set("kept", "yes")
    await server.stop()


async def test_when_its_owner_is_killed_nothing_is_left_and_it_starts_again(folder: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(folder / "valkey")], stdout=subprocess.PIPE, text=True)
    assert owner.stdout
    line = await asyncio.to_thread(owner.stdout.readline)
    processes = [psutil.Process(int(pid)) for pid in line.split()]
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    server = await EmbeddedValkey.start(folder / "valkey")
    assert left_of(processes) == []
    await server.stop()
