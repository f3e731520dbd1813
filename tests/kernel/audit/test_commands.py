"""`pegboard audit verify`, `head` and `export`, as somebody types them; an export, as somebody else verifies it."""

import asyncio
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import click.testing
import pytest
import structlog
from pegboard.audit.sealer import Sealer
from pegboard.cli import main
from pegboard.config.model import Config
from pegboard.database.tenants import DEFAULT_TENANT
from pegboard.runtime import Runtime
from pegboard_sdk.ids import new_id

from tests.kernel.audit.conftest import tamper
from tests.support.servers import MASTER_KEY, TEMPLATE, create_database, make_config

Pegboard = Callable[..., click.testing.Result]
DOCUMENTATION = Path(__file__).parents[3] / "docs" / "audit.md"


@pytest.fixture
async def own_database(postgres_url: str) -> str:
    """A migrated database for commands, whose tenant is the default one."""
    return await create_database(postgres_url, f"pegboard_audit_{new_id().hex}", template=TEMPLATE)


@pytest.fixture
def own_config(own_database: str, redis_url: str, tmp_path: Path) -> Config:
    return make_config(tmp_path, own_database, redis_url)


@pytest.fixture
def log_set_up_again() -> Iterator[None]:
    """A command sets the process's log up, as is right where it is the process."""
    root = logging.getLogger()
    before = structlog.get_config(), root.handlers[:], root.level
    yield
    structlog.configure(**before[0])
    root.handlers[:] = before[1]
    root.setLevel(before[2])


@pytest.fixture
def pegboard(own_config: Config, monkeypatch: pytest.MonkeyPatch, log_set_up_again: None) -> Pegboard:
    """Runs a command as in a shell; gives what it printed, once its exit status is as expected."""
    monkeypatch.setenv("PEGBOARD_DATABASE__URL", own_config.database.url.reveal())
    monkeypatch.setenv("PEGBOARD_REDIS__URL", own_config.redis.url.reveal())
    monkeypatch.setenv("PEGBOARD_SECRETS__MASTER_KEY", os.environ[MASTER_KEY])
    monkeypatch.setenv("PEGBOARD_CONFIG", own_config.path)
    runner = click.testing.CliRunner()

    def run(*arguments: str, status: int = 0) -> click.testing.Result:
        result = runner.invoke(main, ("audit", *arguments))
        assert result.exit_code == status, result.output
        assert isinstance(result.exception, SystemExit | None), result.exception
        return result

    return run


@pytest.fixture
def add(own_config: Config, pegboard: Pegboard) -> Callable[[int], None]:
    """Writes entries, and seals what is there."""

    async def write(count: int) -> None:
        runtime = await Runtime.open(own_config, pool_size=2)
        try:
            async with runtime.database.system_transaction() as connection:
                await connection.executemany(
                    "INSERT INTO kernel_audit_entries"
                    " (id, tenant_id, actor_kind, action, object_type, after, request_id)"
                    " VALUES ($1, $2, 'system', 'hello:greeting.add', 'greeting', '{\"größe\": 1.50}', 'r')",
                    [(new_id(), DEFAULT_TENANT) for _ in range(count)],
                )
            await Sealer(runtime, runtime.database.system, holder="test").seal()
        finally:
            await runtime.close()

    return lambda count: asyncio.run(write(count))


def change(database: str, *statements: tuple[Any, ...]) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(database)
        try:
            await tamper(connection, statements)
        finally:
            await connection.close()

    asyncio.run(run())


