"""An edit of `plugins.toml` by hand does what the command does; machines with other files don't fight over it."""

from pathlib import Path

from pegboard.database.pool import Database
from pegboard.plugins.file_watch import FileWatch

from tests.kernel.plugins.hello import HELLO, URL, all_equal, conflict, decided, holds, status, toggle
from tests.support.fleet import Fleet, operator, overview, until
from tests.support.workshop import Workshop


async def test_an_edited_file_is_imported(fleet: Fleet, workshop: Workshop) -> None:
    workshop.add("hello", HELLO)
    first, worker = await fleet.api(), await fleet.worker()
    fleet.write("[plugins.hello]\nenabled = true\n")

    await until(lambda: all_equal(200, first))
    await until(lambda: holds(worker.plugins == ["hello"]))
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
    assert "says broken on, and it is off; hello off, and it is on" in await until(lambda: conflict(account))


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
    await until(lambda: all_equal(200, here, there))

    assert "there/plugins.toml" in await until(lambda: conflict(account))
    assert fleet.enabled(tmp_path / "there") == set()
    assert (await overview(account))["active"]["number"] == revision["number"]
    # An edit is somebody's decision: it counts, wherever it is made.
    fleet.write("# Off again.\n[plugins.hello]\nenabled = false\n", tmp_path / "there")
    await until(lambda: all_equal(404, here, there))


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

    await until(lambda: all_equal(200, here, there))


async def test_a_block_takes_along_what_requires_the_plugin(fleet: Fleet, workshop: Workshop) -> None:
    workshop.add("hello", HELLO)
    workshop.add("guest", requires={"hello": ">=1"})
    fleet.config()
    both = "[plugins.guest]\nenabled = true\n[plugins.hello]\nenabled = true\n"
    fleet.write(both)
    platform = await fleet.api()
    assert await status(platform) == 200
    fleet.write(f'{both}blocked = [{{ versions = ">=1", reason = "it loses greetings" }}]\n')

    await until(lambda: all_equal(404, platform))
    found = {one["name"]: one for one in (await overview(await operator(platform)))["plugins"]}
    assert (found["hello"]["state"], found["guest"]["state"]) == ("blocked", "failed")
    assert "it loses greetings" in found["hello"]["reason"]
    assert "it requires hello" in found["guest"]["reason"]
