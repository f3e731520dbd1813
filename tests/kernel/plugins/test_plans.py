"""A plan says what a change of plugins would do; it is applied once, and only while everything is as it was."""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from click.testing import CliRunner
from pegboard.cli import main
from pegboard.plugins import quarantine, revisions
from pegboard.plugins.failure import Failure
from pegboard_sdk.ids import new_id

from tests.support.fleet import Fleet, operator, overview, until
from tests.support.platform import Account
from tests.support.servers import MASTER_KEY
from tests.support.workshop import Workshop

HELLO = """
from typing import ClassVar
import msgspec
from pegboard_sdk import Permission, RoleGrant, hookimpl
from pegboard_sdk.database import PiccoloApp
from pegboard_sdk.events import Event
from pegboard_sdk.http import Controller, get
from pegboard_sdk.jobs import Job, Schedule

class Payload(msgspec.Struct, frozen=True):
    name: str = ""

class Greeted(Event, frozen=True, kw_only=True):
    '''A guest was greeted.'''
    name: ClassVar[str] = "hello.guest_greeted"
    guest: str

async def greet(uow, payload: Payload) -> None:
    '''Greet.'''

GREET = Job(name="hello.greet", payload=Payload, run=greet)

class HelloController(Controller):
    path = "/greetings"

    @get("/", permission="hello:greeting.read")
    async def list_greetings(self) -> dict[str, str]:
        '''Greet.'''
        return {"greeting": "hello"}

    @get("/first", public=True)
    async def read_first(self) -> dict[str, str]:
        '''Greet.'''
        return {"greeting": "hello"}

@hookimpl
def controllers(): return [HelloController]
@hookimpl
def permissions(): return [Permission("hello:greeting.read", "read greetings")]
@hookimpl
def roles(): return [RoleGrant("member", ("hello:greeting.read",))]
@hookimpl
def events(): return [Greeted]
@hookimpl
def jobs(): return [GREET]
@hookimpl
def schedules(): return [Schedule(name="hello.hourly", cron="0 * * * *", job=GREET, payload=Payload())]
@hookimpl
def piccolo_app(): return PiccoloApp(name="hello", tables=[], migrations="PACKAGE:migrations")
"""

GUEST = """
import msgspec
from pegboard_sdk import hookimpl
from pegboard_sdk.events import EventHandler

class Heard(msgspec.Struct, frozen=True):
    guest: str

async def hear(uow, event) -> None:
    '''Hear it.'''

@hookimpl
def event_handlers(): return [EventHandler(event="hello.guest_greeted", name="hear", type=Heard, handle=hear)]
"""

MIGRATION = """
from pegboard_sdk.database import protect_table, sql_migration
ID, VERSION, DESCRIPTION = "2026-11-24T00:0{n}:00:000000", "1.0", "Greetings {n}"

async def forwards():
    return sql_migration(
        app="hello", id=ID, description=DESCRIPTION,
        forwards=("CREATE TABLE hello_greetings_{n} (tenant_id uuid NOT NULL, id uuid PRIMARY KEY)",
                  protect_table("hello_greetings_{n}")),
        backwards=("DROP TABLE hello_greetings_{n}",),
    )
"""


@pytest.fixture
async def fleet(postgres_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Fleet]:
    fleet = Fleet(postgres_url, redis_url, tmp_path / "config")
    await fleet.open()
    yield fleet
    await fleet.close()


@pytest.fixture
def installed(workshop: Workshop) -> Workshop:
    """The plugin hello, with a table, and guest, which listens to it."""
    package = workshop.add(
        "hello",
        HELLO,
        permissions={"hello:greeting.read": "read greetings"},
        events={"hello.guest_greeted": "a guest was greeted"},
        tables=["hello_greetings_1"],
    )
    (workshop.folder / package / "migrations").mkdir()
    migrate_to(workshop, 1)
    workshop.add("guest", GUEST, requires={"hello": ">=1"})
    return workshop


def migrate_to(workshop: Workshop, number: int) -> None:
    folder = workshop.folder / workshop.packages["hello"] / "migrations"
    (folder / f"hello_2026_11_24_000{number}.py").write_text(MIGRATION.replace("{n}", str(number)))


