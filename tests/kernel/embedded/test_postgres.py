"""The embedded PostgreSQL: private, ours alone, gone when we are gone, and back after a crash."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import asyncpg
import psutil
import pytest
from pegboard.embedded.errors import AlreadyRunningError, EmbeddedError
from pegboard.embedded.postgres import EmbeddedPostgres

from tests.support.processes import left_of, until

OWNER = """
import sys, time
from pathlib import Path
from pegboard.embedded.postgres import EmbeddedPostgres
server = EmbeddedPostgres.start_and_wait(Path(sys.argv[1]), durable=False)
print(server.url, server.pid, server.process.guard_pid, flush=True)
time.sleep(600)
"""


def owner_of_a_server(folder: Path) -> tuple[subprocess.Popen[str], str, list[psutil.Process]]:
    """A process that runs a server, the server's URL and everything that belongs to it."""
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(folder)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout
    url, server, guard = owner.stdout.readline().split()
    processes = [psutil.Process(int(guard)), psutil.Process(int(server)), *psutil.Process(int(server)).children()]
    return owner, url, processes


async def test_it_answers_on_a_private_socket_and_to_the_password_only(postgres: Path) -> None:
    server = await EmbeddedPostgres.start(postgres, durable=False)
    try:
        connection = await asyncpg.connect(server.url)
        assert await connection.fetchval("SHOW listen_addresses") == ""
        assert await connection.fetchval("SHOW server_version_num") >= "180000"
        assert await connection.fetchval("SELECT current_database()") == "pegboard"
        await connection.close()

        assert stat.S_IMODE(server.socket_folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((server.folder / "password").stat().st_mode) == 0o600
        assert "trust" not in {
            line.split()[-1]
            for line in (server.folder / "data" / "pg_hba.conf").read_text().splitlines()
            if line and not line.startswith("#")
        }
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(server.url, password="wrong")
        if os.geteuid() == 0:
            assert psutil.Process(server.pid).uids().real != 0
    finally:
        await server.stop()
    assert not psutil.pid_exists(server.pid)
    assert not psutil.pid_exists(server.process.guard_pid)


async def test_when_its_owner_is_killed_nothing_is_left_and_the_data_are_there_again(postgres: Path) -> None:
    owner, url, processes = await asyncio.to_thread(owner_of_a_server, postgres)
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE kept AS SELECT 'yes' AS it")

    owner.send_signal(signal.SIGKILL)
    owner.wait()
    # At once: the server may still be busy with its end.
    server = await EmbeddedPostgres.start(postgres, durable=False)
    try:
        assert left_of(processes) == []
        connection = await asyncpg.connect(server.url)
        assert await connection.fetchval("SELECT it FROM kept") == "yes"
        await connection.close()
    finally:
        await server.stop()


async def test_when_guard_and_owner_are_killed_the_server_goes_too(postgres: Path) -> None:
    owner, _, processes = await asyncio.to_thread(owner_of_a_server, postgres)
    processes[0].kill()
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    assert left_of(processes) == []


async def test_a_killed_server_recovers_at_the_next_start(postgres: Path) -> None:
    server = await EmbeddedPostgres.start(postgres, durable=False)
    children = psutil.Process(server.pid).children()
    connection = await asyncpg.connect(server.url)
    await connection.execute("CREATE TABLE written AS SELECT 'before' AS it")
    os.kill(server.pid, signal.SIGKILL)
    assert await server.wait() == 128 + signal.SIGKILL
    await server.stop()
    assert (server.folder / "data" / "postmaster.pid").exists()

    again = await EmbeddedPostgres.start(postgres, durable=False)
    assert left_of(children) == []
    connection = await asyncpg.connect(again.url)
    assert await connection.fetchval("SELECT it FROM written") == "before"
    await connection.close()
    await again.stop()


async def test_a_pid_file_that_names_a_stranger_stops_nobody(postgres: Path) -> None:
    server = await EmbeddedPostgres.start(postgres, durable=False)
    await server.stop()
    stranger = subprocess.Popen(["sleep", "600"], user=(postgres / "data").stat().st_uid)
    try:
        pidfile = postgres / "data" / "postmaster.pid"
        pidfile.write_text(f"{stranger.pid}\n{postgres}/data\n1700000000\n5432\n{server.socket_folder}\n\n")
        server = await EmbeddedPostgres.start(postgres, durable=False)
        await server.stop()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


async def test_a_second_server_on_the_same_data_is_refused(postgres: Path) -> None:
    server = await EmbeddedPostgres.start(postgres, durable=False)
    try:
        with pytest.raises(AlreadyRunningError, match=f"process {os.getpid()} already runs PostgreSQL"):
            await EmbeddedPostgres.start(postgres, durable=False)
        connection = await asyncpg.connect(server.url)
        await connection.close()
    finally:
        await server.stop()


async def test_an_initialisation_that_was_killed_is_done_again(folder: Path) -> None:
    (folder / "postgres" / "data.new").mkdir(parents=True)
    (folder / "postgres" / "data.new" / "PG_VERSION").write_text("18\n")
    server = await EmbeddedPostgres.start(folder / "postgres", durable=False)
    await server.stop()
    assert not (folder / "postgres" / "data.new").exists()


async def test_an_owner_that_is_killed_while_it_initialises_leaves_nothing(folder: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(folder / "postgres")])
    await asyncio.to_thread(until, (folder / "postgres" / "data.new" / "base").exists)
    processes = psutil.Process(owner.pid).children(recursive=True)
    assert len(processes) > 1
    owner.kill()
    owner.wait()
    server = await EmbeddedPostgres.start(folder / "postgres", durable=False)
    assert left_of(processes) == []
    await server.stop()


async def test_data_of_another_major_version_are_refused(postgres: Path) -> None:
    server = await EmbeddedPostgres.start(postgres, durable=False)
    await server.stop()
    version = postgres / "data" / "PG_VERSION"
    version.write_text("15\n")
    with pytest.raises(EmbeddedError, match="is of PostgreSQL 15, this is 18"):
        await EmbeddedPostgres.start(postgres, durable=False)
    version.write_text("18\n")


async def test_a_server_that_ends_at_its_start_tells_its_last_lines(postgres: Path) -> None:
    server = await EmbeddedPostgres.start(postgres, durable=False)
    await server.stop()
    settings = postgres / "data" / "postgresql.conf"
    before = settings.read_text()
    settings.write_text(f"{before}no_such_setting = 1\n")
    with pytest.raises(EmbeddedError, match="no_such_setting"):
        await EmbeddedPostgres.start(postgres, durable=False)
    settings.write_text(before)


async def test_a_file_in_the_way_is_named(folder: Path) -> None:
    (folder / "postgres").write_text("")
    with pytest.raises(EmbeddedError, match=f"can't use {folder / 'postgres'}: "):
        await EmbeddedPostgres.start(folder / "postgres", durable=False)


async def test_any_path_will_do(folder: Path) -> None:
    server = await EmbeddedPostgres.start(folder / "a b, é% c" / "postgres", durable=False)
    connection = await asyncpg.connect(server.url)
    await connection.close()
    await server.stop()


async def test_a_long_path_gets_a_short_socket(folder: Path) -> None:
    deep = folder / ("long" * 20) / "postgres"
    deep.parent.mkdir(mode=0o755)
    server = await EmbeddedPostgres.start(deep, durable=False)
    sockets = server.socket_folder
    connection = await asyncpg.connect(server.url)
    await connection.close()
    assert len(str(sockets)) < 80
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    await server.stop()
    assert not sockets.exists()
