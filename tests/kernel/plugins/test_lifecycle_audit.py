"""How changes of plugins end, what the kernel does by itself, and what people edited by hand: on record, once each."""

import asyncio
import json
from typing import Any

import msgspec
import pytest
from pegboard.database.pool import Database
from pegboard.plugins import quarantine, revisions
from pegboard.plugins.failure import Failure
from pegboard.plugins.file_watch import FileWatch
from pegboard.supervisor.prepare import run

from tests.kernel.plugins.hello import HELLO, decided, toggle
from tests.support.fleet import Fleet, operator, overview
from tests.support.workshop import Workshop

FAILING = "from pegboard_sdk import hookimpl\nasync def start(): 1 / 0\n@hookimpl\ndef on_startup(): return start"
PINNED = f'pin = "sha256:{"0" * 64}"\n'
BLOCKED = 'blocked = [{ versions = "==1.0.0", reason = "loses mail", last_good = "0.9" }]\n'


class Entry(msgspec.Struct, frozen=True):
    """An entry as these tests compare it."""

    what: str
    before: Any
    after: Any
    outcome: str
    reason: str | None
    actor: str


async def entries(database: Database, *actions: str) -> list[Entry]:
    rows = await database.system.fetch(
        "SELECT *, before::text AS was, after::text AS became FROM kernel_audit_entries"
        " WHERE action = ANY ($1) ORDER BY id",
        [f"kernel:{action}" for action in actions],
    )
    return [
        Entry(
            row["object_id"],
            json.loads(row["was"]) if row["was"] else None,
            json.loads(row["became"]) if row["became"] else None,
            row["outcome"],
            row["reason"],
            row["actor_kind"],
        )
        for row in rows
    ]


async def test_a_toggle_is_asked_for_and_its_end_is_one_entry(fleet: Fleet, workshop: Workshop) -> None:
    workshop.add("hello", HELLO)
    first, _, _ = await fleet.api(), await fleet.api(), await fleet.worker()
    account = await operator(first)
    revision = await toggle(account, "hello", enabled=True)
    await decided(account, revision["number"])

    (asked,) = await entries(first.runtime.database, "plugin.toggle")
    assert (asked.actor, asked.what, asked.after["enabled"]) == ("account", "hello", True)
    assert (asked.after["revision"], asked.after["state"]) == (revision["number"], "preparing")
    ends = await entries(first.runtime.database, "plugin_revision.activate")
    (end,) = [one for one in ends if one.what == str(revision["number"])]
    assert (end.outcome, end.reason, end.actor) == ("success", None, "system")
    assert end.after == {
        "state": "active",
        "origin": "api",
        "requested_by": str(account.id),
        "on": ["hello"],
        "off": [],
    }


async def test_one_that_fails_is_on_record_as_failed_with_the_reason(fleet: Fleet, workshop: Workshop) -> None:
    workshop.add("failing", FAILING)
    first, _ = await fleet.api(), await fleet.worker()
    account = await operator(first)
    revision = await toggle(account, "failing", enabled=True)
    await decided(account, revision["number"])

    ends = await entries(first.runtime.database, "plugin_revision.activate")
    (end,) = [one for one in ends if one.what == str(revision["number"])]
    assert (end.outcome, end.after["state"], end.after["on"]) == ("failed", "failed", ["failing"])
    assert "ZeroDivisionError" in (end.reason or "")


async def test_each_revision_ends_once_whoever_asks_and_however_many_at_once(fleet: Fleet) -> None:
    database = await Database.open(fleet.config(), pool_size=8)

    async def conclude(number: int) -> None:
        async with database.system_transaction() as connection:
            await revisions.fail(connection, number, "a\0b\ud800")
            await revisions.activate_if_ready(connection, number)

    async def ask(plugin: str) -> int:
        async with database.system_transaction() as connection:
            return (await revisions.propose(connection, [plugin], file_hash="", origin="cli")).number

    try:
        await ask("a")
        await database.system.execute(
            "INSERT INTO kernel_processes (id, kind, node, pid, active_revision, heartbeat_at)"
            " VALUES (gen_random_uuid(), 'api', 'n', 1, 1, now())"
        )
        assert [await ask("b"), await ask("c")] == [2, 3]
        await asyncio.gather(*(conclude(3) for _ in range(6)))
        await database.system.execute("UPDATE kernel_processes SET ready_revision = 4, heartbeat_at = now()")
        await ask("d")

        async def activate() -> None:
            async with database.system_transaction() as connection:
                await revisions.activate_if_ready(connection, 4)

        await asyncio.gather(*(activate() for _ in range(6)))
        found = await entries(database, "plugin_revision.activate")
    finally:
        await database.close()
    assert [(one.what, one.after["state"], one.outcome) for one in found] == [
        ("1", "active", "success"),
        ("2", "superseded", "failed"),
        ("3", "failed", "failed"),
        ("4", "active", "success"),
    ]
    # What a plugin's error says may hold what PostgreSQL does not.
    assert [one.reason for one in found] == [None, "revision 3 takes its place", "a\N{REPLACEMENT CHARACTER}b?", None]
    assert (found[3].after["on"], found[3].after["off"]) == (["d"], ["a"])


