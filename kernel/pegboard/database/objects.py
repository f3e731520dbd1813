"""What each plugin's migrations made in the database, kept in `kernel_plugin_objects`, and dropping exactly that.

Objects are told apart by number while a transaction looks at them, and remembered by kind and identity
(`pg_identify_object`), which a restored backup keeps.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import asyncpg
import msgspec

from pegboard.database.catalog import Catalog, read_catalog

__all__ = (
    "Address",
    "DroppingFailed",
    "SchemaObject",
    "drop_objects",
    "forget_objects",
    "made_by",
    "read_objects",
    "record_changes",
    "things_in_the_way",
)

Address = tuple[int, int, int]
"""Catalog, number, and number inside of it (a column's), as in `pg_depend`."""

SHOWN = 10
_PLACE = re.compile(r" #\d+ ")


class SchemaObject(msgspec.Struct, frozen=True, kw_only=True):
    """Something in the database that has a name. `relation` is the number of the table that it is a part of."""

    address: Address
    kind: str
    identity: str
    name: str
    relation: int | None

    def __str__(self) -> str:
        return f"{self.kind} {self.identity}"


class DroppingFailed(Exception):
    """Nothing may be dropped; `obstacles` names what is in the way, a sentence each."""

    def __init__(self, obstacles: Sequence[str]) -> None:
        super().__init__("; ".join(obstacles))
        self.obstacles = obstacles


async def read_objects(connection: Any) -> dict[Address, SchemaObject]:
    """Everything that the database holds beside what the server and extensions bring."""
    rows = await connection.fetch(
        "SELECT classid, objid, objsubid, kind, identity, name, relation FROM kernel_schema_objects"
    )
    found: dict[Address, SchemaObject] = {}
    for row in rows:
        address = (row["classid"], row["objid"], row["objsubid"])
        found[address] = SchemaObject(
            address=address, kind=row["kind"], identity=row["identity"], name=row["name"], relation=row["relation"]
        )
    return found


async def record_changes(connection: Any, plugin: str, migration: str, before: Mapping[Address, SchemaObject]) -> None:
    """Note what a migration of the plugin did, in its transaction: what it made, took away and renamed.

    `before` is what was there when it began. What it renamed stays whoever's it was.
    """
    after = await read_objects(connection)
    gone = [before[address] for address in before.keys() - after.keys()]
    await _forget(connection, gone)
    renamed = [(before[address], one) for address, one in after.items() if address in before and before[address] != one]
    # Two may have swapped their names: what they were called goes before what they are called comes.
    await connection.executemany(
        "UPDATE kernel_plugin_objects SET identity = $3 || chr(1) WHERE kind = $1 AND identity = $2",
        [(old.kind, old.identity, new.identity) for old, new in renamed],
    )
    if renamed:
        await connection.execute(
            "UPDATE kernel_plugin_objects SET identity = rtrim(identity, chr(1)) WHERE identity LIKE '%' || chr(1)"
        )
    # About the order in which they were made; what depends on what is PostgreSQL's to say when it comes to dropping.
    # An extension is everybody's who says CREATE EXTENSION IF NOT EXISTS: it is on nobody's record, so it stays.
    new = [address for address in after.keys() - before.keys() if after[address].kind != "extension"]
    made = sorted(await _of_this_transaction(connection, new), key=lambda address: address[1:])
    await connection.executemany(
        "INSERT INTO kernel_plugin_objects (plugin, migration, kind, identity) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (kind, identity) DO UPDATE SET plugin = excluded.plugin, migration = excluded.migration",
        [(plugin, migration, after[address].kind, after[address].identity) for address in made],
    )


# Rows that we see although the transaction that made them is still in progress are our own. `age` counts from our
# transaction's number, so that of our subtransactions, and of others that began since, is negative.
_OURS = """
CASE WHEN age(xmin) <= 0 THEN
    pg_xact_status((pg_current_xact_id()::text::numeric - age(xmin))::text::xid8) = 'in progress'
END
"""


async def _of_this_transaction(connection: Any, addresses: Sequence[Address]) -> list[Address]:
    """Those that this transaction made. Others may have been made by somebody else since it began."""
    await connection.execute("SELECT pg_current_xact_id()")  # `age` counts from it only once there is one
    ours: list[Address] = []
    for classid in sorted({one[0] for one in addresses}):
        catalog = await connection.fetchval("SELECT $1::oid::regclass::text", classid)
        things = [one for one in addresses if one[0] == classid]
        whole = await connection.fetch(
            f"SELECT oid FROM {catalog} WHERE oid = ANY($1::oid[]) AND {_OURS}",  # noqa: S608  # a catalog's name
            [one[1] for one in things if one[2] == 0],
        )
        columns = await connection.fetch(
            "SELECT attrelid AS oid, attnum::int AS number FROM pg_attribute"  # noqa: S608  # no value of anybody's
            f" WHERE attrelid = ANY($1::oid[]) AND {_OURS}",
            [one[1] for one in things if one[2] != 0],
        )
        found = {(row["oid"], 0) for row in whole} | {(row["oid"], row["number"]) for row in columns}
        ours += [one for one in things if one[1:] in found]
    return ours


async def made_by(connection: Any, plugin: str) -> list[SchemaObject]:
    """What is there of what the plugin's migrations made, in the order in which it was made."""
    there = {(one.kind, one.identity): one for one in (await read_objects(connection)).values()}
    rows = await connection.fetch(
        "SELECT kind, identity FROM kernel_plugin_objects WHERE plugin = $1 ORDER BY number", plugin
    )
    return [there[key] for row in rows if (key := (row["kind"], row["identity"])) in there]


async def forget_objects(connection: Any, plugin: str) -> None:
    """Take what the plugin made off the record."""
    await connection.execute("DELETE FROM kernel_plugin_objects WHERE plugin = $1", plugin)


async def _forget(connection: Any, gone: Iterable[SchemaObject]) -> None:
    await connection.executemany(
        "DELETE FROM kernel_plugin_objects WHERE kind = $1 AND identity = $2",
        [(one.kind, one.identity) for one in gone],
    )


# What isn't among the doomed and needs one of them, or would silently go with one: a view or another table's foreign
# key (n), somebody's index or trigger on the table (a). Rules and defaults stand for their view and their column.
_DEPENDENTS = """
WITH doomed AS (
    SELECT * FROM unnest($1::oid[], $2::oid[], $3::int[]) AS one (classid, objid, objsubid)
), parts AS (
    SELECT 'pg_type'::regclass::oid AS classid, t.oid AS objid, 0 AS objsubid
    FROM doomed d JOIN pg_type t ON t.typrelid = d.objid AND d.classid = 'pg_class'::regclass AND d.objsubid = 0
    UNION ALL
    SELECT 'pg_type'::regclass, t.typarray, 0 FROM doomed d
    JOIN pg_type t ON t.typarray <> 0 AND (t.oid = d.objid AND d.classid = 'pg_type'::regclass
        OR t.typrelid = d.objid AND d.classid = 'pg_class'::regclass AND d.objsubid = 0)
    UNION ALL
    SELECT 'pg_class'::regclass, t.typrelid, 0 FROM doomed d
    JOIN pg_type t ON t.oid = d.objid AND d.classid = 'pg_type'::regclass AND t.typrelid <> 0
    UNION ALL
    SELECT 'pg_type'::regclass, unnest(ARRAY[m.oid, m.typarray]), 0 FROM doomed d
    JOIN pg_range r ON r.rngtypid = d.objid AND d.classid = 'pg_type'::regclass
    JOIN pg_type m ON m.oid = r.rngmultitypid
    UNION ALL
    SELECT 'pg_constraint'::regclass, c.oid, 0 FROM doomed d
    JOIN pg_constraint c ON c.contypid = d.objid AND d.classid = 'pg_type'::regclass
), targets AS (
    SELECT * FROM doomed UNION SELECT * FROM parts
), dependents AS (
    SELECT CASE WHEN w.oid IS NOT NULL AND w.rulename = '_RETURN' THEN 'pg_class'::regclass::oid
                WHEN f.oid IS NOT NULL THEN 'pg_class'::regclass::oid ELSE d.classid END AS classid,
           CASE WHEN w.oid IS NOT NULL AND w.rulename = '_RETURN' THEN w.ev_class
                WHEN f.oid IS NOT NULL THEN f.adrelid ELSE d.objid END AS objid,
           CASE WHEN f.oid IS NOT NULL THEN f.adnum ELSE d.objsubid END AS objsubid,
           t.classid AS onclass, t.objid AS onobj, t.objsubid AS onsub
    FROM pg_depend d
    JOIN targets t ON t.classid = d.refclassid AND t.objid = d.refobjid
        AND (t.objsubid = 0 OR t.objsubid = d.refobjsubid)
    LEFT JOIN pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid
    LEFT JOIN pg_attrdef f ON d.classid = 'pg_attrdef'::regclass AND f.oid = d.objid
    WHERE d.deptype IN ('n', 'a')
)
SELECT DISTINCT ON (i.type, i.identity)
       i.type AS kind, i.identity, pg_describe_object(d.onclass, d.onobj, 0) AS needed,
       (SELECT m.plugin FROM kernel_plugin_objects m WHERE m.kind = i.type AND m.identity = i.identity) AS plugin
FROM dependents d, pg_identify_object(d.classid, d.objid, d.objsubid) i
WHERE NOT EXISTS (SELECT FROM targets t WHERE t.classid = d.classid AND t.objid = d.objid
                  AND t.objsubid IN (0, d.objsubid))
-- What comes along with one of them, such as a range type's functions, or a table's place in a publication.
AND NOT EXISTS (SELECT FROM pg_depend i JOIN targets t ON t.classid = i.refclassid AND t.objid = i.refobjid
                WHERE i.classid = d.classid AND i.objid = d.objid AND (i.deptype = 'i'
                    OR i.classid = 'pg_publication_rel'::regclass AND i.refclassid = 'pg_publication'::regclass))
-- NOT NULL is a constraint since 18, and a part of its column all the same.
AND NOT EXISTS (SELECT FROM pg_constraint c WHERE d.classid = 'pg_constraint'::regclass AND c.oid = d.objid
                AND c.contype = 'n')
ORDER BY i.type, i.identity, d.onclass, d.onobj
"""


_WHOSE = "SELECT plugin FROM kernel_plugin_objects WHERE kind = $1 AND identity = $2"


async def things_in_the_way(connection: Any, doomed: Sequence[SchemaObject]) -> list[str]:
    """What others made that needs the doomed or would go with them, and whose it is: a sentence each."""
    rows = await connection.fetch(
        _DEPENDENTS,
        [one.address[0] for one in doomed],
        [one.address[1] for one in doomed],
        [one.address[2] for one in doomed],
    )
    found = {
        (row["kind"], row["identity"]): _obstacle(row["kind"], row["identity"], row["needed"], row["plugin"])
        for row in rows
    }
    # A column that somebody added depends on nothing: it is a part of the table.
    own = {one.address for one in doomed}
    tables = {one.address[1]: one.identity for one in doomed if one.kind == "table"}
    for one in (await read_objects(connection)).values():
        if one.relation in tables and one.address not in own and (one.kind, one.identity) not in found:
            plugin = await connection.fetchval(_WHOSE, one.kind, one.identity)
            found[one.kind, one.identity] = _obstacle(one.kind, one.identity, f"table {tables[one.relation]}", plugin)
    return [found[key] for key in sorted(found)]


def _obstacle(kind: str, identity: str, needed: str, plugin: str | None) -> str:
    whose = f"the plugin {plugin} made it" if plugin else "no migration made it: drop it yourself if you may"
    return f"the {kind} {identity} needs the {needed} ({whose})"


async def drop_objects(connection: Any, doomed: Sequence[SchemaObject]) -> None:
    """Drop exactly the doomed, without CASCADE, in the caller's transaction.

    Raises:
        DroppingFailed: something else needs them, or would go with them. The transaction has to be rolled back.
    """
    obstacles = await things_in_the_way(connection, doomed)
    if obstacles:
        raise DroppingFailed(obstacles)
    before = await read_objects(connection)
    catalog = await read_catalog(connection)
    relations = {one.address[1] for one in doomed if one.address[2] == 0 and one.relation is None}
    # What is a part of a table that goes, goes with it.
    roots = [one for one in doomed if one.relation is None or one.relation not in relations]
    await _drop(connection, list(reversed(roots)))
    after = await read_objects(connection)
    wanted = {one.address for one in doomed}
    gone = before.keys() - after.keys()
    wrong = [f"the {before[one]} would go too, and the plugin's migrations didn't make it" for one in gone - wanted]
    wrong += [f"the {before[one]} is still there" for one in wanted - gone]
    wrong += [f"something else would change: {line}" for line in _new(catalog, await read_catalog(connection))]
    if wrong:
        raise DroppingFailed(sorted(wrong)[:SHOWN])


def _new(before: Catalog, after: Catalog) -> list[str]:
    """What the catalog says only since. A table's columns move up where one before them went."""

    def unnumbered(catalog: Catalog, kind: str) -> set[str]:
        return {f"{kind} {_PLACE.sub(' ', line, count=1)}" for line in catalog.lines[kind]}

    return sorted(line for kind in before.lines for line in unnumbered(after, kind) - unnumbered(before, kind))


async def _drop(connection: Any, roots: list[SchemaObject]) -> None:
    """Newest first; what something else still needs is tried again after that, tables at last all at once."""
    statements = [(one, _statement(one)) for one in roots]
    while statements:
        left: list[tuple[SchemaObject, str]] = []
        why: list[str] = []
        for one, statement in statements:
            error = await _try(connection, statement)
            if error is not None:
                left.append((one, statement))
                why.append(error)
        if len(left) == len(statements):
            tables = [one for one, _ in left if one.kind == "table"]
            error = await _try(connection, f"DROP TABLE {', '.join(one.identity for one in tables)}") if tables else ""
            if error is not None:
                raise DroppingFailed([error] if error else why[:SHOWN])
            left = [pair for pair in left if pair[0].kind != "table"]
        statements = left


async def _try(connection: Any, statement: str) -> str | None:
    """Run it, or say what still needs the object."""
    try:
        async with connection.transaction():
            await connection.execute(statement)
    except asyncpg.DependentObjectsStillExistError as error:
        detail = getattr(error, "detail", None)
        return f"{error} ({detail})" if detail else str(error)
    return None


def _statement(one: SchemaObject) -> str:
    name = '"' + one.name.replace('"', '""') + '"'
    place = one.identity.rpartition(" on ")[2]
    match one.kind:
        case "table column":
            # Its identity is the table's with its name, quoted where it has to be, behind it.
            table = one.identity.removesuffix(f".{name}").removesuffix(f".{one.name}")
            return f"ALTER TABLE {table} DROP COLUMN IF EXISTS {name}"
        case "table constraint":
            return f"ALTER TABLE {place} DROP CONSTRAINT IF EXISTS {name}"
        case "function" | "procedure" | "aggregate":
            return f"DROP ROUTINE IF EXISTS {one.identity}"
        case "statistics object":
            return f"DROP STATISTICS IF EXISTS {one.identity}"
        case kind:
            return f"DROP {kind.upper()} IF EXISTS {one.identity}"
