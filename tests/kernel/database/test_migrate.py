import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from textwrap import dedent

import asyncpg
import pytest
from pegboard.database.catalog import read_catalog
from pegboard.database.migrate import MIGRATION_LOCK, migrate, migrate_backwards, migration_states
from pegboard.database.migrations import MigrationError
from pegboard.database.roles import DatabaseSetupError
from pegboard.database.urls import APP, OWNER, derive_url
from pegboard_sdk.database import PiccoloApp

from tests.kernel.database.conftest import MASTER_KEY

FIRST, SECOND = "2026-11-24T00:01:00:000000", "2026-11-24T00:02:00:000000"
MakePlugin = Callable[..., PiccoloApp]


@pytest.fixture(scope="session")
def admin_url(embedded: str) -> str:
    """One major is enough here: that all migrations run on each is `test_catalog`'s matter."""
    return embedded


@pytest.fixture
def make_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakePlugin:
    """Writes a third party's package with migrations and gives its app."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(
        name: str, *files: str, names: tuple[str, ...] = ("0001", "0002"), folder: str = "migrations"
    ) -> PiccoloApp:
        package = tmp_path / f"acme_{name}"
        (package / folder).mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").write_text("raise RuntimeError('migrating must not import the plugin')\n")
        for number, text in zip(names, files, strict=False):
            (package / folder / f"{name}_2026_11_24_{number}.py").write_text(text)
        return PiccoloApp(name=name, tables=(), migrations=f"acme_{name}:{folder}")

    return make


def migration(name: str, id: str, forwards: str, backwards: str) -> str:
    return dedent(
        f"""
        from pegboard_sdk.database import sql_migration
        ID = "{id}"
        VERSION = "1.38.0"
        DESCRIPTION = "made by a test"

        async def forwards():
            return sql_migration(
                app="{name}", id=ID, description=DESCRIPTION, forwards=({forwards!r},), backwards=({backwards!r},)
            )
        """
    )


def table(name: str, id: str, table: str) -> str:
    return migration(name, id, f"CREATE TABLE {table} (id integer)", f"DROP TABLE {table}")


@pytest.fixture
async def owner(url: str, master_key: bytes) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(derive_url(url, OWNER, master_key))
    yield connection
    await connection.close()


async def tables(owner: asyncpg.Connection, pattern: str) -> set[str]:
    return {
        row[0]
        for row in await owner.fetch("SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ $1", pattern)
    }


async def test_the_kernel_comes_first_and_apps_in_their_order(
    url: str, owner: asyncpg.Connection, make_plugin: MakePlugin
):
    apps = [make_plugin(name, table(name, FIRST, f"{name}_t")) for name in ("zebra", "ant")]
    report = await migrate(url, apps)
    assert [one.app for one in report.applied if one.id == FIRST] == ["kernel", "zebra", "ant"]
    assert report.failed == {}
    owners = await owner.fetch(
        "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    )
    assert [row[0] for row in owners] == [OWNER]
    assert (await migrate(url, apps)).applied == []


async def test_two_apps_may_use_the_same_ids_and_one_is_undone_alone(
    url: str, owner: asyncpg.Connection, make_plugin: MakePlugin
):
    one, two = (make_plugin(name, table(name, FIRST, f"{name}_t")) for name in ("one", "two"))
    await migrate(url, [one, two])
    assert [undone.id for undone in await migrate_backwards(url, one)] == [FIRST]
    assert await tables(owner, "^(one|two)_t$") == {"two_t"}
    states = {(state.app, state.id): state.state for state in await migration_states(url, [one, two])}
    assert states["one", FIRST] == "pending"
    assert states["two", FIRST] == states["kernel", FIRST] == "applied"


async def test_backwards_stops_at_the_migration_that_stays(
    url: str, owner: asyncpg.Connection, make_plugin: MakePlugin
):
    app = make_plugin("acme", table("acme", FIRST, "acme_a"), table("acme", SECOND, "acme_b"))
    await migrate(url, [app])
    assert [undone.id for undone in await migrate_backwards(url, app, FIRST)] == [SECOND]
    assert await tables(owner, "^acme_") == {"acme_a"}
    assert [applied.id for applied in (await migrate(url, [app])).applied] == [SECOND]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (migration("bad", SECOND, "CREATE TABLE bad_b (id integer); SELECT 1/0", "SELECT 1"), "division by zero"),
        (migration("bad", SECOND, "SELECT nonsense", "SELECT 1"), 'column "nonsense" does not exist'),
        ("1 / 0", "ZeroDivisionError"),
        ("def forwards(:", "SyntaxError"),
        ("", "has no ID: write ID = "),
        ("ID = 'x'", "has no forwards: write `async def forwards(): return sql_migration("),
        (f"ID = '{SECOND}'\nforwards = 'CREATE TABLE bad_b ()'\n", "has forwards as a text: write `async def"),
        (f"ID = '{SECOND}'\ndef forwards(): pass\n", "has forwards as a function that is not async: write"),
        (f"ID = '{SECOND}'\nasync def forwards(): pass\n", "forwards() gives nothing (is `return` missing?): write"),
        (f"ID = '{SECOND}'\nasync def forwards(): return 'SELECT 1'\n", "forwards() gives a text: write `async def"),
        (
            migration("bad", SECOND, "SELECT 1", "SELECT 1").replace("('SELECT 1',)", "'SELECT 1'", 1),
            'forwards is one text: write a tuple of statements, forwards=("…",), with the comma',
        ),
        (
            migration("bad", SECOND, "SELECT 1", "SELECT 1").replace("backwards=('SELECT 1',)", "backwards=(7,)"),
            "backwards has 7, which is no SQL statement",
        ),
        (
            f"from piccolo.apps.migrations.auto.migration_manager import MigrationManager\nID = '{SECOND}'\n"
            "async def forwards():\n    manager = MigrationManager(migration_id=ID, app_name='bad')\n"
            "    manager.add_raw('CREATE TABLE bad_b ()')\n    return manager\n",
            "its manager's add_raw was given a text, and takes a function: write `async def forwards()",
        ),
        (migration("bad", FIRST, "SELECT 1", "SELECT 1"), "have the same ID"),
        (migration("bad", SECOND, "SELECT 1", "SELECT 1").replace("id=ID", "id='other'"), "its manager's 'other'"),
        (
            f"from piccolo.apps.migrations.auto.migration_manager import MigrationManager\nID = '{SECOND}'\n"
            "async def forwards():\n    manager = MigrationManager(migration_id=ID, app_name='bad')\n"
            "    manager.add_table('Bad', tablename='bad_b')\n    return manager\n",
            "know nothing of row-level security",
        ),
        (
            f"ID = '{SECOND}'\nasync def forwards():\n    raise RuntimeError('out of luck')\n",
            "out of luck",
        ),
    ],
)
async def test_a_plugins_failing_migration_is_its_own(
    url: str, owner: asyncpg.Connection, make_plugin: MakePlugin, broken: str, reason: str
):
    bad = make_plugin("bad", table("bad", FIRST, "bad_a"), broken)
    good = make_plugin("good", table("good", FIRST, "good_a"))
    report = await migrate(url, [bad, good])
    assert list(report.failed) == ["bad"]
    assert reason in report.failed["bad"]
    assert "bad_2026_11_24_000" in report.failed["bad"]
    assert await tables(owner, "^(bad|good)_") - {"bad_a"} == {"good_a"}
    # Mended, it goes on where it stopped.
    good_again = make_plugin("bad", table("bad", FIRST, "bad_a"), table("bad", SECOND, "bad_b"))
    assert (await migrate(url, [good_again, good])).failed == {}
    assert await tables(owner, "^bad_") == {"bad_a", "bad_b"}


async def test_a_failed_migration_leaves_neither_tables_nor_a_record(
    url: str, owner: asyncpg.Connection, make_plugin: MakePlugin
):
    sql = "CREATE TABLE bad_t (id integer UNIQUE DEFERRABLE INITIALLY DEFERRED); INSERT INTO bad_t VALUES (1), (1)"
    app = make_plugin("bad", migration("bad", FIRST, sql, "DROP TABLE bad_t"))
    report = await migrate(url, [app])
    assert "duplicate key" in report.failed["bad"]  # found by COMMIT: the record is part of the same transaction
    assert await tables(owner, "^bad_") == set()
    assert await owner.fetch("SELECT FROM migration WHERE app_name = 'bad'") == []


@pytest.mark.parametrize(
    ("name", "migrations", "reason"),
    [
        ("acme", "acme_absent:migrations", "acme_absent of its migrations is not installed"),
        ("acme", "acme", "package:folder"),
        ("acme", "acme_acme.inner:migrations", "package:folder"),
        ("acme", "", "names no migrations"),
    ],
)
async def test_migrations_that_are_not_there_are_named(url: str, name: str, migrations: str, reason: str):
    report = await migrate(url, [PiccoloApp(name=name, tables=(), migrations=migrations)])
    assert reason in report.failed[name]


async def test_a_misnamed_file_is_refused(url: str, make_plugin: MakePlugin, tmp_path: Path):
    app = make_plugin("acme", table("acme", FIRST, "acme_a"))
    (tmp_path / "acme_acme" / "migrations" / "other_2026_11_24_0002.py").write_text("")
    assert "must be named acme_YYYY_MM_DD_NNNN.py" in (await migrate(url, [app])).failed["acme"]


async def test_migration_files_do_not_land_in_sys_modules(url: str, make_plugin: MakePlugin):
    before = set(sys.modules)
    await migrate(url, [make_plugin("acme", table("acme", FIRST, "acme_a"))])
    assert not [name for name in set(sys.modules) - before if "acme" in name or "kernel_2026" in name]


async def test_the_kernels_own_failure_is_fatal(url: str, owner: asyncpg.Connection):
    await owner.execute("CREATE TABLE kernel_tenants ()")
    with pytest.raises(MigrationError, match=r"kernel_2026_11_24_0001\.py: .*already exists"):
        await migrate(url, ())


async def test_what_others_stand_on_is_not_taken_away(url: str, owner: asyncpg.Connection, make_plugin: MakePlugin):
    sql = "CREATE TABLE acme_t (tenant_id uuid NOT NULL); SELECT kernel_protect_table('acme_t', 'SELECT')"
    app = make_plugin("acme", migration("acme", FIRST, sql, "DROP TABLE acme_t"))
    await migrate(url, [app])
    with pytest.raises(MigrationError, match="other objects depend on it"):
        await migrate_backwards(url, "kernel")
    assert await tables(owner, "^(acme_t|kernel_tenants)$") == {"acme_t", "kernel_tenants"}


async def test_a_migration_without_a_way_back_stays(url: str, make_plugin: MakePlugin):
    text = (
        f"from piccolo.apps.migrations.auto.migration_manager import MigrationManager\nID = '{FIRST}'\n"
        "async def change():\n    from pegboard_sdk.database import migration_connection\n"
        "    await migration_connection().execute('CREATE TABLE acme_t ()')\n"
        "async def forwards():\n    manager = MigrationManager(migration_id=ID, app_name='acme')\n"
        "    manager.add_raw(change)\n    return manager\n"
    )
    app = make_plugin("acme", text)
    assert (await migrate(url, [app])).failed == {}
    with pytest.raises(MigrationError, match="has no way back"):
        await migrate_backwards(url, app)


async def test_a_record_without_its_file_is_shown_and_can_not_be_undone(
    url: str, owner: asyncpg.Connection, make_plugin: MakePlugin
):
    app = make_plugin("acme", table("acme", FIRST, "acme_a"))
    await migrate(url, [app])
    await owner.execute("INSERT INTO migration (app_name, name) VALUES ('acme', $1)", SECOND)
    assert (await migrate(url, [app])).applied == []
    states = [state for state in await migration_states(url, [app]) if state.app == "acme"]
    assert [(state.id, state.state) for state in states] == [(FIRST, "applied"), (SECOND, "unknown")]
    with pytest.raises(MigrationError, match="its file isn't here"):
        await migrate_backwards(url, app)


async def test_states_of_a_database_that_nobody_set_up(empty_url: str):
    assert {state.state for state in await migration_states(empty_url, ())} == {"pending"}


async def test_a_lock_that_is_not_had_in_time_does_not_hold_requests_up(
    url: str, owner: asyncpg.Connection, make_plugin: MakePlugin
):
    """Every later query on a table waits behind a migration that waits for it: so that gives up, and tries again."""
    app = make_plugin("acme", table("acme", FIRST, "acme_a"))
    await migrate(url, [app])
    app = make_plugin(
        "acme", table("acme", FIRST, "acme_a"), migration("acme", SECOND, "ALTER TABLE acme_a ADD n int", "SELECT 1")
    )
    reading = owner.transaction()
    await reading.start()
    await owner.execute("SELECT FROM acme_a")
    migrating = asyncio.ensure_future(migrate(url, [app], lock_timeout=0.05))
    other = await asyncpg.connect(url)
    while not await other.fetchval(
        "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'acme_a'::regclass)"
    ):
        assert not migrating.done()
    await asyncio.wait_for(other.execute("SELECT FROM acme_a"), 1)
    await other.close()
    await reading.rollback()
    assert (await migrating).failed == {}


async def test_a_table_that_stays_in_use_is_said(url: str, owner: asyncpg.Connection, make_plugin: MakePlugin):
    app = make_plugin("acme", table("acme", FIRST, "acme_a"))
    await migrate(url, [app])
    app = make_plugin(
        "acme", table("acme", FIRST, "acme_a"), migration("acme", SECOND, "DROP TABLE acme_a", "SELECT 1")
    )
    async with owner.transaction():
        await owner.execute("SELECT FROM acme_a")
        report = await migrate(url, [app], lock_timeout=0.01)
    assert "a table was in use for too long" in report.failed["acme"]


async def test_a_migration_that_runs_too_long_is_stopped(url: str, make_plugin: MakePlugin):
    app = make_plugin("acme", migration("acme", FIRST, "SELECT pg_sleep(30)", "SELECT 1"))
    await migrate(url, ())
    report = await migrate(url, [app], statement_timeout=0.05)
    assert "statement timeout" in report.failed["acme"]


async def test_waiting_for_another_process_ends(url: str, owner: asyncpg.Connection):
    await owner.execute("SELECT pg_advisory_lock($1)", MIGRATION_LOCK)
    with pytest.raises(DatabaseSetupError, match="Another process has been migrating"):
        await migrate(url, (), wait=0.05)


async def test_the_application_can_not_migrate(url: str, master_key: bytes):
    with pytest.raises(DatabaseSetupError, match=f"can't act as {OWNER}"):
        await migrate(derive_url(url, APP, master_key), ())


PROCESS = """
import asyncio, sys
from pegboard.database.migrate import migrate
from pegboard.database.roles import bootstrap

