"""An export holds every value exactly, of all tenants as of one moment, and appears whole or not at all."""

import asyncio
import hashlib
import json
import os
import shutil
import stat
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from pegboard.database.catalog import read_catalog
from pegboard.database.tenants import DEFAULT_TENANT
from pegboard.identity.keys import KeyRing
from pegboard.plugins import revisions
from pegboard.plugins.removal.errors import ExportRefused, PluginDataInUse, PluginStillOn
from pegboard.plugins.removal.schema import TableSchema
from pegboard.plugins.removal.verification import verify
from pegboard.vault.store import SecretStore
from pegboard_sdk.access import Principal
from pegboard_sdk.ids import new_id
from pegboard_sdk.settings import Secret

from tests.kernel.plugins.removal.conftest import Site

ODD: tuple[dict[str, str | None], ...] = (
    {"title": 'A "quoted" \\ title\nwith\ttabs, \x7f and 日本語', "number": "9223372036854775807", "lent": "true"},
    {
        "price": "0.1234567890123456789012345678901234567890",
        "weight": "0.1",
        "published_at": "2026-11-24 07:08:09.123456+03",
    },
    {"price": "NaN", "weight": "-Infinity", "published_at": "infinity", "lent": "false"},
    {"facts": "null", "notes": "null", "cover": "\\x", "tags": "{}"},
    {"facts": '{"n": 12345678901234567890.12, "s": "\\u2028\\n"}', "notes": '{"b":1,\n "a":  2, "a": 3}'},
    {"cover": "\\x00010aff22", "tags": '{NULL,"NULL","a,\\"b",""}', "grid": "[5:6][1:2]={{1,NULL},{3,4}}"},
    {"binding": "cloth", "period": "1 year 2 mons -3 days 04:05:06.7", "pages": "[1,7)", 'odd "name': "\x01\x02, odd"},
)


def left_behind(folder: Path) -> list[str]:
    """The exports in the folder, and what is left of any."""
    return [path.name for path in folder.iterdir() if "export" in path.name]


async def contents(connection: asyncpg.Connection, table: str) -> list[Any]:
    """Each row in PostgreSQL's own text."""
    return [row[0] for row in await connection.fetch(f"SELECT t::text FROM {table} t ORDER BY 1")]


async def restore(connection: asyncpg.Connection, folder: Path) -> None:
    """Read an export back in, with nothing but what its schema files say; as docs/runbooks/uninstall.md does it."""
    manifest = json.loads((folder / "manifest.json").read_text())
    async with connection.transaction():
        for table in manifest["tables"]:
            schema = msgspec.json.decode((folder / table["schema"]).read_bytes(), type=TableSchema)
            columns = [column for column in schema.columns if column.generated is None]
            # As SQL names and as SQL texts.
            names = [column.name.replace('"', '""') for column in columns]
            keys = [column.name.replace("'", "''") for column in columns]
            values = ", ".join(
                f"(line->'{key}')::jsonb" if column.encoding == "json" else f"(line->>'{key}')::{column.type}"
                for key, column in zip(keys, columns, strict=True)
            )
            columns_list = ", ".join(f'"{name}"' for name in names)
            with (folder / table["file"]).open() as lines:
                for line in lines:
                    await connection.execute(
                        f"INSERT INTO {schema.table} ({columns_list}) OVERRIDING SYSTEM VALUE"
                        f" SELECT {values} FROM (SELECT $1::json AS line) one",
                        line,
                    )


async def test_every_value_comes_back_as_it_was(site: Site, tmp_path: Path) -> None:
    for columns in ODD:
        await site.add_book(**columns)
    await site.owner.execute(
        "INSERT INTO shelves_lendings (id, tenant_id, book_id)"
        " SELECT gen_random_uuid(), tenant_id, id FROM shelves_books"
    )
    before = {table: await contents(site.owner, table) for table in await site.tables()}
    folder = tmp_path / "export"

    signed = await site.uninstaller().export(folder)
    await site.uninstaller().purge(signed, folder)
    await site.enable("shelves")
    await restore(site.owner, folder)

    assert {table: await contents(site.owner, table) for table in before} == before
    assert len(before["shelves_books"]) == len(ODD)


