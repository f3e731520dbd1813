"""A purge drops what the plugin's migrations made, and nothing else, or it drops nothing."""

import asyncio
import runpy

import asyncpg
import pytest
from pegboard.database.catalog import Catalog, read_catalog
from pegboard.database.migrate import connect_as_owner, migration_states
from pegboard.database.tenants import DEFAULT_TENANT
from pegboard.paths import migrations_root
from pegboard.plugins import revisions
from pegboard.plugins.removal.errors import PluginAbsent, PluginDataInUse, PluginStillOn
from pegboard.plugins.wanted import with_plugins
from pegboard_sdk.ids import new_id

from tests.kernel.plugins.removal.conftest import Site
from tests.kernel.plugins.removal.shelves import uninstall_package
from tests.support.fleet import until

MIGRATION = migrations_root() / "kernel" / "kernel_2026_11_24_0011.py"
BOTH = {"shelves_books", "shelves_lendings"}


async def kernel_rows(site: Site) -> list[str]:
    """The kernel's rows that are the plugin's."""
    rows = await site.owner.fetch(
        "SELECT 'made' FROM kernel_plugin_objects WHERE plugin = 'shelves'"
        " UNION ALL SELECT 'migration' FROM migration WHERE app_name = 'shelves'"
        " UNION ALL SELECT 'taxonomy' FROM kernel_taxonomies WHERE plugin = 'shelves'"
        " UNION ALL SELECT 'record type' FROM kernel_record_types WHERE plugin = 'shelves'"
        " UNION ALL SELECT 'job' FROM kernel_jobs WHERE plugin = 'shelves'"
        " UNION ALL SELECT 'schedule' FROM kernel_schedules WHERE plugin = 'shelves'"
        " UNION ALL SELECT 'event' FROM kernel_events WHERE name LIKE 'shelves.%'"
        " UNION ALL SELECT 'secret' FROM kernel_secrets WHERE name LIKE 'shelves.%'"
    )
    return sorted(row[0] for row in rows)


async def test_the_database_is_as_it_was_before_the_plugin(bare: Site) -> None:
    before = await read_catalog(bare.owner)
    await bare.enable("shelves")
    await bare.add_book()

    signed = await bare.uninstaller().purge()

    assert before.differences(await read_catalog(bare.owner)) == []
    assert await kernel_rows(bare) == []
    assert dict(signed.receipt.tables) == {"shelves_books": 1, "shelves_lendings": 0}
    assert set(signed.receipt.dropped) == {
        "function", "index", "policy", "sequence", "statistics object", "table", "table column", "table constraint",
        "trigger", "type", "view",
    }  # fmt: skip


async def test_installed_again_it_is_new_and_can_be_purged_again(site: Site) -> None:
    first: Catalog = await read_catalog(site.owner)
    for _ in range(2):
        await site.add_book()
        await site.uninstaller().purge()
        assert await site.tables() == set()

        await site.enable("shelves")

        assert await site.owner.fetchval("SELECT count(*) FROM shelves_books") == 0
        assert first.differences(await read_catalog(site.owner)) == []


async def test_it_works_without_the_package(site: Site) -> None:
    uninstall_package(site.workshop)

    signed = await site.uninstaller().purge()

    assert (await site.tables(), signed.receipt.version) == (set(), "")


async def test_what_was_purged_is_not_purged_twice(site: Site) -> None:
    receipt = (await site.uninstaller().purge()).receipt

    with pytest.raises(PluginAbsent, match=f"receipt {receipt.id}"):
        await site.uninstaller().purge()


@pytest.mark.parametrize("plugin", ["kernel", "nobody"])
async def test_what_is_no_plugin_is_refused(bare: Site, plugin: str) -> None:
    with pytest.raises(PluginAbsent):
        await bare.uninstaller(plugin).purge()


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("CREATE VIEW report AS SELECT title FROM shelves_books", "view public.report needs"),
        ("CREATE INDEX mine ON shelves_books (title)", "index public.mine needs"),
        ("CREATE TABLE other (binding shelves_binding)", "table column public.other.binding needs"),
        ("CREATE TABLE other (tenant_id uuid, book_id uuid, CONSTRAINT other_book FOREIGN KEY (tenant_id, book_id)"
         " REFERENCES shelves_books (tenant_id, id))", "table constraint other_book on public.other needs"),
        ("ALTER TABLE shelves_books ADD COLUMN shade text", "table column public.shelves_books.shade"),
        ("CREATE TABLE other (number bigint DEFAULT nextval('shelves_numbers'))",
         "table column public.other.number needs"),
        ("CREATE FUNCTION mine(one shelves_books) RETURNS int LANGUAGE sql RETURN 1", "function public.mine"),
    ],
)  # fmt: skip
async def test_what_others_made_is_named_and_kept(site: Site, statement: str, named: str) -> None:
    await site.owner.execute(statement)
    before = await read_catalog(site.owner)

    with pytest.raises(PluginDataInUse, match=named):
        await site.uninstaller().purge()

    assert before.differences(await read_catalog(site.owner)) == []
    assert await site.tables() == BOTH
    assert (await site.uninstaller().look()).obstacles