def test_a_sound_trail_and_one_that_is_not(
    pegboard: Pegboard, add: Callable[[int], None], own_database: str, tmp_path: Path
) -> None:
    assert pegboard("verify").stdout == "no audit entries\n"
    assert "No audit entry is sealed yet" in pegboard("head", status=2).stderr
    add(4)
    head = tmp_path / "head.json"
    pegboard("head", "--output", str(head))
    assert head.stat().st_mode & 0o777 == 0o600
    assert pegboard("head", "--tenant", "default").stdout == head.read_text()
    add(2)
    told = pegboard("verify", "--tenant", "default", "--head", str(head)).stdout
    assert re.fullmatch(
        r"default: sound, 6 sealed entries verified, head signed 20\S+ with the key [0-9a-f]{16}\n", told
    )
    change(own_database, ("UPDATE kernel_audit_entries e SET action = 'x' FROM kernel_audit_seals s"
                          " WHERE s.entry_id = e.id AND number = 3",))  # fmt: skip
    told = pegboard("verify", "--head", str(head), status=1).stdout.splitlines()
    assert told[0].startswith("default: NOT SOUND, 6 sealed entries verified")
    assert re.fullmatch(r"  changed: number 3: the entry or its seal was changed \(entry [0-9a-f-]{36}\)", told[1])
    (trail,) = json.loads(pegboard("verify", "--json", status=1).stdout)["trails"]
    assert (trail["sound"], [(one["kind"], one["number"]) for one in trail["findings"]]) == (False, [("changed", 3)])
    for table in ("entries", "seals", "heads"):
        change(own_database, (f"DELETE FROM kernel_audit_{table}",))
    told = pegboard("verify", "--head", str(head), status=1).stdout
    assert "  cut_off: numbers 1 to 4 are missing at the end: the exported head of 20" in told


def test_files_that_are_no_heads(pegboard: Pegboard, tmp_path: Path) -> None:
    file = tmp_path / "head.json"
    for text in ("", "{}", "no JSON", '{"tenant_id": "x"}'):
        file.write_text(text)
        assert pegboard("verify", "--head", str(file), status=2).stderr.count("\n") == 1


def test_an_export_is_verified_by_a_program_that_knows_nothing_of_us(
    pegboard: Pegboard, add: Callable[[int], None], own_database: str, tmp_path: Path
) -> None:
    """The one in the documentation, in a process without Pegboard."""
    add(3)
    add(4)
    program = tmp_path / "verify_export.py"
    program.write_text(re.findall(r"```python\n(.*?)```", DOCUMENTATION.read_text(), re.DOTALL)[0])
    key = json.loads(pegboard("head").stdout)["public_key"]

    def verify(lines: list[str]) -> subprocess.CompletedProcess[str]:
        file = tmp_path / "lines.ndjson"
        file.write_text("\n".join(lines) + "\n")
        return subprocess.run(
            [sys.executable, "-I", program, file, key], capture_output=True, text=True, timeout=60, check=False
        )

    exported = tmp_path / "export.ndjson"
    pegboard("export", "--output", str(exported))
    lines = exported.read_text().splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["export", *["entry"] * 7, "head"]
    good = verify(lines)
    assert (good.returncode, good.stdout) == (0, "7 entries are as they were sealed, numbers 1 to 7\n"), good.stderr
    changed = [*lines[:3], lines[3].replace("1.50", "1.51"), *lines[4:]]
    for wrong in (changed, [*lines[:3], *lines[4:]], lines[:-1], [*lines[:-2], lines[-1]]):
        assert verify(wrong).returncode == 1

    # A period in the middle, whose chain doesn't begin with the first entry.
    async def middle() -> str:
        connection = await asyncpg.connect(own_database)
        try:
            return await connection.fetchval(
                "SELECT to_char(e.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS') FROM"
                " kernel_audit_entries e JOIN kernel_audit_seals s ON s.entry_id = e.id WHERE s.number = 4"
            )
        finally:
            await connection.close()

    late = pegboard("export", "--since", asyncio.run(middle())).stdout.splitlines()
    assert verify(late).returncode == 0
    nothing = pegboard("export", "--until", "2001-01-01").stdout.splitlines()
    assert [json.loads(line)["kind"] for line in nothing] == ["export"]


def test_a_trail_that_is_not_sound_is_not_exported(
    pegboard: Pegboard, add: Callable[[int], None], own_database: str, tmp_path: Path
) -> None:
    add(3)
    change(own_database, ("UPDATE kernel_audit_entries e SET reason = 'x' FROM kernel_audit_seals s"
                          " WHERE s.entry_id = e.id AND number = 2",))  # fmt: skip
    output = tmp_path / "export.ndjson"
    refused = pegboard("export", "--output", str(output), status=2)
    assert "tampered with at number 2" in refused.stderr
    assert list(tmp_path.glob("export*")) == []
