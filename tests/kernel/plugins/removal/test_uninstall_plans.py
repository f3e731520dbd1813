"""Applying a plan to uninstall turns the plugin off, and does with its data what the plan said."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from click.testing import CliRunner, Result
from pegboard.cli import main
from pegboard.database.migrate import connect_as_owner
from pegboard.database.tenants import DEFAULT_TENANT

from tests.kernel.plugins.removal.shelves import install
from tests.support.fleet import Fleet, operator
from tests.support.servers import MASTER_KEY
from tests.support.workshop import Workshop

Cli = Callable[..., Awaitable[Result]]
BOTH = {"shelves_books", "shelves_lendings"}


@pytest.fixture
async def fleet(workshop: Workshop, postgres_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Fleet]:
    """An API process and a worker; the plugin's package is installed."""
    install(workshop)
    fleet = Fleet(postgres_url, redis_url, tmp_path / "config")
    await fleet.open()
    yield fleet
    await fleet.close()


@pytest.fixture
async def owner(fleet: Fleet) -> AsyncIterator[asyncpg.Connection]:
    connection = await connect_as_owner(fleet.database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def cli(fleet: Fleet, owner: asyncpg.Connection, redis_url: str) -> Cli:
    """Runs `pegboard plugins …` beside the processes; the plugin is on, with a book."""
    env = {
        "PEGBOARD_DATABASE__URL": fleet.database_url,
        "PEGBOARD_REDIS__URL": redis_url,
        "PEGBOARD_SECRETS__MASTER_KEY": os.environ[MASTER_KEY],
    }

    async def run(*arguments: str) -> Result:
        command = ["--config", str(fleet.file), "plugins", *arguments]
        return await asyncio.to_thread(CliRunner().invoke, main, command, env=env)

    await fleet.api()
    await fleet.worker()
    done = await run("enable", "shelves")
    assert done.exit_code == 0, done.output
    await owner.execute(
        "INSERT INTO shelves_books (id, tenant_id, title) VALUES (gen_random_uuid(), $1, 'Emma')", DEFAULT_TENANT
    )
    return run


async def planned(cli: Cli, *arguments: str) -> str:
    """The id of a plan to uninstall the plugin."""
    made = await cli("plan", "uninstall", "shelves", *arguments, "--json")
    assert made.exit_code == 0, made.output
    return json.loads(made.stdout)["id"]


async def tables(owner: asyncpg.Connection) -> set[str]:
    rows = await owner.fetch("SELECT relname FROM pg_class WHERE relkind = 'r' AND starts_with(relname, 'shelves_')")
    return {row[0] for row in rows}


async def test_purge(cli: Cli, fleet: Fleet, owner: asyncpg.Connection) -> None:
    shown = await cli("plan", "uninstall", "shelves", "--purge")
    assert "shelves_books (shelves): 1 row, " in shown.stdout
    assert "to do it: pegboard plugins apply " in shown.stdout

    done = await cli("apply", await planned(cli, "--purge"))

    assert done.exit_code == 0, done.output
    assert "shelves is purged: receipt " in done.stdout
    assert (await tables(owner), fleet.enabled()) == (set(), set())
    entry = await owner.fetchrow("SELECT object_id FROM kernel_audit_entries WHERE action = 'kernel:plugin.uninstall'")
    assert entry is not None
    assert entry[0] == "shelves"


async def test_export(cli: Cli, fleet: Fleet, owner: asyncpg.Connection, tmp_path: Path) -> None:
    plan = await planned(cli, "--export")
    refused = await cli("apply", plan)
    assert f"add --export DIR to `pegboard plugins apply {plan}`" in refused.stderr
    (tmp_path / "there").mkdir()
    assert "is there already" in (await cli("apply", plan, "--export", str(tmp_path / "there"))).stderr
    assert fleet.enabled() == {"shelves"}

    done = await cli("apply", plan, "--export", str(tmp_path / "data"), "--json")

    assert done.exit_code == 0, done.output
    answer: dict[str, Any] = json.loads(done.stdout)
    assert [one["receipt"]["action"] for one in answer["receipts"]] == ["export"]
    assert (tmp_path / "data" / "receipt.json").exists()
    assert (await tables(owner), fleet.enabled()) == (BOTH, set())


async def test_keep_of_what_is_off_already(cli: Cli, fleet: Fleet, owner: asyncpg.Connection) -> None:
    await cli("disable", "shelves")
    plan = await planned(cli)
    assert "the plan exports nothing" in (await cli("apply", plan, "--export", "anywhere")).stderr
    assert "leave --no-wait out" in (await cli("apply", plan, "--no-wait")).stderr

    done = await cli("apply", plan)

    assert (done.exit_code, "shelves is uninstalled, and its data are kept" in done.stdout) == (0, True), done.output
    assert await tables(owner) == BOTH
    assert "was applied at" in (await cli("apply", plan)).stderr


async def test_what_is_in_the_way_of_a_purge_is_said_before_anything_is_turned_off(
    cli: Cli, fleet: Fleet, owner: asyncpg.Connection
) -> None:
    await owner.execute("CREATE VIEW report AS SELECT title FROM shelves_books")

    refused = await cli("apply", await planned(cli, "--purge"))

    assert "shelves can't be purged, and nothing changed: the view public.report needs" in refused.stderr
    assert (await tables(owner), fleet.enabled()) == (BOTH, {"shelves"})


async def test_what_could_not_be_done_is_told_with_its_command(
    cli: Cli, fleet: Fleet, owner: asyncpg.Connection
) -> None:
    """A job still runs when the plugin is off already."""
    plan = await planned(cli, "--purge")
    await owner.execute(
        "INSERT INTO kernel_jobs (id, tenant_id, plugin, name, payload, max_attempts, state, heartbeat_at)"
        " VALUES (gen_random_uuid(), $1, 'shelves', 'shelves.tidy', '{}', 3, 'running', now())",
        DEFAULT_TENANT,
    )

    left = await cli("apply", plan)

    assert left.exit_code == 2
    assert "shelves is off, and not uninstalled: 1 job of shelves is still running" in left.stderr
    assert "Then run `pegboard plugins uninstall shelves --purge`." in left.stderr
    assert (await tables(owner), fleet.enabled()) == (BOTH, set())


async def test_the_api_names_the_command_and_the_requests(fleet: Fleet) -> None:
    account = await operator(await fleet.api())
    for data, told in (
        ("purge", '/api/v1/admin/plugins/shelves/disable, then …/shelves/uninstall with {"data": "purge"}'),
        ("export", "is applied where they are written"),
    ):
        made = await account.client.post("/api/v1/admin/plugins/plans", json={"uninstall": ["shelves"], "data": data})
        plan = made.json()["id"]

        refused = await account.client.post(f"/api/v1/admin/plugins/plans/{plan}/apply")

        assert (refused.status_code, refused.json()["code"]) == (409, "plan_refused")
        assert f"`pegboard plugins apply {plan}" in refused.json()["detail"]
        assert told in refused.json()["detail"]
