"""A set of plugins is prepared by every process and then runs in all of them, or in none."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pegboard.database.pool import Database
from pegboard.plugins.effective import effective_config
from pegboard.plugins.file_watch import FileWatch
from pegboard_sdk.ids import new_id

from tests.support.fleet import Fleet, operator, overview, until
from tests.support.platform import Account, TestPlatform
from tests.support.workshop import Workshop

HELLO = """
import asyncio
import sys
from pegboard_sdk import hookimpl
from pegboard_sdk.http import Controller, get

class HelloController(Controller):
    path = "/greetings"

    @get("/", public=True)
    async def read_greeting(self) -> dict[str, str]:
        '''Greet.'''
        await asyncio.sleep(0.01)
        return {"greeting": "hello"}

@hookimpl
def controllers():
    return [HelloController]
"""
URL = "/api/v1/hello/greetings"


@pytest.fixture
async def fleet(postgres_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Fleet]:
    fleet = Fleet(postgres_url, redis_url, tmp_path / "config")
    await fleet.open()
    yield fleet
    await fleet.close()


async def toggle(account: Account, name: str, enabled: bool) -> dict[str, Any]:
    answer = await account.client.post(f"/api/v1/admin/plugins/{name}/{'enable' if enabled else 'disable'}")
    assert answer.status_code == 202, answer.text
    return answer.json()["revision"]


async def decided(account: Account, number: int) -> dict[str, Any]:
    """The revision, once it is active or failed."""

    async def look() -> dict[str, Any] | None:
        found = await overview(account)
        for revision in (found["latest"], found["active"]):
            if revision and revision["number"] == number and revision["state"] != "preparing":
                return revision
        return None

    return await until(look)


async def status(platform: TestPlatform, url: str = URL) -> int:
    return (await platform.client().get(url)).status_code


async def _all_equal(expected: int, *platforms: TestPlatform) -> bool:
    return {await status(platform) for platform in platforms} == {expected}


async def _is(condition: bool) -> bool:
    return condition


async def test_a_toggle_reaches_every_process(fleet: Fleet, workshop: Workshop) -> None:
    workshop.add("hello", HELLO)
    first, second, worker = await fleet.api(), await fleet.api(), await fleet.worker()
    account = await operator(first)
    assert await status(first) == await status(second) == 404

    revision = await toggle(account, "hello", enabled=True)
    assert revision["state"] == "preparing"
    assert (await decided(account, revision["number"]))["state"] == "active"

    await until(lambda: _all_equal(200, first, second))
    await until(lambda: _is(worker.plugins == ["hello"]))
    assert fleet.enabled() == {"hello"}
    assert fleet.file.read_text().startswith("# Switched by tests.")

    revision = await toggle(account, "hello", enabled=False)
    assert (await decided(account, revision["number"]))["state"] == "active"
    await until(lambda: _all_equal(404, first, second))
    await until(lambda: _is(worker.plugins == []))
    answer = await first.client().get(URL)
    assert answer.headers["content-type"] == "application/problem+json"
    assert fleet.enabled() == set()


async def test_an_entry_in_the_audit_trail_says_who_toggled_what(fleet: Fleet, workshop: Workshop) -> None:
    workshop.add("hello", HELLO)
    platform = await fleet.api()
    account = await operator(platform)
    revision = await toggle(account, "hello", enabled=True)

    async with platform.work(account) as work:
        entries = await work.fetch("SELECT * FROM kernel_audit_entries WHERE action = 'kernel:plugin.toggle'")
    assert [(entry["actor_id"], entry["object_id"]) for entry in entries] == [(account.id, "hello")]
    assert str(revision["number"]) in entries[0]["after"]


async def test_requests_go_on_while_plugins_come_and_go(fleet: Fleet, workshop: Workshop) -> None:
    workshop.add("hello", HELLO)
    workshop.add("steady", HELLO.replace("hello", "steady"))
    fleet.config()
    fleet.write("[plugins.steady]\nenabled = true\n")
    platform = await fleet.api()
    account = await operator(platform)
    answers: dict[str, set[int]] = {"steady": set(), "hello": set()}
    count = 0
    done = asyncio.Event()

    async def load(name: str) -> None:
        nonlocal count
        client = platform.client()
        while not done.is_set():
            answers[name].add((await client.get(f"/api/v1/{name}/greetings")).status_code)
            count += 1
            # A 404 is answered without waiting for anything.
            await asyncio.sleep(0.001)

    loads = [asyncio.create_task(load(name)) for name in ("steady", "hello") for _ in range(6)]
    for enabled in (True, False, True, False):
        revision = await toggle(account, "hello", enabled=enabled)
        assert (await decided(account, revision["number"]))["state"] == "active"
        await until(lambda expected=200 if enabled else 404: _all_equal(expected, platform))
    done.set()
    await asyncio.gather(*loads)

    assert answers == {"steady": {200}, "hello": {200, 404}}
    assert count > 100


async def test_a_request_finishes_on_the_generation_that_it_began_on(fleet: Fleet, workshop: Workshop) -> None:
    slow = HELLO.replace("await asyncio.sleep(0.01)", "began.set(); await go_on.wait()").replace(
        "class Hello", "began, go_on, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()\n\nclass Hello"
    )
    slow += "\n@hookimpl\ndef on_shutdown():\n    async def stop(): ended.set()\n    return stop\n"
    module = f"{workshop.add('hello', slow)}.plugin"
    fleet.config()
    fleet.write("[plugins.hello]\nenabled = true\n")
    platform = await fleet.api()
    account = await operator(platform)
    plugin = sys.modules[module]

    request = asyncio.create_task(platform.client().get(URL))
    await plugin.began.wait()
    await toggle(account, "hello", enabled=False)
    await until(lambda: _is([one.name for one in platform.registry.plugins] == ["kernel"]))
    assert await status(platform) == 404
    assert not plugin.ended.is_set()

    plugin.go_on.set()
    assert (await request).json() == {"greeting": "hello"}
    await asyncio.wait_for(plugin.ended.wait(), 10)


async def test_if_one_process_cannot_nothing_changes_and_the_reason_is_kept(fleet: Fleet, workshop: Workshop) -> None:
    workshop.add(
        "hello",
        HELLO + "\nasync def start(): raise RuntimeError('the printer is on fire')\n"
        "@hookimpl\ndef on_startup(): return start\n",
    )
    first, worker = await fleet.api(), await fleet.worker()
    account = await operator(first)
    before = (await overview(account))["active"]["number"]

    revision = await decided(account, (await toggle(account, "hello", enabled=True))["number"])
    assert revision["state"] == "failed"
    assert "hello: its on_startup failed: RuntimeError: the printer is on fire" in revision["reason"]
    assert await status(first) == 404
    assert worker.plugins == []
    found = await overview(account)
    assert found["active"]["number"] == before
    # The file says otherwise now: that is told, and not fought over.
    conflict = await until(lambda: _conflict(account))
    assert "says hello on, and it is off" in conflict


async def _conflict(account: Account) -> str | None:
    return next((one["conflict"] for one in (await overview(account))["processes"] if one["conflict"]), None)


async def test_an_unwell_plugin_is_not_taken_in(fleet: Fleet, workshop: Workshop) -> None:
    workshop.add(
        "hello",
        HELLO + "\nfrom pegboard_sdk.health import HealthCheck\nasync def check(): return 'the printer has no paper'\n"
        "@hookimpl\ndef health_checks(): return [HealthCheck(name='printer', check=check)]\n",
    )
    platform = await fleet.api()
    account = await operator(platform)

    revision = await decided(account, (await toggle(account, "hello", enabled=True))["number"])
    assert revision["state"] == "failed"
    assert revision["reason"].endswith("hello: its health check printer says: the printer has no paper")


MIGRATION = """
from pegboard_sdk.database import protect_table, sql_migration
ID, VERSION, DESCRIPTION = "2026-11-24T00:01:00:000000", "1.0", "Greetings"