async def plan(account: Account, *, status: int = 201, **request: Any) -> dict[str, Any]:
    answer = await account.client.post("/api/v1/admin/plugins/plans", json=request)
    assert answer.status_code == status, answer.text
    return answer.json()


async def apply(account: Account, number: str, *, status: int = 202) -> dict[str, Any]:
    answer = await account.client.post(f"/api/v1/admin/plugins/plans/{number}/apply")
    assert answer.status_code == status, answer.text
    return answer.json()


async def active(account: Account, number: int) -> None:
    async def look() -> bool:
        found = await overview(account)
        return found["active"]["number"] == number and all(
            one["active_revision"] == number for one in found["processes"]
        )

    await until(look)


async def turn_on(account: Account, *names: str) -> None:
    made = await plan(account, enable=list(names), cascade=True)
    await active(account, (await apply(account, made["id"]))["revision"]["number"])


async def test_a_plan_shows_what_a_plugin_would_bring_and_imports_nothing(fleet: Fleet, installed: Workshop) -> None:
    platform = await fleet.api()
    account = await operator(platform)
    before = fleet.file.read_text()

    content = (await plan(account, enable=["hello"]))["content"]

    assert [(one["change"], one["plugin"], one["version_to"]) for one in content["changes"]] == [
        ("enable", "hello", "1.0.0")
    ]
    assert [one["operation"] for one in content["operations"]["gained"]] == ["hello_list_greetings", "hello_read_first"]
    assert content["operations"]["gained"][0] == {
        "operation": "hello_list_greetings",
        "method": "GET",
        "path": "/api/v1/hello/greetings",
        "permission": "hello:greeting.read",
    }
    assert content["permissions"] == {"gained": ["hello:greeting.read"], "lost": []}
    assert content["grants"]["gained"] == ["member may hello:greeting.read"]
    assert content["events"]["gained"] == ["hello.guest_greeted"]
    assert content["jobs"]["gained"] == ["hello.greet"]
    assert content["schedules"]["gained"] == ["hello.hourly (0 * * * * UTC)"]
    assert content["migrations"] == ["hello 2026-11-24T00:01:00:000000: Greetings 1"]
    assert content["tables"] == ["hello_greetings_1"]
    assert content["problems"] == []
    assert content["restart"] is None
    assert not installed.imported("hello")
    assert fleet.file.read_text() == before
    assert (await overview(account))["active"]["plugins"] == []


async def test_a_plan_is_applied_once_and_audited(fleet: Fleet, installed: Workshop) -> None:
    platform = await fleet.api()
    account = await operator(platform)
    made = await plan(account, enable=["guest"], cascade=True)
    assert [(one["plugin"], one["because"]) for one in made["content"]["changes"]] == [
        ("hello", "guest"),
        ("guest", None),
    ]

    applied = await apply(account, made["id"])

    await active(account, applied["revision"]["number"])
    assert applied["plan"]["state"] == "applied"
    assert fleet.enabled() == {"hello", "guest"}
    assert (await platform.client().get("/api/v1/hello/greetings/first")).status_code == 200
    async with platform.work(account) as work:
        entries = await work.fetch("SELECT * FROM kernel_audit_entries WHERE action = 'kernel:plugin.toggle'")
    assert sorted(entry["object_id"] for entry in entries) == ["guest", "hello"]
    assert all(made["id"] in entry["after"] for entry in entries)
    assert all(str(applied["revision"]["number"]) in entry["after"] for entry in entries)

    again = await apply(account, made["id"], status=409)
    assert again["code"] == "plan_applied"
    answer = await account.client.get(f"/api/v1/admin/plugins/plans/{made['id']}")
    assert (answer.json()["state"], answer.json()["revision"]) == ("applied", applied["revision"]["number"])


