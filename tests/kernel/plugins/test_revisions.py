"""A set of plugins is prepared by every process and then runs in all of them, or in none."""

import asyncio
import sys
from pathlib import Path

import pytest
from pegboard.plugins.effective import effective_config
from pegboard_sdk.ids import new_id

from tests.kernel.plugins.hello import HELLO, URL, all_equal, decided, holds, status, toggle
from tests.support.fleet import Fleet, operator, overview, until
from tests.support.platform import TestPlatform
from tests.support.workshop import Workshop


async def test_a_toggle_reaches_every_process(fleet: Fleet, workshop: Workshop) -> None:
    workshop.add("hello", HELLO)
    first, second, worker = await fleet.api(), await fleet.api(), await fleet.worker()
    account = await operator(first)
    assert await status(first) == await status(second) == 404

    revision = await toggle(account, "hello", enabled=True)
    assert revision["state"] == "preparing"
    assert (await decided(account, revision["number"]))["state"] == "active"

    await until(lambda: all_equal(200, first, second))
    await until(lambda: holds(worker.plugins == ["hello"]))
    assert fleet.enabled() == {"hello"}
    assert fleet.file.read_text().startswith("# Switched by tests.")

    revision = await toggle(account, "hello", enabled=False)
    assert (await decided(account, revision["number"]))["state"] == "active"
    await until(lambda: all_equal(404, first, second))
    await until(lambda: holds(worker.plugins == []))
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
        await until(lambda expected=200 if enabled else 404: all_equal(expected, platform))
    done.set()
    await asyncio.gather(*loads)

    assert answers == {"steady": {200}, "hello": {200, 404}}
    assert count > 100


async def test_a_request_finishes_on_the_generation_that_it_began_on(fleet: Fleet, workshop: Workshop) -> None:
    slow = HELLO.replace("return {", "began.set(); await go_on.wait(); return {", 1).replace(
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
    await until(lambda: holds([one.name for one in platform.registry.plugins] == ["kernel"]))
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
    # The file says again what is on: the next edit of it must not ask for what failed once more.
    await until(lambda: holds(fleet.enabled() == set()))


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
    await until(lambda: all_equal(200, platform))


async def test_plugins_that_need_each_other_are_toggled_in_order(fleet: Fleet, workshop: Workshop) -> None:
    workshop.add("hello", HELLO)
    workshop.add("guest", requires={"hello": ">=1"})
    workshop.add("picky", requires={"hello": ">=2"})
    platform = await fleet.api()
    account = await operator(platform)

    answer = await account.client.post("/api/v1/admin/plugins/guest/enable")
    assert (answer.status_code, answer.json()["code"]) == (409, "plugin_dependency")
    assert answer.json()["detail"].startswith("guest needs hello: enable it first, or all at once: ")

    for name in ("hello", "guest"):
        await decided(account, (await toggle(account, name, enabled=True))["number"])
    answer = await account.client.post("/api/v1/admin/plugins/hello/disable")
    assert answer.json()["detail"].startswith("hello is needed by guest: disable it first, or all at once: ")
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