async def forwards():
    return sql_migration(
        app="hello", id=ID, description=DESCRIPTION,
        forwards=("CREATE TABLE hello_greetings (tenant_id uuid NOT NULL, id uuid PRIMARY KEY, SQL)",
                  protect_table("hello_greetings")),
        backwards=("DROP TABLE hello_greetings",),
    )
"""
WITH_TABLE = (
    HELLO
    + """
from pegboard_sdk.database import PiccoloApp
@hookimpl
def piccolo_app(): return PiccoloApp(name="hello", tables=[], migrations="PACKAGE:migrations")
"""
)


def with_migration(workshop: Workshop, sql: str) -> None:
    package = workshop.add("hello", WITH_TABLE)
    folder = workshop.folder / package / "migrations"
    folder.mkdir()
    (folder / "hello_2026_11_24_0001.py").write_text(MIGRATION.replace("SQL", sql))


async def test_migrations_run_before_a_plugin_is_on(fleet: Fleet, workshop: Workshop) -> None:
    with_migration(workshop, "greeting text")
    first, _second = await fleet.api(), await fleet.api()
    account = await operator(first)

    revision = await decided(account, (await toggle(account, "hello", enabled=True))["number"])
    assert revision["state"] == "active"
    async with first.runtime.database.system_transaction() as connection:
        assert await connection.fetchval("SELECT count(*) FROM hello_greetings") == 0
        assert await connection.fetchval("SELECT count(*) FROM migration WHERE app_name = 'hello'") == 1


async def test_a_migration_that_fails_keeps_the_plugin_off(fleet: Fleet, workshop: Workshop) -> None:
    with_migration(workshop, "greeting not_a_type")
    platform = await fleet.api()
    account = await operator(platform)

    revision = await decided(account, (await toggle(account, "hello", enabled=True))["number"])
    assert revision["state"] == "failed"
    assert "hello: its migration failed" in revision["reason"]
    assert await status(platform) == 404


async def test_at_start_a_plugin_whose_migrations_have_not_run_is_left_out(fleet: Fleet, workshop: Workshop) -> None:
    with_migration(workshop, "greeting text")
    fleet.config()
    fleet.write("[plugins.hello]\nenabled = true\n")
    platform = await fleet.api()
    account = await operator(platform)

    (hello,) = [one for one in (await overview(account))["plugins"] if one["name"] == "hello"]
    assert hello["state"] == "failed"
    assert "its migration hello_2026_11_24_0001.py has not run: `pegboard migrate`" in hello["reason"]


async def test_an_edited_file_is_imported(fleet: Fleet, workshop: Workshop) -> None:
    workshop.add("hello", HELLO)
    first, worker = await fleet.api(), await fleet.worker()
    fleet.write("[plugins.hello]\nenabled = true\n")

    await until(lambda: _all_equal(200, first))
    await until(lambda: _is(worker.plugins == ["hello"]))
    active = (await overview(await operator(first)))["active"]
    assert (active["origin"], active["plugins"]) == ("file", ["hello"])


async def test_an_edit_that_asks_for_what_cannot_be_loaded_changes_nothing(fleet: Fleet, workshop: Workshop) -> None:
    workshop.add("hello", HELLO)
    workshop.add("broken", "1 / 0")
    fleet.config()
    fleet.write("[plugins.hello]\nenabled = true\n")
    platform = await fleet.api()
    account = await operator(platform)
    number = (await overview(account))["active"]["number"]
    fleet.write("[plugins.hello]\nenabled = false\n[plugins.broken]\nenabled = true\n")

    revision = await decided(account, number + 1)
    assert revision["state"] == "failed"
    assert "broken: importing" in revision["reason"]
    assert await status(platform) == 200
    assert "says broken on, and it is off; hello off, and it is on" in await until(lambda: _conflict(account))


async def test_a_file_that_an_editor_just_emptied_turns_nothing_off(fleet: Fleet) -> None:
    fleet.config()
    fleet.write("[plugins.hello]\nenabled = true\n")
    database = await Database.open(fleet.config(), pool_size=1)
    watch = FileWatch(fleet.file, fleet.config)
    await watch.look(database)

    fleet.write("")
    await watch.look(database)
    fleet.write("[plugins.hello]\nenabled = true\n# and more\n")
    await watch.look(database)
    await watch.look(database)
    wanted = await database.system.fetch("SELECT plugins FROM kernel_plugin_revisions")
    await database.close()
    assert [row["plugins"] for row in wanted] == [["hello"], ["hello"]]


async def test_changed_settings_make_a_new_generation(fleet: Fleet, workshop: Workshop) -> None:
    code = HELLO.replace(
        '"greeting": "hello"', '"greeting": request.scope["pegboard.exchange"].registry.settings[Settings].word'
    )
    code = code.replace("(self)", "(self, request: Request)").replace(
        "get\n", "get, Request\nfrom PACKAGE.settings import Settings\n", 1
    )
    settings = "import msgspec\nclass Settings(msgspec.Struct, frozen=True):\n    word: str = 'hello'\n"
    workshop.add("hello", code, settings="PACKAGE.settings:Settings", files={"settings.py": settings})
    fleet.config()
    fleet.write("[plugins.hello]\nenabled = true\n")
    platform = await fleet.api()
    assert (await platform.client().get(URL)).json() == {"greeting": "hello"}

    fleet.write("[plugins.hello]\nenabled = true\nword = 'good day'\n")

    async def changed() -> bool:
        return (await platform.client().get(URL)).json() == {"greeting": "good day"}

    await until(changed)


async def test_a_broken_file_changes_nothing_and_is_told(fleet: Fleet, workshop: Workshop) -> None:
    workshop.add("hello", HELLO)
    fleet.config()
    fleet.write("[plugins.hello]\nenabled = true\n")
    platform = await fleet.api()
    account = await operator(platform)
    fleet.write("[plugins.hello\n")

    async def told() -> str | None:
        return (await overview(account))["processes"][0]["error"]

    assert "plugins.toml:1: is not valid TOML" in await until(told)
    assert await status(platform) == 200
    answer = await account.client.post("/api/v1/admin/plugins/hello/disable")
    assert (answer.status_code, answer.json()["code"]) == (409, "plugins_file_unwritable")


async def test_machines_with_a_file_each_do_not_fight(fleet: Fleet, workshop: Workshop, tmp_path: Path) -> None:
    workshop.add("hello", HELLO)
    here, there = await fleet.api(), await fleet.api(tmp_path / "there")
    account = await operator(here)
    revision = await toggle(account, "hello", enabled=True)
    assert (await decided(account, revision["number"]))["state"] == "active"
    await until(lambda: _all_equal(200, here, there))

    assert "there/plugins.toml" in await until(lambda: _conflict(account))
    assert fleet.enabled(tmp_path / "there") == set()
    assert (await overview(account))["active"]["number"] == revision["number"]
    # An edit is somebody's decision: it counts, wherever it is made.
    fleet.write("# Off again.\n[plugins.hello]\nenabled = false\n", tmp_path / "there")
    await until(lambda: _all_equal(404, here, there))


async def test_a_new_machine_with_an_old_file_undoes_nothing(fleet: Fleet, workshop: Workshop, tmp_path: Path) -> None:
    workshop.add("hello", HELLO)
    here = await fleet.api()
    account = await operator(here)
    number = (await toggle(account, "hello", enabled=True))["number"]
    await decided(account, number)

    there = await fleet.api(tmp_path / "there")
    assert await status(there) == 200
    async with here.runtime.database.system_transaction() as connection:
        assert await connection.fetchval("SELECT max(number) FROM kernel_plugin_revisions") == number


async def test_a_new_machine_with_a_new_file_is_listened_to(fleet: Fleet, workshop: Workshop, tmp_path: Path) -> None:
    workshop.add("hello", HELLO)
    here = await fleet.api()
    fleet.config(tmp_path / "there")
    fleet.write("# The next release's.\n[plugins.hello]\nenabled = true\n", tmp_path / "there")
    there = await fleet.api(tmp_path / "there")

    await until(lambda: _all_equal(200, here, there))


async def test_a_process_that_starts_takes_what_is_active_whatever_its_file_says(
    fleet: Fleet, workshop: Workshop
) -> None:
    workshop.add("hello", HELLO)
    first = await fleet.api()
    account = await operator(first)
    await decided(account, (await toggle(account, "hello", enabled=True))["number"])

    second = await fleet.api()
    assert await status(second) == 200


async def test_a_dead_process_is_not_waited_for(fleet: Fleet, workshop: Workshop) -> None:
    workshop.add("hello", HELLO)
    platform = await fleet.api()
    account = await operator(platform)
    await ghost(platform, "interval '-1 minute'")

    revision = await decided(account, (await toggle(account, "hello", enabled=True))["number"])
    assert revision["state"] == "active"


async def test_a_process_that_never_gets_ready_is_waited_for_and_then_named(fleet: Fleet, workshop: Workshop) -> None:
    workshop.add("hello", HELLO)
    platform = await fleet.api()
    account = await operator(platform)
    await ghost(platform, "interval '1 hour'")
    number = (await toggle(account, "hello", enabled=True))["number"]

    async def waiting() -> bool:
        found = await overview(account)
        return any(one["ready_revision"] == number for one in found["processes"])

    await until(waiting)
    assert await status(platform) == 404
    async with platform.runtime.database.system_transaction() as connection:
        await connection.execute("UPDATE kernel_plugin_revisions SET migrated_at = now() - interval '2 minutes'")

    revision = await decided(account, number)
    assert revision["state"] == "failed"
    assert "not ready within 60 s: worker 4711 on ghost" in revision["reason"]


async def ghost(platform: TestPlatform, beat: str) -> None:
    """A process that only exists on paper."""
    async with platform.runtime.database.system_transaction() as connection:
        await connection.execute(
            "INSERT INTO kernel_processes (id, kind, node, pid, active_revision, heartbeat_at)"
            f" VALUES ($1, 'worker', 'ghost', 4711, 1, now() + {beat})",
            new_id(),
        )


async def test_a_later_wish_takes_the_place_of_one_that_waits(fleet: Fleet, workshop: Workshop) -> None:
    workshop.add("hello", HELLO)
    workshop.add("other")
    platform = await fleet.api()
    account = await operator(platform)
    await ghost(platform, "interval '1 hour'")
    first = await toggle(account, "hello", enabled=True)
    second = await toggle(account, "other", enabled=True)

    assert second["plugins"] == ["hello", "other"]
    async with platform.runtime.database.system_transaction() as connection:
        states = dict(await connection.fetch("SELECT number, state FROM kernel_plugin_revisions"))
        assert (states[first["number"]], states[second["number"]]) == ("superseded", "preparing")
        await connection.execute("DELETE FROM kernel_processes WHERE node = 'ghost'")
    assert (await decided(account, second["number"]))["state"] == "active"
    await until(lambda: _all_equal(200, platform))


async def test_plugins_that_need_each_other_are_toggled_in_order(fleet: Fleet, workshop: Workshop) -> None:
    workshop.add("hello", HELLO)
    workshop.add("guest", requires={"hello": ">=1"})
    workshop.add("picky", requires={"hello": ">=2"})
    platform = await fleet.api()
    account = await operator(platform)

    answer = await account.client.post("/api/v1/admin/plugins/guest/enable")
    assert (answer.status_code, answer.json()["code"]) == (409, "plugin_dependency")
    assert answer.json()["detail"] == "guest needs hello: enable it first."

    for name in ("hello", "guest"):
        await decided(account, (await toggle(account, name, enabled=True))["number"])
    answer = await account.client.post("/api/v1/admin/plugins/hello/disable")
    assert answer.json()["detail"] == "hello is needed by guest: disable it first."
    answer = await account.client.post("/api/v1/admin/plugins/picky/enable")
    assert "it requires hello >=2 and the installed version is 1.0.0" in answer.json()["detail"]
    assert fleet.enabled() == {"hello", "guest"}


async def test_what_cannot_work_is_refused_before_anything_is_written(fleet: Fleet, workshop: Workshop) -> None:
    workshop.add("broken", "1 / 0")
    workshop.add("wrong", manifest="name = 'wrong'\n")
    platform = await fleet.api()
    account = await operator(platform)
    before = fleet.file.read_text()

    expected = {
        "broken": (409, "plugin_unusable", "ZeroDivisionError"),
        "wrong": (409, "plugin_unusable", "plugin.toml"),
        "unknown": (404, "plugin_unknown", "install it first"),
    }
    for name, (code, problem, detail) in expected.items():
        answer = await account.client.post(f"/api/v1/admin/plugins/{name}/enable")
        assert (answer.status_code, answer.json()["code"]) == (code, problem)
        assert detail in answer.json()["detail"]
    assert fleet.file.read_text() == before


async def test_a_variable_that_decides_is_named(
    fleet: Fleet, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop.add("hello", HELLO)
    platform = await fleet.api()
    account = await operator(platform)
    monkeypatch.setenv("PEGBOARD_PLUGINS__HELLO__ENABLED", "false")

    answer = await account.client.post("/api/v1/admin/plugins/hello/enable")
    assert (answer.status_code, answer.json()["code"]) == (409, "plugin_set_by_environment")


async def test_a_variable_counts_at_the_next_start(
    fleet: Fleet, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop.add("hello", HELLO)
    fleet.config()
    fleet.write("[plugins.hello]\nenabled = true\n")
    assert await status(await fleet.api()) == 200
    await fleet.close()

    monkeypatch.setenv("PEGBOARD_PLUGINS__HELLO__ENABLED", "false")
    assert await status(await fleet.api()) == 404


async def test_what_is_about_to_run_is_known_before_it_does(fleet: Fleet, workshop: Workshop, tmp_path: Path) -> None:
    workshop.add("hello", HELLO)
    workshop.add("other")
    account = await operator(await fleet.api())
    await decided(account, (await toggle(account, "hello", enabled=True))["number"])

    fleet.write("[plugins.other]\nenabled = true\n", tmp_path / "there")
    config = await effective_config(fleet.config(tmp_path / "there"))
    assert {name for name, entry in config.plugins.items() if entry.enabled} == {"hello", "other"}


async def test_enabling_what_is_on_changes_nothing(fleet: Fleet, workshop: Workshop) -> None:
    workshop.add("hello", HELLO)
    platform = await fleet.api()
    account = await operator(platform)
    first = await decided(account, (await toggle(account, "hello", enabled=True))["number"])

    assert (await toggle(account, "hello", enabled=True))["number"] == first["number"]


async def test_a_process_that_is_told_something_just_as_it_stops_stops(fleet: Fleet) -> None:
    for steps in range(6):
        worker = await fleet.worker()
        await until(worker.waits)
        worker.wake()
        for _ in range(steps):
            await asyncio.sleep(0)
        async with asyncio.timeout(10):
            await worker.stop()


async def test_only_the_operator_may_look_and_toggle(fleet: Fleet, workshop: Workshop) -> None:
    workshop.add("hello", HELLO)
    platform = await fleet.api()
    administrator = await platform.account(await platform.tenant(), roles=("member", "administrator"))

    assert (await administrator.client.get("/api/v1/admin/plugins")).status_code == 403
    assert (await administrator.client.post("/api/v1/admin/plugins/hello/enable")).status_code == 403
    assert fleet.enabled() == set()


async def test_a_session_that_was_ended_toggles_nothing(fleet: Fleet, workshop: Workshop) -> None:
    workshop.add("hello", HELLO)
    platform = await fleet.api()
    account = await operator(platform)
    assert (await account.client.post("/api/v1/auth/logout")).status_code == 204

    assert (await account.client.post("/api/v1/admin/plugins/hello/enable")).status_code == 401
    assert fleet.enabled() == set()