async def test_another_plugins_foreign_key_is_told_with_its_plugin(site: Site) -> None:
    await site.owner.execute(
        "ALTER TABLE finance_escrows ADD COLUMN book_id uuid,"
        " ADD CONSTRAINT escrow_book FOREIGN KEY (tenant_id, book_id) REFERENCES shelves_books (tenant_id, id)"
    )
    await site.owner.execute(
        "INSERT INTO kernel_plugin_objects (plugin, kind, identity)"
        " VALUES ('finance', 'table constraint', 'escrow_book on public.finance_escrows')"
    )

    with pytest.raises(PluginDataInUse, match="the plugin finance made it"):
        await site.uninstaller().purge()


async def test_it_is_refused_while_the_plugin_is_on(site: Site) -> None:
    on = with_plugins(site.config, {"shelves"})
    with pytest.raises(PluginStillOn, match="pegboard plugins disable shelves"):
        await site.uninstaller(config=on).purge()

    async with site.runtime.database.system_transaction() as connection:
        await revisions.propose(connection, ["shelves"], file_hash="", origin="cli")
    with pytest.raises(PluginStillOn, match="shelves is on"):
        await site.uninstaller().purge()


async def test_it_is_refused_while_a_dependent_is_on(site: Site) -> None:
    site.workshop.add("reading", requires={"shelves": ">=1"})
    site.workshop.add("club", requires={"reading": ">=1"})
    on = with_plugins(site.config, {"shelves", "reading", "club"})

    with pytest.raises(PluginStillOn, match=r"disable club && .*disable reading && .*disable shelves"):
        await site.uninstaller(config=on).purge()


async def test_it_is_refused_while_a_process_still_runs_it(site: Site) -> None:
    async with site.runtime.database.system_transaction() as connection:
        running = await revisions.propose(connection, ["shelves"], file_hash="", origin="cli")
        await revisions.propose(connection, [], file_hash="", origin="cli")
        await connection.execute(
            "INSERT INTO kernel_processes (id, kind, node, pid, active_revision) VALUES ($1, 'api', 'here', 1, $2)",
            new_id(),
            running.number,
        )

    with pytest.raises(PluginStillOn, match="1 process still runs shelves"):
        await site.uninstaller().purge()


async def test_the_kernels_rows_of_the_plugin_go_and_others_stay(site: Site) -> None:
    job = "INSERT INTO kernel_jobs (id, tenant_id, plugin, name, payload, max_attempts, state) VALUES"
    for plugin in ("shelves", "finance"):
        await site.owner.execute(
            f"{job} (gen_random_uuid(), $1, $2, $2 || '.tidy', '{{}}', 3, 'parked')", DEFAULT_TENANT, plugin
        )
        await site.owner.execute(
            "INSERT INTO kernel_schedules (name, plugin, cron, timezone, next_at)"
            " VALUES ($1 || '.nightly', $1, '0 0 * * *', 'UTC', now())",
            plugin,
        )
        await site.owner.execute(
            "INSERT INTO kernel_events (id, tenant_id, name, version, payload, relayed_at)"
            " VALUES (gen_random_uuid(), $1, $2 || '.happened', 1, '{}', now())",
            DEFAULT_TENANT,
            plugin,
        )
        await site.owner.execute(
            "INSERT INTO kernel_secrets (id, name, key_id, envelope)"
            " VALUES (gen_random_uuid(), $1 || '.key', 'k', 'e')",
            plugin,
        )
    entries = "SELECT count(*)::int FROM kernel_audit_entries"
    audited = await site.owner.fetchval(entries)

    signed = await site.uninstaller().purge()

    assert await kernel_rows(site) == []
    assert dict(signed.receipt.removed) == {
        "jobs": 1, "schedules": 1, "events": 1, "secrets": 1, "record types": 1, "migrations": 2, "taxonomies": 1,
    }  # fmt: skip
    assert list(signed.receipt.secrets) == ["shelves.key"]
    assert await site.owner.fetchval("SELECT count(*) FROM kernel_schedules WHERE plugin = 'finance'") == 1
    entry = await site.owner.fetchrow("SELECT * FROM kernel_audit_entries ORDER BY id DESC LIMIT 1")
    assert entry is not None
    assert (entry["action"], entry["object_id"]) == ("kernel:plugin.uninstall", "shelves")
    assert [audited, await site.owner.fetchval(entries)] == [0, 1]


