"""A plugin whose code fails is kept out, over restarts and in all processes, until an administrator lets it in."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pegboard.database.pool import Database
from pegboard.plugins import processes, quarantine
from pegboard.plugins.failure import Failure
from pegboard.plugins.health_watch import HealthWatch
from pegboard_sdk.ids import new_id

from tests.kernel.plugins.hello import holds
from tests.support.fleet import Fleet, operator, overview, until
from tests.support.platform import Account, TestPlatform
from tests.support.workshop import Workshop

BROKEN = (
    'from pathlib import Path\nwith Path("LOG").open("a") as log: log.write("imported ")\nraise ValueError("no ink")'
)
FLAKY = """
import itertools
from pegboard_sdk import hookimpl

starts = itertools.count()

async def start():
    if next(starts):
        raise RuntimeError("the second time it does not start")

@hookimpl
def on_startup():
    return start
"""
STARTING = "from pegboard_sdk import hookimpl\nasync def start(): 1 / 0\n@hookimpl\ndef on_startup(): return start"
CHECKED = """
from pathlib import Path
from pegboard_sdk import hookimpl
from pegboard_sdk.health import HealthCheck

async def check():
    if Path("STATE").exists():
        raise SystemExit("a headache")

@hookimpl
def health_checks():
    return [HealthCheck(name="head", check=check, upstream=UPSTREAM)]
"""
MENDED = "from pegboard_sdk import hookimpl"


@pytest.fixture
async def fleet(postgres_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Fleet]:
    fleet = Fleet(postgres_url, redis_url, tmp_path / "config")
    await fleet.open()
    fleet.config()
    yield fleet
    await fleet.close()


@pytest.fixture
def imports(tmp_path: Path) -> Path:
    """A file to which the broken plugin adds a word at each import."""
    return tmp_path / "imports"


def told(file: Path) -> str:
    return file.read_text()


def enable(fleet: Fleet, *names: str) -> None:
    fleet.write("".join(f"[plugins.{name}]\nenabled = true\n" for name in names))


async def shown(account: Account, name: str) -> tuple[str, str]:
    """A plugin's state and reason."""
    (found,) = [one for one in (await overview(account))["plugins"] if one["name"] == name]
    return found["state"], found["reason"] or ""


async def state(account: Account, name: str, expected: str) -> bool:
    return (await shown(account, name))[0] == expected


async def settled(account: Account, number: int) -> dict[str, Any]:
    """The revision, once it is active or failed."""

    async def look() -> dict[str, Any] | None:
        found = await overview(account)
        both = [one for one in (found["latest"], found["active"]) if one and one["number"] == number]
        return next((one for one in both if one["state"] != "preparing"), None)

    return await until(look)


async def release(account: Account, name: str) -> dict[str, Any]:
    answer = await account.client.post(f"/api/v1/admin/plugins/{name}/release")
    assert answer.status_code == 202, answer.text
    return await settled(account, answer.json()["revision"])


async def standing(platform: TestPlatform) -> dict[str, quarantine.Quarantine]:
    async with platform.runtime.database.system_transaction() as connection:
        return await quarantine.standing(connection)


def mend(workshop: Workshop, name: str, code: str = MENDED) -> None:
    (workshop.folder / workshop.packages[name] / "plugin.py").write_text(code)


async def test_a_plugin_that_fails_at_start_is_kept_out_and_not_even_imported_again(
    fleet: Fleet, workshop: Workshop, imports: Path
) -> None:
    workshop.add("broken", BROKEN.replace("LOG", str(imports)))
    workshop.add("follower", requires={"broken": ">=1"})
    workshop.add("well")
    enable(fleet, "broken", "follower", "well")
    first = await fleet.api()
    account = await operator(first)
    seen = told(imports)

    worker = await fleet.worker()  # another process of the platform, which starts later

    assert worker.plugins == ["well"]
    assert told(imports) == seen == "imported "
    now, reason = await shown(account, "broken")
    assert now == "quarantined"
    assert "ValueError: no ink (" in reason  # and where
    assert "`pegboard plugins release broken`" in reason
    now, reason = await shown(account, "follower")
    assert (now, reason[:43]) == ("failed", "it requires broken >=1, which is off: quara")