async def main():
    await bootstrap(sys.argv[1], bytes.fromhex(sys.argv[2]))
    print(len((await migrate(sys.argv[1], ())).applied))

asyncio.run(main())
"""


async def test_four_processes_at_once_migrate_once(empty_url: str):
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROCESS, empty_url, MASTER_KEY.hex(),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )
        for _ in range(4)
    ]  # fmt: skip
    outputs = await asyncio.gather(*(process.communicate() for process in processes))
    assert [process.returncode for process in processes] == [0] * 4, outputs
    counts = sorted(int(output.splitlines()[-1]) for output, _ in outputs)
    assert counts[:3] == [0, 0, 0]
    connection = await asyncpg.connect(empty_url)
    assert counts[3] == await connection.fetchval("SELECT count(*) FROM migration") > 0
    await connection.close()


async def test_an_app_goes_forwards_back_and_forwards_again(
    url: str, owner: asyncpg.Connection, make_plugin: MakePlugin
):
    """That the comparison itself sees what a bad `backwards` leaves."""
    app = make_plugin(
        "acme", migration("acme", FIRST, "CREATE TABLE acme_a (id int); CREATE TABLE acme_b ()", "DROP TABLE acme_a")
    )
    await migrate(url, [])
    before = await read_catalog(owner)
    await migrate(url, [app])
    await migrate_backwards(url, app)
    left = before.differences(await read_catalog(owner))
    assert [line for line in left if line.startswith("+ table")] == [
        f"+ table acme_b kind=r owner={OWNER} persistence=p rls=f forced=f options="
    ]