async def test_terms_that_others_use_are_retired(site: Site) -> None:
    term = await site.owner.fetchval("SELECT id FROM kernel_taxonomy_terms WHERE slug = 'crime'")
    await site.owner.execute("CREATE TABLE tagged (term_id uuid REFERENCES kernel_taxonomy_terms (id))")
    await site.owner.execute("INSERT INTO tagged VALUES ($1)", term)

    signed = await site.uninstaller().purge()

    assert signed.receipt.removed["retired terms"] == 2
    await site.enable("shelves")
    assert await site.owner.fetchval("SELECT retired_at FROM kernel_taxonomy_terms WHERE id = $1", term) is None


@pytest.mark.parametrize(
    "moment", ["INSERT ON kernel_tombstones", "DELETE ON migration", "INSERT ON kernel_plugin_receipts"]
)
async def test_a_crash_leaves_nothing_half_done(site: Site, moment: str) -> None:
    """The server ends the connection at that moment."""
    await site.owner.execute(
        "INSERT INTO kernel_reference_columns VALUES ('finance_escrows', 'reference', 'finance') ON CONFLICT DO NOTHING"
    )
    await site.owner.execute(
        "CREATE FUNCTION crash() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$"
    )
    await site.owner.execute(f"CREATE TRIGGER crash AFTER {moment} FOR EACH STATEMENT EXECUTE FUNCTION crash()")
    before = await read_catalog(site.owner)
    rows = await kernel_rows(site)

    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await site.uninstaller().purge()

    assert before.differences(await read_catalog(site.owner)) == []
    assert await kernel_rows(site) == rows
    assert await site.owner.fetchval("SELECT count(*) FROM kernel_plugin_receipts") == 0
    table = moment.rpartition(" ")[2]
    await site.owner.execute(f"DROP TRIGGER crash ON {table}")
    await site.uninstaller().purge()
    assert await site.tables() == set()