async def test_a_plugin_that_does_not_start_is_kept_out_with_what_requires_it(fleet: Fleet, workshop: Workshop) -> None:
    workshop.add("broken", STARTING)
    workshop.add("follower", requires={"broken": ">=1"})
    workshop.add("well")
    enable(fleet, "broken", "follower", "well")
    account = await operator(await fleet.api())

    assert await shown(account, "well") == ("enabled", "")
    now, reason = await shown(account, "broken")
    assert now == "quarantined"
    assert "its on_startup failed: ZeroDivisionError: division by zero" in reason
    assert (await shown(account, "follower"))[0] == "failed"


async def test_a_release_takes_a_mended_plugin_in_everywhere_and_is_audited(
    fleet: Fleet, workshop: Workshop, imports: Path
) -> None:
    workshop.add("broken", BROKEN.replace("LOG", str(imports)))
    enable(fleet, "broken")
    platform, worker = await fleet.api(), await fleet.worker()
    account = await operator(platform)
    mend(workshop, "broken")

    assert (await release(account, "broken"))["state"] == "active"

    assert await shown(account, "broken") == ("enabled", "")
    await until(lambda: holds(worker.plugins == ["broken"]))
    async with platform.work(account) as work:
        entries = await work.fetch("SELECT * FROM kernel_audit_entries WHERE action = 'kernel:plugin.release'")
    assert [(entry["actor_id"], entry["object_id"]) for entry in entries] == [(account.id, "broken")]
    (past,) = (await account.client.get("/api/v1/admin/plugins/quarantine")).json()["items"]
    assert (past["plugin"], past["cause"], past["released_by"]) == ("broken", "import", str(account.id))


async def test_a_released_plugin_that_fails_again_goes_back(fleet: Fleet, workshop: Workshop, imports: Path) -> None:
    workshop.add("broken", BROKEN.replace("LOG", str(imports)))
    enable(fleet, "broken")
    platform = await fleet.api()
    account = await operator(platform)

    revision = await release(account, "broken")

    assert (revision["state"], "ValueError: no ink" in revision["reason"]) == ("failed", True)
    assert list(await standing(platform)) == ["broken"]


async def test_an_administrator_who_enables_it_ends_the_quarantine(
    fleet: Fleet, workshop: Workshop, imports: Path
) -> None:
    workshop.add("broken", BROKEN.replace("LOG", str(imports)))
    enable(fleet, "broken")
    platform = await fleet.api()
    account = await operator(platform)
    mend(workshop, "broken")

    answer = await account.client.post("/api/v1/admin/plugins/broken/enable")
    assert answer.status_code == 202, answer.text
    await settled(account, answer.json()["revision"]["number"])

    await until(lambda: state(account, "broken", "enabled"))
    assert await standing(platform) == {}


async def test_what_others_toggle_does_not_import_it(fleet: Fleet, workshop: Workshop, imports: Path) -> None:
    workshop.add("broken", BROKEN.replace("LOG", str(imports)))
    workshop.add("well")
    enable(fleet, "broken")
    account = await operator(await fleet.api())

    answer = await account.client.post("/api/v1/admin/plugins/well/enable")
    assert (await settled(account, answer.json()["revision"]["number"]))["state"] == "active"

    assert told(imports) == "imported "
    assert (await shown(account, "broken"))[0] == "quarantined"


async def test_a_toggle_that_fails_leaves_the_plugin_off_and_none_in_quarantine(
    fleet: Fleet, workshop: Workshop
) -> None:
    workshop.add("broken", STARTING)
    platform = await fleet.api()
    account = await operator(platform)

    answer = await account.client.post("/api/v1/admin/plugins/broken/enable")
    revision = await settled(account, answer.json()["revision"]["number"])

    assert (revision["state"], "ZeroDivisionError" in revision["reason"]) == ("failed", True)
    assert await standing(platform) == {}