async def test_the_manifest_and_the_receipt_tell_of_each_file(site: Site, tmp_path: Path) -> None:
    await site.add_book()
    async with site.runtime.database.system_transaction() as connection:
        store = SecretStore(
            connection, site.runtime.vault, actor=Principal(kind="system", tenant_id=DEFAULT_TENANT), request_id="r"
        )
        await store.set("shelves.key", Secret("hunter22"), tenant_id=None)
    folder = tmp_path / "export"

    signed = await site.uninstaller().export(folder)

    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["plugin"], manifest["version"], manifest["secrets"]) == ("shelves", "1.0.0", ["shelves.key"])
    assert len(manifest["migrations"]) == 2
    assert manifest["sequences"]["public.shelves_numbers"] == 1
    (books,) = [table for table in manifest["tables"] if table["table"] == "shelves_books"]
    content = (folder / books["file"]).read_bytes()
    assert (books["rows"], books["bytes"]) == (1, len(content))
    assert books["sha256"] == hashlib.sha256(content).hexdigest()
    schema = json.loads((folder / books["schema"]).read_text())
    columns = {column["name"]: column for column in schema["columns"]}
    assert columns["price"]["encoding"] == "text"
    assert columns["length"]["generated"]
    assert not columns["title"]["nullable"]
    assert {"primary key", "unique", "foreign key", "check"} == {one["kind"] for one in schema["constraints"]}
    assert set(signed.receipt.files) == {
        "manifest.json",
        *(table[key] for table in manifest["tables"] for key in ("file", "schema")),
    }
    assert "hunter22" not in "".join(path.read_text() for path in folder.rglob("*") if path.is_file())
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.rglob("*"))}
    assert modes == {0o700, 0o600}


async def test_all_tenants_are_in_it(site: Site, tmp_path: Path) -> None:
    other = new_id()
    await site.owner.execute("INSERT INTO kernel_tenants (id, slug, name) VALUES ($1, 'other', 'Other')", other)
    await site.add_book()
    await site.add_book(tenant_id=str(other))

    await site.uninstaller().export(tmp_path / "export")

    lines = (tmp_path / "export" / "data" / "shelves_books.ndjson").read_text().splitlines()
    assert {json.loads(line)["tenant_id"] for line in lines} == {str(DEFAULT_TENANT), str(other)}


async def test_a_table_that_hides_rows_is_not_exported_in_part(site: Site, tmp_path: Path) -> None:
    await site.owner.execute("DROP POLICY system_access ON shelves_books")

    with pytest.raises(ExportRefused, match="shelves_books hide rows"):
        await site.uninstaller().export(tmp_path / "export")
    assert left_behind(tmp_path) == []


async def test_it_is_as_of_one_moment(site: Site, tmp_path: Path) -> None:
    await site.add_book()
    written = asyncio.Event()
    site.progress.clear()

    class Writing(list[str]):
        """Adds rows to the table that comes last while the first is exported."""

        def append(self, text: str) -> None:
            super().append(text)
            if text.startswith("exported shelves_books"):
                written.set()

    uninstaller = site.uninstaller()
    progress = Writing()
    uninstaller.progress = progress.append
    export = asyncio.create_task(uninstaller.export(tmp_path / "export"))
    await written.wait()
    await site.owner.execute(
        "INSERT INTO shelves_lendings (id, tenant_id, book_id)"
        " SELECT gen_random_uuid(), tenant_id, id FROM shelves_books"
    )
    signed = await export

    assert dict(signed.receipt.tables) == {"shelves_books": 1, "shelves_lendings": 0}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE shelves_books SET price = price + 0.00000000000000000001 WHERE title = 'Emma'",
        "DELETE FROM shelves_books WHERE title = 'Emma'",
        "INSERT INTO shelves_books (id, tenant_id, title) SELECT gen_random_uuid(), tenant_id, 'Lady Susan'"
        " FROM shelves_books LIMIT 1",
        "WITH gone AS (DELETE FROM shelves_books WHERE title = 'Emma' RETURNING tenant_id)"
        " INSERT INTO shelves_books (id, tenant_id, title) SELECT gen_random_uuid(), tenant_id, 'Emma' FROM gone",
        "ALTER TABLE shelves_books ALTER title SET DEFAULT 'Untitled'",
    ],
)
async def test_what_changed_since_the_export_is_not_purged(site: Site, tmp_path: Path, change: str) -> None:
    for title in ("Emma", "Persuasion"):
        await site.add_book(title=title, price="1")
    signed = await site.uninstaller().export(tmp_path / "export")
    await site.owner.execute(change)
    before = await contents(site.owner, "shelves_books")

    with pytest.raises(PluginDataInUse, match="Data in shelves_books changed since the export"):
        await site.uninstaller().purge(signed, tmp_path / "export")

    assert await contents(site.owner, "shelves_books") == before
    again = await site.uninstaller().export(tmp_path / "again")
    assert (await site.uninstaller().purge(again, tmp_path / "again")).receipt.action == "purge"