async def test_disabling_shows_what_is_lost_and_the_cascade_is_one_revision(fleet: Fleet, installed: Workshop) -> None:
    platform = await fleet.api()
    account = await operator(platform)
    await turn_on(account, "guest")
    async with platform.runtime.database.system_transaction() as connection:
        await connection.execute(
            "INSERT INTO hello_greetings_1 (tenant_id, id) VALUES ($1, $2), ($1, $3)",
            account.tenant_id,
            new_id(),
            new_id(),
        )

    alone = (await plan(account, disable=["hello"]))["content"]
    (problem,) = alone["problems"]
    assert problem.startswith("hello is needed by guest: disable it first, or all at once: ")
    refused = await apply(account, (await plan(account, disable=["hello"]))["id"], status=409)
    assert refused["code"] == "plan_refused"

    made = await plan(account, disable=["hello"], cascade=True)
    content = made["content"]
    assert [(one["plugin"], one["because"]) for one in content["changes"]] == [("guest", "hello"), ("hello", None)]
    assert [one["operation"] for one in content["operations"]["lost"]] == ["hello_list_greetings", "hello_read_first"]
    assert content["permissions"]["lost"] == ["hello:greeting.read"]
    assert content["listeners"]["lost"] == ["guest hears hello.guest_greeted"]
    (table,) = content["data"]
    assert (table["table"], table["rows"], table["estimated"], table["fate"]) == ("hello_greetings_1", 2, False, "kept")
    assert table["bytes"] > 0

    number = (await apply(account, made["id"]))["revision"]["number"]
    await active(account, number)
    assert (await overview(account))["active"]["plugins"] == []
    assert fleet.enabled() == set()


async def test_queued_jobs_that_nobody_would_run_are_counted(fleet: Fleet, installed: Workshop) -> None:
    platform = await fleet.api()
    account = await operator(platform)
    await turn_on(account, "hello")
    async with platform.work(account) as work:
        job = platform.registry.jobs["hello.greet"]
        await work.enqueue(job, job.payload())

    content = (await plan(account, disable=["hello"]))["content"]
    assert content["parked"] == [{"plugin": "hello", "job": "hello.greet", "count": 1}]


async def test_uninstalling_shows_what_becomes_of_the_data(fleet: Fleet, installed: Workshop) -> None:
    platform = await fleet.api()
    account = await operator(platform)
    await turn_on(account, "hello")

    made = await plan(account, uninstall=["hello"], data="purge")
    assert [(one["change"], one["plugin"]) for one in made["content"]["changes"]] == [("uninstall", "hello")]
    assert [(one["table"], one["fate"]) for one in made["content"]["data"]] == [("hello_greetings_1", "purged")]
    assert made["content"]["events"]["lost"] == ["hello.guest_greeted"]
    refused = await apply(account, made["id"], status=409)
    assert f"run `pegboard plugins apply {made['id']}`" in refused["detail"]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("revision", "the wanted plugins are those of revision"),
        ("file", "plugins.toml was edited"),
        ("files", "the installed files of hello 1.0.0 have changed"),
        ("version", "hello 1.1.0 is installed now (it was 1.0.0)"),
        ("migrations", "migrations were run"),
    ],
)
async def test_a_plan_is_refused_once_something_changed(
    fleet: Fleet, installed: Workshop, what: str, said: str
) -> None:
    installed.add("other")
    platform = await fleet.api()
    account = await operator(platform)
    made = await plan(account, enable=["hello"])
    package = installed.folder / installed.packages["hello"]

    if what == "revision":
        await turn_on(account, "other")
    elif what == "file":
        fleet.file.write_text(f"{fleet.file.read_text()}# Mine.\n")
    elif what == "files":
        (package / "more.py").write_text("MORE = True\n")
    elif what == "version":
        manifest = package / "plugin.toml"
        manifest.write_text(manifest.read_text().replace("1.0.0", "1.1.0"))
    else:
        owner = await asyncpg.connect(platform.runtime.database.urls.owner)
        await owner.execute("INSERT INTO migration (app_name, name) VALUES ('hello', '2026-11-24T00:01:00:000000')")
        await owner.close()

    refused = await apply(account, made["id"], status=409)
    assert refused["code"] == "plan_stale"
    assert said in refused["detail"]
    assert (await overview(account))["active"]["plugins"] == (["other"] if what == "revision" else [])


async def test_an_old_plan_is_refused(fleet: Fleet, installed: Workshop) -> None:
    platform = await fleet.api()
    account = await operator(platform)
    made = await plan(account, enable=["hello"])
    async with platform.runtime.database.system_transaction() as connection:
        await connection.execute("UPDATE kernel_plugin_plans SET expires_at = now() - interval '1 second'")

    refused = await apply(account, made["id"], status=409)
    assert refused["code"] == "plan_expired"
    assert (await apply(account, str(new_id()), status=404))["code"] == "plan_not_found"


