"""Others' columns of references are read by their type; one that is declared wrongly hurts nobody but its plugin."""

from uuid import UUID

import pytest
from pegboard.database.tenants import DEFAULT_TENANT
from pegboard.plugins.planning.facts import kept_references
from pegboard.plugins.registry import LoadedPlugin
from pegboard.plugins.rules import Known, problems
from pegboard_sdk.database import PiccoloApp
from pegboard_sdk.ids import new_id
from pegboard_sdk.manifest import Manifest
from pegboard_sdk.records import ReferenceColumn
from piccolo.columns import Integer, Text
from piccolo.columns import column_types as columns
from piccolo.table import Table

from tests.kernel.plugins.removal.conftest import Site

DESCRIBED = "SELECT label, found FROM kernel_describe_records(ARRAY[$1])"


async def refer(site: Site, type: str, value: object, record_type: str = "") -> None:
    """Another plugin's table with a column of references, in which one row has `value`."""
    await site.owner.execute(
        f"CREATE TABLE reading_lists (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), tenant_id uuid, held {type})"
    )
    await site.owner.execute("GRANT SELECT ON reading_lists TO pegboard_system")
    await site.owner.execute(
        f"INSERT INTO reading_lists (tenant_id, held)"
        f" VALUES ($1, $2::text::{type}), ($1, NULL), (NULL, $2::text::{type})",
        DEFAULT_TENANT,
        str(value),
    )
    await declare(site, "held", record_type)


async def declare(site: Site, column: str, record_type: str = "", table: str = "reading_lists") -> None:
    await site.owner.execute(
        "INSERT INTO kernel_reference_columns (relation, attribute, plugin, record_type)"
        " VALUES ($1, $2, 'reading', $3)",
        table,
        column,
        record_type,
    )


async def planned(site: Site) -> tuple[list[tuple[str, str, int]], list[str]]:
    """What a plan says of references to the plugin's records, as the system role sees them."""
    async with site.runtime.database.system_transaction() as connection:
        found, wrong = await kept_references(connection, ["shelves"])
    return [(one.plugin, one.column, one.count) for one in found], wrong


@pytest.mark.parametrize(
    ("type", "record_type"),
    [("uuid", "shelves.book"), ("text", "shelves.book"), ("text", ""), ("varchar(60)", "")],
)
async def test_a_column_is_read_by_its_type(site: Site, type: str, record_type: str) -> None:
    book_id = await site.add_book()
    await refer(site, type, book_id if record_type else f"shelves.book:{book_id}", record_type)

    assert await planned(site) == ([("reading", "reading_lists.held", 1)], [])
    found = await site.uninstaller().look()
    assert (found.references, list(found.misdeclared)) == (1, [])
    assert (await site.uninstaller().purge()).receipt.tombstones == 1
    row = await site.owner.fetchrow("SELECT reference, label FROM kernel_tombstones")
    assert tuple(row or ()) == (f"shelves.book:{book_id}", "EMMA")


@pytest.mark.parametrize("type", ["integer", "bigint", "smallint"])
async def test_records_with_numbers_for_keys(site: Site, type: str) -> None:
    await site.owner.execute("UPDATE kernel_record_types SET key = 'number' WHERE plugin = 'shelves'")
    await site.add_book(number="7")
    await refer(site, type, 7, "shelves.book")

    async with site.runtime.database.reader(DEFAULT_TENANT) as connection:
        assert tuple(await connection.fetchrow(DESCRIBED, "shelves.book:7")) == ("EMMA", "row")
        assert tuple(await connection.fetchrow(DESCRIBED, "shelves.book:seven")) == (None, "missing")
        assert (await site.uninstaller().purge()).receipt.tombstones == 1
        assert tuple(await connection.fetchrow(DESCRIBED, "shelves.book:7")) == ("EMMA", "tombstone")