async def test_a_quarantine_is_one_entry_however_many_processes_find_the_failure(fleet: Fleet) -> None:
    database = await Database.open(fleet.config(), pool_size=8)

    async def put() -> None:
        async with database.system_transaction() as connection:
            await quarantine.put(connection, "broken", Failure("health", "a\0headache", "1.2"))

    try:
        await asyncio.gather(*(put() for _ in range(6)))
        (entry,) = await entries(database, "plugin.quarantine")
    finally:
        await database.close()
    assert (entry.what, entry.actor, entry.reason) == ("broken", "system", "a\N{REPLACEMENT CHARACTER}headache")
    assert {key: entry.after[key] for key in ("quarantined", "cause", "version")} == {
        "quarantined": True,
        "cause": "health",
        "version": "1.2",
    }


async def test_an_edit_by_hand_says_what_it_turns_on_and_off(fleet: Fleet, workshop: Workshop) -> None:
    workshop.add("hello", HELLO)
    workshop.add("steady", HELLO.replace("hello", "steady"))
    fleet.config()
    fleet.write("[plugins.steady]\nenabled = true\n")
    first, _ = await fleet.api(), await fleet.worker()
    account = await operator(first)
    number = (await overview(account))["active"]["number"]
    assert await entries(first.runtime.database, "plugin.toggle", "plugins_file.edit") == []

    fleet.write("[plugins.hello]\nenabled = true\n")
    await decided(account, number + 1)

    toggles = await entries(first.runtime.database, "plugin.toggle")
    assert [(one.what, one.before, one.after["enabled"], one.actor) for one in toggles] == [
        ("hello", {"enabled": False}, True, "system"),
        ("steady", {"enabled": True}, False, "system"),
    ]
    assert {(one.after["revision"], one.after["file"]) for one in toggles} == {(number + 1, str(fleet.file))}
    (edit,) = await entries(first.runtime.database, "plugins_file.edit")
    assert (edit.after["on"], edit.after["off"]) == (["hello"], ["steady"])


async def test_an_edit_of_settings_is_on_record_without_them(fleet: Fleet) -> None:
    database, watch = await watched(fleet, "[plugins.hello]\nenabled = true\n")
    try:
        await edited(fleet, database, watch, '[plugins.hello]\nenabled = true\nkey = "hunter2"\n')
        (edit,) = await entries(database, "plugins_file.edit")
        assert (edit.after["on"], edit.after["off"]) == ([], [])
        assert not await database.system.fetchval(
            "SELECT EXISTS (SELECT FROM kernel_audit_entries e WHERE e::text LIKE '%hunter2%')"
        )
    finally:
        await database.close()


async def test_pins_and_blocks_are_on_record_with_what_was_and_what_is(fleet: Fleet) -> None:
    database, watch = await watched(fleet, f"[plugins.hello]\nenabled = true\n{PINNED}")
    block = {"versions": "==1.0.0", "reason": "loses mail", "last_good": "0.9"}
    pin = PINNED.split('"')[1]
    try:
        assert await entries(database, "plugin.pin", "plugin.block") == []  # it was so when we came
        await edited(fleet, database, watch, f"[plugins.hello]\nenabled = true\n{BLOCKED}")
        pinned, blocked = await entries(database, "plugin.pin", "plugin.block")
        assert (pinned.what, pinned.before, pinned.after["pinned_to"]) == ("hello", {"pinned_to": pin}, None)
        assert (blocked.what, blocked.before, blocked.after["blocked"]) == ("hello", {"blocked": []}, [block])

        await FileWatch(fleet.file, fleet.config).look(database)  # another process of the machine
        await edited(fleet, database, watch, "")
        *_, ended = await entries(database, "plugin.pin", "plugin.block")
        assert (ended.before, ended.after["blocked"]) == ({"blocked": [block]}, [])
        assert len(await entries(database, "plugin.pin", "plugin.block")) == 3
    finally:
        await database.close()


async def test_a_pin_that_a_toggle_writes_over_unseen_is_on_record(fleet: Fleet) -> None:
    database, watch = await watched(fleet, "[plugins.hello]\nenabled = true\n")
    try:
        fleet.write(f"[plugins.hello]\nenabled = true\n{PINNED}")
        async with database.system_transaction() as connection:
            # What a toggle does: it reads the file as it is, and leaves its hash.
            now = FileWatch(fleet.file, fleet.config)
            source = now._read()
            assert source is not None
            node, path = await connection.fetchrow("SELECT node, path FROM kernel_plugin_files")
            await revisions.record_file(connection, node, path, source)
        await watch.look(database)
        await watch.look(database)
        (entry,) = await entries(database, "plugin.pin")
        assert entry.before == {"pinned_to": None}
    finally:
        await database.close()


@pytest.mark.parametrize("safe_mode", [True, False])
async def test_a_start_in_safe_mode_is_one_entry(fleet: Fleet, safe_mode: bool) -> None:
    config = msgspec.structs.replace(fleet.config(), safe_mode=safe_mode)
    assert not (await run(config)).error
    database = await Database.open(config, pool_size=1)
    try:
        found = await entries(database, "platform.safe_mode")
    finally:
        await database.close()
    assert [(one.actor, one.after) for one in found] == [("system", {"safe_mode": True})] * safe_mode


async def watched(fleet: Fleet, text: str) -> tuple[Database, FileWatch]:
    """A database, and a machine's file that was read."""
    fleet.config()
    fleet.write(text)
    database = await Database.open(fleet.config(), pool_size=2)
    watch = FileWatch(fleet.file, fleet.config)
    await watch.look(database)
    return database, watch


async def edited(fleet: Fleet, database: Database, watch: FileWatch, text: str) -> None:
    fleet.write(text)
    await watch.look(database)
    await watch.look(database)