async def test_a_plan_that_was_tampered_with_is_refused(fleet: Fleet, installed: Workshop) -> None:
    platform = await fleet.api()
    account = await operator(platform)
    made = await plan(account, enable=["hello"])
    async with platform.runtime.database.system_transaction() as connection:
        await connection.execute(
            "UPDATE kernel_plugin_plans SET content = jsonb_set(content, '{changes,0,plugin}', '\"guest\"')"
        )

    assert (await apply(account, made["id"], status=409))["code"] == "plan_stale"


async def test_of_two_who_apply_at_once_one_does(fleet: Fleet, installed: Workshop) -> None:
    platform = await fleet.api()
    account = await operator(platform)
    made = await plan(account, enable=["hello"])
    url = f"/api/v1/admin/plugins/plans/{made['id']}/apply"

    answers = await asyncio.gather(*(account.client.post(url) for _ in range(4)))

    assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"plan_applied", "plan_stale"}


async def test_an_upgrade_shows_what_breaks_and_runs_its_migrations(fleet: Fleet, installed: Workshop) -> None:
    platform = await fleet.api()
    account = await operator(platform)
    await turn_on(account, "hello")
    package = installed.folder / installed.packages["hello"]
    manifest = package / "plugin.toml"
    manifest.write_text(manifest.read_text().replace('"1.0.0"', '"2.0.0"'))
    code = package / "plugin.py"
    code.write_text(re.sub(r'    @get\("/first".*?hello"}\n', "", code.read_text(), flags=re.DOTALL))
    migrate_to(installed, 2)

    assert [one["change"] for one in (await plan(account))["content"]["changes"]] == ["upgrade"]
    made = await plan(account, upgrade=["hello"])
    content = made["content"]
    assert content["changes"] == [
        {"plugin": "hello", "change": "upgrade", "version_from": "1.0.0", "version_to": "2.0.0", "because": None}
    ]
    assert content["breaking"] == ["clients lose hello_read_first (GET /api/v1/hello/greetings/first)"]
    assert [one["operation"] for one in content["operations"]["lost"]] == ["hello_read_first"]
    assert content["migrations"] == ["hello 2026-11-24T00:02:00:000000: Greetings 2"]
    assert "one after the other" in content["restart"]

    applied = await apply(account, made["id"])

    assert applied["revision"] is None
    async with platform.runtime.database.system_transaction() as connection:
        assert await connection.fetchval("SELECT count(*) FROM hello_greetings_2") == 0
    # What runs goes on as it was until it is restarted.
    assert (await platform.client().get("/api/v1/hello/greetings/first")).status_code == 200
    assert (await overview(account))["processes"][0]["versions"] == {"hello": "1.0.0"}
    assert (await apply(account, made["id"], status=409))["code"] == "plan_applied"


async def test_without_an_action_the_plan_is_what_the_file_says_otherwise(fleet: Fleet, installed: Workshop) -> None:
    platform = await fleet.api()
    account = await operator(platform)
    assert (await plan(account))["content"]["changes"] == []
    async with platform.runtime.database.system_transaction() as connection:
        await revisions.propose(connection, ["hello"], file_hash="", origin="api")
        await revisions.activate_if_ready(connection, 2)
    found = (await plan(account))["content"]
    assert [(one["change"], one["plugin"]) for one in found["changes"]] == [("disable", "hello")]


async def test_code_that_ends_the_process_ends_another_one(fleet: Fleet, workshop: Workshop) -> None:
    workshop.add("hello", "import os\nprint('not JSON')\nos._exit(3)\n")
    platform = await fleet.api()
    account = await operator(platform)

    refused = await plan(account, status=409, enable=["hello"])
    assert refused["code"] == "plugin_unusable"
    assert "status 3" in refused["detail"]


async def test_a_plugin_that_cannot_be_on_has_a_plan_that_says_so(fleet: Fleet, workshop: Workshop) -> None:
    workshop.add("hello", "print('hello')\n1 / 0\n")
    platform = await fleet.api()
    account = await operator(platform)

    (problem,) = (await plan(account, enable=["hello"]))["content"]["problems"]
    assert "ZeroDivisionError" in problem
    assert (await plan(account, status=404, enable=["nobody"]))["code"] == "plugin_unknown"