async def test_keys_of_anothers_records_are_not_ours(site: Site) -> None:
    await refer(site, "uuid", await site.add_book(), "finance.escrow")

    assert await planned(site) == ([], [])
    assert (await site.uninstaller().purge()).receipt.tombstones == 0


@pytest.mark.parametrize(
    ("type", "column", "told"),
    [
        ("uuid", "held", "is of type uuid, which doesn't say whose records are meant: name them with record_type"),
        ("integer", "held", "is of type integer, which doesn't say"),
        ("jsonb", "held", "is of type jsonb, which holds no references"),
        ("text", "gone", "isn't there: the table has no such column"),
        ("text", 'Odd "column', "isn't there: the table has no such column"),
    ],
)
async def test_a_wrong_declaration_is_its_plugins_problem_alone(site: Site, type: str, column: str, told: str) -> None:
    book = f"shelves.book:{await site.add_book()}"
    await refer(site, type, {"integer": 7, "uuid": UUID(int=7), "jsonb": "{}"}.get(type, book))
    await site.owner.execute("DELETE FROM kernel_reference_columns WHERE plugin = 'reading'")
    await declare(site, column)
    await declare(site, "held", table='no "such table')
    await site.owner.execute("CREATE TABLE bare (held text); GRANT SELECT ON bare TO pegboard_system")
    await declare(site, "held", table="bare")
    await site.owner.execute(
        "INSERT INTO finance_escrows (id, tenant_id, reference, payer_id, payee_id, amount, fee, currency)"
        " VALUES (gen_random_uuid(), $1, $2, gen_random_uuid(), gen_random_uuid(), 1, 0, 'EUR')",
        DEFAULT_TENANT,
        book,
    )

    counted, wrong = await planned(site)
    assert counted == [("finance", "finance_escrows.reference", 1)]
    for found in (wrong, (await site.uninstaller().look()).misdeclared):
        assert any(f"reading: its reference column reading_lists.{column} {told}" in one for one in found)
        assert "reading: its reference column no \"such table.held is in a table that isn't there" in found
        assert "reading: its reference column bare.held is in a table without a tenant_id of type uuid" in found
    assert (await site.uninstaller().purge()).receipt.tombstones == 1


async def test_a_column_that_may_not_be_read_blocks_no_plan(site: Site) -> None:
    await refer(site, "text", f"shelves.book:{new_id()}")
    await site.owner.execute("REVOKE SELECT ON reading_lists FROM pegboard_system")

    assert await planned(site) == (
        [],
        ["reading: its reference column reading_lists.held can't be read: grant pegboard_system SELECT on its table"],
    )


class Lists(Table, tablename="reading_lists"):
    id = columns.UUID(primary_key=True, default=None)
    tenant_id = columns.UUID(null=False, default=None)
    book_id = columns.UUID(null=False, default=None)
    number = Integer(null=False, default=None)
    reference = Text(null=False, default=None)


@pytest.mark.parametrize(
    ("column", "record_type", "told"),
    [
        ("book_id", None, "the reference column reading_lists.book_id holds keys, which don't say whose records"),
        ("number", None, "the reference column reading_lists.number holds keys, which don't say whose records"),
        ("book_id", "Book", "the reference column reading_lists.book_id has the record_type 'Book'"),
        ("book_id", "shelves.book", None),
        ("number", "shelves.book", None),
        ("reference", None, None),
    ],
)
def test_the_plugin_itself_is_told(column: str, record_type: str | None, told: str | None) -> None:
    manifest = Manifest(name="reading", version="1.0.0", summary="Lists", sdk=">=1,<2")
    plugin = LoadedPlugin(
        name="reading",
        manifest=manifest,
        distribution="reading 1.0.0",
        app=PiccoloApp(name="reading", tables=(Lists,)),
        reference_columns=[ReferenceColumn(table="reading_lists", column=column, record_type=record_type)],
    )

    found = [one for one in problems(plugin, Known({"reading": manifest})) if "reference column" in one]

    assert len(found) == (told is not None)
    assert told is None or found[0].startswith(told)