async def test_tables_without_a_key_are_compared_too(site: Site, tmp_path: Path) -> None:
    await site.owner.execute("ALTER TABLE shelves_lendings DROP CONSTRAINT shelves_loans_pkey")
    await site.owner.execute(
        "INSERT INTO kernel_plugin_objects (plugin, kind, identity) VALUES ('shelves', 'table', 'public.shelves_log')"
    )
    await site.owner.execute("CREATE TABLE shelves_log (tenant_id uuid, line text)")
    await site.owner.execute("INSERT INTO shelves_log SELECT NULL, n::text FROM generate_series(1, 2000) n")
    await site.owner.execute(
        "INSERT INTO kernel_plugin_objects (plugin, kind, identity) SELECT 'shelves', kind, identity"
        " FROM kernel_schema_objects WHERE identity LIKE 'public.shelves_log.%'"
    )

    signed = await site.uninstaller().export(tmp_path / "export")
    purged = await site.uninstaller().purge(signed, tmp_path / "export")

    assert purged.receipt.tables["shelves_log"] == 2000


async def test_an_export_that_was_changed_is_no_reason_to_purge(site: Site, tmp_path: Path) -> None:
    await site.add_book()
    signed = await site.uninstaller().export(tmp_path / "export")
    os.truncate(tmp_path / "export" / "data" / "shelves_books.ndjson", 3)

    with pytest.raises(ExportRefused, match="Nothing was purged"):
        await site.uninstaller().purge(signed, tmp_path / "export")
    assert await site.owner.fetchval("SELECT count(*) FROM shelves_books") == 1


async def test_an_export_without_its_receipt_is_none(site: Site, tmp_path: Path) -> None:
    """The server ends the connection that writes the receipt, when all files are there."""
    await site.add_book()
    folder = tmp_path / "export"
    await site.owner.execute(
        "CREATE FUNCTION crash() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS"
        " $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$"
    )
    await site.owner.execute(
        "CREATE TRIGGER crash AFTER INSERT ON kernel_plugin_receipts FOR EACH STATEMENT EXECUTE FUNCTION crash()"
    )
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await site.uninstaller().export(folder)
    await site.owner.execute("DROP TRIGGER crash ON kernel_plugin_receipts")

    with pytest.raises(ExportRefused, match="holds no finished export: remove it"):
        await site.uninstaller().exported_before(folder)
    assert await site.owner.fetchval("SELECT count(*) FROM shelves_books") == 1
    shutil.rmtree(folder)
    signed = await site.uninstaller().export(folder)
    assert (await site.uninstaller().purge(signed, folder)).receipt.action == "purge"


async def test_what_was_turned_on_while_it_was_exported_leaves_no_folder(site: Site, tmp_path: Path) -> None:
    await site.add_book()
    uninstaller = site.uninstaller()
    exported = asyncio.Event()

    def tell(text: str) -> None:
        if text.startswith("exported shelves_lendings"):
            exported.set()

    uninstaller.progress = tell
    async with site.runtime.database.system_transaction() as connection:
        exporting = asyncio.create_task(uninstaller.export(tmp_path / "export"))
        await asyncio.wait({exporting, asyncio.create_task(exported.wait())}, return_when=asyncio.FIRST_COMPLETED)
        await revisions.propose(connection, ["shelves"], file_hash="", origin="cli")
        await revisions.propose(connection, [], file_hash="", origin="cli")

    with pytest.raises(PluginStillOn, match="turned on meanwhile"):
        await exporting
    assert left_behind(tmp_path) == []