async def test_enabling_lets_out_of_quarantine_and_the_plan_says_so(fleet: Fleet, installed: Workshop) -> None:
    platform = await fleet.api()
    account = await operator(platform)
    await turn_on(account, "hello")
    async with platform.runtime.database.system_transaction() as connection:
        await quarantine.put(connection, "hello", Failure("health", "unwell", "1.0.0"))

    assert (await plan(account, disable=["hello"]))["content"]["operations"]["lost"] == []
    content = (await plan(account, enable=["hello"]))["content"]
    assert [(one["change"], one["plugin"]) for one in content["changes"]] == [("enable", "hello")]
    assert [one["operation"] for one in content["operations"]["gained"]] == ["hello_list_greetings", "hello_read_first"]


@pytest.mark.parametrize(
    "action",
    [
        {"enable": ["hello"], "disable": ["hello"]},
        {"enable": ["hello"], "uninstall": ["hello"]},
        {"upgrade": ["hello"], "disable": ["hello"]},
    ],
)
async def test_no_plan_wants_a_plugin_on_and_off(
    fleet: Fleet, installed: Workshop, action: dict[str, list[str]]
) -> None:
    account = await operator(await fleet.api())

    refused = await plan(account, status=409, **action)
    assert refused["code"] == "plan_refused"
    one, other = action
    assert refused["detail"] == f"You ask to {one} and to {other} hello: ask for one of the two."


async def test_only_the_operator_plans(fleet: Fleet, installed: Workshop) -> None:
    platform = await fleet.api()
    member = await platform.account(await platform.tenant(), roles=("member",))

    answer = await member.client.post("/api/v1/admin/plugins/plans", json={"enable": ["hello"]})
    assert answer.status_code == 403


async def test_the_api_cascades_when_asked(fleet: Fleet, installed: Workshop) -> None:
    platform = await fleet.api()
    account = await operator(platform)

    refused = await account.client.post("/api/v1/admin/plugins/guest/enable")
    assert refused.status_code == 409
    assert refused.json()["detail"] == (
        "guest needs hello: enable it first, or all at once: `pegboard plugins enable guest --cascade`"
        " (over the API: `?cascade=true`)."
    )
    answer = await account.client.post("/api/v1/admin/plugins/guest/enable?cascade=true")
    assert answer.json()["revision"]["plugins"] == ["guest", "hello"]
    assert answer.json()["also"] == ["hello"]
    async with platform.runtime.database.system_transaction() as connection:
        entries = await connection.fetch(
            "SELECT object_id, after::text FROM kernel_audit_entries WHERE action = 'kernel:plugin.toggle'"
        )
    because = {entry["object_id"]: json.loads(entry["after"]).get("because_of") for entry in entries}
    assert because == {"guest": None, "hello": ["guest"]}


async def test_the_command_line_plans_and_applies(fleet: Fleet, installed: Workshop, redis_url: str) -> None:
    platform = await fleet.api()
    account = await operator(platform)

    async def run(*arguments: str) -> str:
        env = {
            "PEGBOARD_DATABASE__URL": fleet.database_url,
            "PEGBOARD_REDIS__URL": redis_url,
            "PEGBOARD_SECRETS__MASTER_KEY": os.environ[MASTER_KEY],
        }
        command = ["--config", str(fleet.file), "plugins", *arguments]
        ended = await asyncio.to_thread(CliRunner().invoke, main, command, env=env)
        assert ended.exit_code == 0, ended.output
        return ended.stdout

    shown = await run("enable", "guest", "--dry-run", "--cascade")
    assert "enable hello 1.0.0, because of guest\nenable guest 1.0.0\n" in shown
    assert "clients gain:\n  + hello_list_greetings  GET /api/v1/hello/greetings  hello:greeting.read" in shown
    made = json.loads(await run("plan", "enable", "hello", "--json"))
    assert (await overview(account))["active"]["plugins"] == []

    applied = json.loads(await run("apply", made["id"], "--json"))
    assert (applied["plan"], applied["state"]) == (made["id"], "active")
    assert (await overview(account))["active"]["plugins"] == ["hello"]
    assert "nothing would change" in await run("plan")