async def test_what_a_failed_toggle_takes_back_leaves_others_in_quarantine(fleet: Fleet, workshop: Workshop) -> None:
    workshop.add("sick")
    workshop.add("flaky", FLAKY)
    enable(fleet, "flaky", "sick")
    platform = await fleet.api()
    account = await operator(platform)
    async with platform.runtime.database.system_transaction() as connection:
        await quarantine.put(connection, "sick", Failure("health", "a headache", "1.0.0"))

    answer = await account.client.post("/api/v1/admin/plugins/sick/disable")
    revision = await settled(account, answer.json()["revision"]["number"])

    assert (revision["state"], "flaky: its on_startup failed" in revision["reason"]) == ("failed", True)
    await until(lambda: holds(fleet.enabled() == {"flaky", "sick"}))
    # Who was in quarantine stays there, and who runs well and failed just now goes on running.
    assert set(await standing(platform)) == {"sick"}
    assert await shown(account, "flaky") == ("enabled", "")


async def test_only_who_may_release_does_and_only_what_is_quarantined(fleet: Fleet, workshop: Workshop) -> None:
    workshop.add("well")
    platform = await fleet.api()
    member = await platform.account(await platform.tenant())
    account = await operator(platform)

    assert (await member.client.post("/api/v1/admin/plugins/well/release")).status_code == 403
    answer = await account.client.post("/api/v1/admin/plugins/well/release")
    assert (answer.status_code, answer.json()["code"]) == (409, "plugin_not_quarantined")


async def watched(platform: TestPlatform, times: int) -> HealthWatch:
    """A watch that has looked so many times."""
    watch = HealthWatch(platform.runtime, platform.runtime.database.system, holder="tests")
    for _ in range(times):
        await watch.look()
    return watch


async def test_a_plugin_that_stays_unwell_is_taken_out_of_all_processes(
    fleet: Fleet, workshop: Workshop, tmp_path: Path
) -> None:
    unwell = tmp_path / "unwell"
    workshop.add("patient", CHECKED.replace("STATE", str(unwell)).replace("UPSTREAM", "False"))
    workshop.add("follower", requires={"patient": ">=1"})
    workshop.add("well")
    enable(fleet, "patient", "follower", "well")
    platform, worker = await fleet.api(), await fleet.worker()
    account = await operator(platform)
    allowed = platform.config.isolation.health_failures
    unwell.touch()

    watch = await watched(platform, allowed - 1)
    assert await standing(platform) == {}
    unwell.unlink()
    await watch.look()  # it is well in between: counting begins anew
    unwell.touch()
    for _ in range(allowed):
        assert await standing(platform) == {}
        await watch.look()

    await until(lambda: state(account, "patient", "quarantined"))
    await until(lambda: holds(worker.plugins == ["well"]))
    reason = (await standing(platform))["patient"].reason
    assert reason == f"its health check head failed {allowed} times in a row: SystemExit: a headache"
    assert "quarantined since" in (await shown(account, "follower"))[1]


async def test_one_that_is_about_to_go_is_not_taken_out_anew(fleet: Fleet, workshop: Workshop, tmp_path: Path) -> None:
    unwell = tmp_path / "unwell"
    workshop.add("patient", CHECKED.replace("STATE", str(unwell)).replace("UPSTREAM", "False"))
    enable(fleet, "patient")
    platform = await fleet.api()
    async with platform.runtime.database.system_transaction() as connection:
        # It takes its time to get ready, and all others wait for it.
        await processes.register(connection, new_id(), "worker", "elsewhere", 1)
    unwell.touch()

    await watched(platform, 3 * platform.config.isolation.health_failures)

    async with platform.runtime.database.system_transaction() as connection:
        count = await connection.fetchval("SELECT count(*) FROM kernel_plugin_revisions WHERE origin = 'kernel'")
    assert count == 1


async def test_programs_that_are_not_ours_take_nothing_out(fleet: Fleet, workshop: Workshop, tmp_path: Path) -> None:
    unwell = tmp_path / "unwell"
    unwell.touch()
    workshop.add("caller", CHECKED.replace("STATE", str(unwell)).replace("UPSTREAM", "True"))
    platform = await fleet.api()
    account = await operator(platform)

    answer = await account.client.post("/api/v1/admin/plugins/caller/enable")
    assert (await settled(account, answer.json()["revision"]["number"]))["state"] == "active"
    await watched(platform, platform.config.isolation.health_failures + 1)

    assert await standing(platform) == {}
    health = {one["plugin"]: one for one in (await account.client.get("/health/plugins")).json()["items"]}
    assert [(check["ok"], check["upstream"]) for check in health["caller"]["checks"]] == [(False, True)]