async def test_a_purge_that_was_cut_off_goes_on_with_its_export(site: Site, tmp_path: Path) -> None:
    """Somebody ends the command while it compares; then runs it again."""
    await site.add_book()
    folder = tmp_path / "export"
    signed = await site.uninstaller().export(folder)
    uninstaller = site.uninstaller()

    def end(text: str) -> None:
        if text == "comparing shelves_books with the export":
            raise KeyboardInterrupt

    uninstaller.progress = end
    with pytest.raises(KeyboardInterrupt):
        await uninstaller.purge(signed, folder)
    assert await site.owner.fetchval("SELECT count(*) FROM shelves_books") == 1
    assert not (folder / "purge-receipt.json").exists()

    found = await site.uninstaller().exported_before(folder)
    assert found == signed
    purged = await site.uninstaller().purge(found, folder)
    assert purged.receipt.files == signed.receipt.files
    assert await site.tables() == set()


async def test_no_other_folder_is_taken_for_the_export(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    assert await site.uninstaller().exported_before(folder) is None
    folder.mkdir()
    with pytest.raises(ExportRefused, match="holds no finished export: remove it"):
        await site.uninstaller().exported_before(folder)
    folder.rmdir()
    signed = await site.uninstaller().export(folder)
    with pytest.raises(ExportRefused, match="holds an export of shelves"):
        await site.uninstaller("finance").exported_before(folder)
    receipt = folder / "receipt.json"
    receipt.write_text(receipt.read_text().replace(signed.receipt.version, "9.9.9"))
    with pytest.raises(ExportRefused, match="was changed"):
        await site.uninstaller().exported_before(folder)


async def test_a_folder_that_is_there_is_left_alone(site: Site, tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()

    with pytest.raises(ExportRefused, match="is there already"):
        await site.uninstaller().export(tmp_path / "export")
    with pytest.raises(ExportRefused, match="can't be made"):
        await site.uninstaller().export(tmp_path / "nowhere" / "export")
    assert left_behind(tmp_path) == ["export"]


async def test_a_broken_export_leaves_nothing(site: Site, tmp_path: Path) -> None:
    """Somebody presses Ctrl-C in the middle."""
    await site.add_book()
    uninstaller = site.uninstaller()

    def end(text: str) -> None:
        if text == "exporting shelves_books":
            raise KeyboardInterrupt

    uninstaller.progress = end
    with pytest.raises(KeyboardInterrupt):
        await uninstaller.export(tmp_path / "export")
    assert left_behind(tmp_path) == []
    await site.uninstaller().export(tmp_path / "export")


async def test_exported_data_are_kept_too(site: Site, tmp_path: Path) -> None:
    await site.add_book()
    before = await read_catalog(site.owner)

    await site.uninstaller().export(tmp_path / "export")
    await site.enable("shelves")

    assert before.differences(await read_catalog(site.owner)) == []
    assert await site.owner.fetchval("SELECT count(*) FROM shelves_books") == 1


async def test_a_receipt_is_proven_and_a_changed_one_is_not(site: Site, tmp_path: Path) -> None:
    await site.add_book()
    folder = tmp_path / "export"
    await site.uninstaller().purge(await site.uninstaller().export(folder), folder)
    keys = KeyRing(site.runtime.database, site.runtime.vault)

    for name in ("receipt.json", "purge-receipt.json"):
        found = await verify(keys, folder / name)
        assert (found.problems, found.files) == ([], 5)

    receipt = folder / "receipt.json"
    receipt.write_text(receipt.read_text().replace('"shelves_books": 1', '"shelves_books": 0'))
    assert "was changed" in (await verify(keys, receipt)).problems[0]
    data = folder / "data" / "shelves_books.ndjson"
    os.truncate(data, 3)
    found = await verify(keys, folder / "purge-receipt.json")
    assert (found.problems, found.files) == ([f"{data} was changed since the export"], 4)


async def test_kept_data_are_there_when_it_is_installed_again(site: Site) -> None:
    for books in (1, 2):
        await site.add_book()
        receipt = (await site.uninstaller().keep()).receipt
        await site.enable("shelves")

        assert (receipt.action, dict(receipt.tables)) == ("keep", {"shelves_books": books, "shelves_lendings": 0})
        assert await site.owner.fetchval("SELECT count(*) FROM shelves_books") == books