async def test_a_toggle_at_the_same_time_waits_and_finds_it_gone(site: Site) -> None:
    """Whoever changes revisions holds their lock: the purge waits for it, and then sees that the plugin is on."""
    connection = await connect_as_owner(site.url)
    async with connection.transaction():
        await revisions.propose(connection, ["shelves"], file_hash="", origin="cli")
        purging = asyncio.create_task(site.uninstaller().purge())
        await until(lambda: site.owner.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"))
    await connection.close()

    with pytest.raises(PluginStillOn):
        await purging
    assert await site.tables() == BOTH


@pytest.mark.parametrize("action", ["keep", "purge"])
async def test_toggles_go_on_while_big_tables_are_counted(site: Site, action: str) -> None:
    """The count waits for a table here, as it would take its time with a big one."""
    await site.add_book()
    reader = await connect_as_owner(site.url)
    async with reader.transaction():
        await reader.execute("LOCK TABLE shelves_lendings IN ACCESS EXCLUSIVE MODE")
        uninstalling = asyncio.create_task(getattr(site.uninstaller(), action)())
        await until(lambda: site.owner.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"))

        async with site.runtime.database.system_transaction() as connection:
            await connection.execute("SET LOCAL lock_timeout = '1s'")
            await revisions.propose(connection, ["finance"], file_hash="", origin="cli")
    await reader.close()

    assert (await uninstalling).receipt.tables == {"shelves_books": 1, "shelves_lendings": 0}


@pytest.mark.parametrize("action", ["keep", "purge"])
async def test_what_was_turned_on_meanwhile_is_not_uninstalled(site: Site, action: str) -> None:
    reader = await connect_as_owner(site.url)
    async with reader.transaction():
        await reader.execute("LOCK TABLE shelves_lendings IN ACCESS EXCLUSIVE MODE")
        uninstalling = asyncio.create_task(getattr(site.uninstaller(), action)())
        await until(lambda: site.owner.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"))
        async with site.runtime.database.system_transaction() as connection:
            await revisions.propose(connection, ["shelves"], file_hash="", origin="cli")
            await revisions.propose(connection, [], file_hash="", origin="cli")
    await reader.close()

    with pytest.raises(PluginStillOn, match="turned on meanwhile"):
        await uninstalling
    assert await site.tables() == BOTH
    assert await site.owner.fetchval("SELECT count(*) FROM kernel_plugin_receipts") == 0


async def test_big_tables_are_estimated_until_it_counts(site: Site) -> None:
    await site.owner.execute(
        "INSERT INTO shelves_books (id, tenant_id, title) SELECT gen_random_uuid(), $1, 'Emma'"
        " FROM generate_series(1, 10500)",
        DEFAULT_TENANT,
    )
    await site.owner.execute("ANALYZE shelves_books")
    await site.owner.execute("DELETE FROM shelves_books WHERE id IN (SELECT id FROM shelves_books LIMIT 400)")

    found = await site.uninstaller().look()

    assert (found.tables["shelves_books"], list(found.estimated)) == (10_500, ["shelves_books"])
    for receipt in (await site.uninstaller().keep(), await site.uninstaller().purge()):
        assert receipt.receipt.tables["shelves_books"] == 10_100


async def test_two_purges_at_once_are_one(site: Site) -> None:
    outcomes = await asyncio.gather(site.uninstaller().purge(), site.uninstaller().purge(), return_exceptions=True)

    assert sorted(type(one).__name__ for one in outcomes) == ["PluginAbsent", "SignedReceipt"]
    states = await migration_states(site.url, ())
    assert {state.app for state in states} & {"shelves"} == set()


async def test_a_database_from_before_knows_what_plugins_made_by_their_names(site: Site) -> None:
    made = await site.owner.fetch("SELECT kind, identity FROM kernel_plugin_objects WHERE plugin = 'shelves'")
    await site.owner.execute("DELETE FROM kernel_plugin_objects")
    await site.owner.execute(runpy.run_path(str(MIGRATION))["BACK_FILL"])

    again = await site.owner.fetch("SELECT kind, identity FROM kernel_plugin_objects WHERE plugin = 'shelves'")
    assert sorted(map(tuple, again)) == sorted(map(tuple, made))
    await site.uninstaller().purge()
    assert await site.tables() == set()


async def test_a_broken_declaration_hurts_nobody_else(site: Site) -> None:
    book = f"shelves.book:{await site.add_book()}"
    await site.owner.execute(
        "INSERT INTO finance_escrows (id, tenant_id, reference, payer_id, payee_id, amount, fee, currency)"
        " VALUES (gen_random_uuid(), $1, $2, gen_random_uuid(), gen_random_uuid(), 1, 0, 'EUR')",
        DEFAULT_TENANT,
        book,
    )
    described = "SELECT label, found FROM kernel_describe_records(ARRAY[$1])"
    async with site.runtime.database.reader(DEFAULT_TENANT) as connection:
        assert tuple(await connection.fetchrow(described, book)) == ("EMMA", "row")
        await site.owner.execute("UPDATE kernel_record_types SET label = 'no_such_column' WHERE plugin = 'shelves'")
        assert await connection.fetch(described, book) == []

        assert (await site.uninstaller().purge()).receipt.tombstones == 1

        assert tuple(await connection.fetchrow(described, book)) == (None, "tombstone")


async def test_a_second_purge_renews_a_tombstone(site: Site) -> None:
    book_id = await site.add_book()
    await site.owner.execute(
        "INSERT INTO finance_escrows (id, tenant_id, reference, payer_id, payee_id, amount, fee, currency)"
        " VALUES (gen_random_uuid(), $1, $2, gen_random_uuid(), gen_random_uuid(), 1, 0, 'EUR')",
        DEFAULT_TENANT,
        f"shelves.book:{book_id}",
    )
    label = "SELECT label FROM kernel_tombstones"
    await site.uninstaller().purge()
    assert await site.owner.fetchval(label) == "EMMA"

    await site.enable("shelves")
    await site.uninstaller().purge()
    assert await site.owner.fetchval(label) == "EMMA"

    await site.enable("shelves")
    await site.add_book(id=str(book_id), title="Persuasion")
    await site.uninstaller().purge()
    assert await site.owner.fetchval(label) == "PERSUASION"