async def test_checks_do_not_count_while_the_database_is_away(
    fleet: Fleet, workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unwell = tmp_path / "unwell"
    workshop.add("patient", CHECKED.replace("STATE", str(unwell)).replace("UPSTREAM", "False"))
    enable(fleet, "patient")
    platform = await fleet.api()
    unwell.touch()

    async def away(_: Database, __: Any) -> Any:
        raise ConnectionRefusedError

    with monkeypatch.context() as outage:
        outage.setattr(Database, "acquire", away)
        watch = await watched(platform, platform.config.isolation.health_failures + 5)
    await watch.look()

    assert await standing(platform) == {}


async def test_many_processes_that_find_the_same_failure_make_one_quarantine(fleet: Fleet) -> None:
    database = (await fleet.api()).runtime.database

    async def find(number: int) -> quarantine.Quarantine:
        async with database.system_transaction() as connection:
            return await quarantine.put(connection, "broken", Failure("startup", f"found by {number}"))

    found = await asyncio.gather(*map(find, range(8)))

    assert len({one.id for one in found}) == len({one.reason for one in found}) == 1


async def test_safe_mode_holds_other_peoples_plugins_back_and_writes_nothing(fleet: Fleet, workshop: Workshop) -> None:
    workshop.add("theirs")
    fleet.write("[plugins.theirs]\nenabled = true\n[plugins.governance]\nenabled = true\n")
    before = told(fleet.file)
    safe = TestPlatform(msgspec.structs.replace(fleet.config(), safe_mode=True))
    await safe.start()
    account = await operator(safe)
    states = {one["name"]: one["state"] for one in (await overview(account))["plugins"] if one["state"] != "disabled"}
    health = (await account.client.get("/health/plugins")).json()
    notice = health["notice"]
    (held_back,) = [one for one in health["items"] if one["plugin"] == "theirs"]
    page = (await safe.client().get("/")).text
    await safe.stop()

    assert states == {"theirs": "held_back", "governance": "enabled"}
    assert notice.startswith("Safe mode is on")
    assert (held_back["ok"], held_back["state"]) == (False, "held_back")
    assert "start without it" in held_back["reason"]
    assert notice in page
    assert told(fleet.file) == before
    account = await operator(await fleet.api())
    assert await shown(account, "theirs") == ("enabled", "")
    assert (await account.client.get("/health/plugins")).json()["notice"] is None


STEPS = st.lists(st.tuples(st.sampled_from(("put", "release")), st.sampled_from(("one", "two"))), max_size=12)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
async def test_a_quarantine_lasts_from_the_first_failure_to_the_release(
    platform: TestPlatform, steps: list[tuple[str, str]]
) -> None:
    prefix = f"made_up_{new_id().hex[-8:]}_"  # of this example
    lasts: dict[str, str] = {}
    ended = 0
    for number, (what, short) in enumerate(steps):
        plugin = prefix + short
        async with platform.runtime.database.system_transaction() as connection:
            if what == "put":
                lasts.setdefault(plugin, f"failure {number}")
                found = await quarantine.put(connection, plugin, Failure("hook", f"failure {number}"))
                assert found.reason == lasts[plugin]
            else:
                assert await quarantine.release(connection, plugin, by=None) == (plugin in lasts)
                ended += lasts.pop(plugin, None) is not None
            now = await quarantine.standing(connection)
            assert {name: one.reason for name, one in now.items() if name.startswith(prefix)} == lasts
    async with platform.runtime.database.system_transaction() as connection:
        past = [one for one in await quarantine.history(connection) if one.plugin.startswith(prefix)]
        assert len(past) == ended + len(lasts)
        for name in lasts:  # the database is other tests', too
            await quarantine.release(connection, name, by=None)
