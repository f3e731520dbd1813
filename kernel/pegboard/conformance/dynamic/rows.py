"""A made-up row for any table: values are looked for until its checks and unique keys take them."""

import itertools
import json
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from pegboard.conformance.dynamic.candidates import candidates

__all__ = ("RowImpossible", "insert_row")

MOST = 2000
"""Combinations of values that are tried for one check."""
ROUNDS = 12
"""How often a check may be mended: mending one may break another."""
KEYS = 50
"""Combinations of values that are tried for a unique key."""

_COLUMNS = """
WITH RECURSIVE base AS (
    SELECT a.attnum, t.oid, t.typtype, t.typbasetype, t.typelem, t.typcategory
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
    SELECT b.attnum, t.oid, t.typtype, t.typbasetype, t.typelem, t.typcategory
    FROM base b JOIN pg_type t ON t.oid = b.typbasetype WHERE b.typtype = 'd'
)
SELECT a.attname AS name, a.attnotnull AS required, format_type(b.oid, NULL) AS type,
       CASE WHEN b.typcategory = 'A' THEN format_type(b.typelem, NULL) ELSE '' END AS element,
       ARRAY(SELECT enumlabel::text FROM pg_enum e WHERE e.enumtypid IN (b.oid, b.typelem) ORDER BY enumsortorder)
       AS labels,
       pg_get_expr(d.adbin, d.adrelid) AS default,
       a.atttypmod > 0 OR a.atttypid <> b.oid AS narrow,
       ARRAY(SELECT pg_get_constraintdef(c.oid) FROM pg_constraint c WHERE c.contypid = a.atttypid) AS domain_checks
FROM base b JOIN pg_attribute a ON a.attrelid = $1::regclass AND a.attnum = b.attnum
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE b.typtype <> 'd' AND a.attgenerated = '' AND a.attidentity = ''
ORDER BY a.attnum
"""
_CHECKS = """
SELECT c.conname AS name, pg_get_expr(c.conbin, c.conrelid) AS expression,
       ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = c.conrelid AND attnum = ANY (c.conkey)) AS columns
FROM pg_constraint c WHERE c.conrelid = $1::regclass AND c.contype = 'c' ORDER BY cardinality(c.conkey), c.conname
"""
_KEY = """
SELECT ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = i.indrelid AND attnum = ANY (i.indkey))
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = $1::regclass AND c.relname = $2
"""
_REFUSED = (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError)

Values = dict[str, Any]


class RowImpossible(Exception):
    """No row could be made up; the text says what stands in the way."""


async def insert_row(connection: asyncpg.Connection, table: str, tenant: UUID) -> None:
    """Put a row of `tenant` into `table`, as a superuser. `connection` is in a transaction.

    Checks, unique keys and domains are kept; triggers and foreign keys are passed by, so rows that it refers to need
    not be there.

    Raises:
        RowImpossible: the table has no `tenant_id`, or no combination of values was found that it takes.
    """
    await _Maker(connection, table, tenant).insert()


class _Maker:
    """One table's row."""

    def __init__(self, connection: asyncpg.Connection, table: str, tenant: UUID) -> None:
        self._connection = connection
        self._table = table
        self._tenant = tenant
        self._options: dict[str, list[Any]] = {}
        """What each column may be tried with, the likeliest first."""
        self._checks: Sequence[Any] = ()

    async def insert(self) -> None:
        """Look for values, and insert them."""
        values = await self._keep_checks(await self._start())
        refused = await self._refusal(values)
        if isinstance(refused, asyncpg.UniqueViolationError | asyncpg.ExclusionViolationError):
            refused = await self._keep_key(values, refused)
        if refused is not None:
            raise RowImpossible(" ".join(str(refused).split()))

    async def _start(self) -> Values:
        """What each column begins with: its default, nothing where that is allowed, or its first candidate."""
        columns = await self._connection.fetch(_COLUMNS, self._table)
        if "tenant_id" not in {column["name"] for column in columns}:
            raise RowImpossible("it has no column tenant_id")
        self._checks = await self._connection.fetch(_CHECKS, self._table)
        values: Values = {}
        for column in columns:
            name = column["name"]
            if name == "tenant_id":
                self._options[name] = [str(self._tenant)]
            else:
                hints = [check["expression"] for check in self._checks if name in check["columns"]]
                options = candidates(
                    column["type"],
                    labels=column["labels"],
                    element=column["element"],
                    hints=[*hints, *column["domain_checks"]],
                )
                if column["narrow"]:
                    options = [value for value in options if await self._fits(name, value)]
                if column["default"] is not None:
                    options.insert(0, json.loads(await self._value_of(column["default"])))
                elif not column["required"]:
                    options.insert(0, None)
                if not options:
                    raise RowImpossible(f"no value was found for the column {name} of the type {column['type']}")
                self._options[name] = options
            values[name] = self._options[name][0]
        return values

    async def _value_of(self, expression: str) -> str:
        # A default, of the catalog.
        return str(await self._connection.fetchval(f"SELECT coalesce(to_json(({expression})), 'null')::text"))

    async def _fits(self, column: str, value: Any) -> bool:
        attempt = self._connection.transaction()
        await attempt.start()
        try:
            await self._connection.fetchval(
                f"SELECT to_json(r) FROM json_populate_record(NULL::{self._table}, $1) r",  # noqa: S608  # a table's name
                json.dumps({column: value}),
            )
        except _REFUSED:
            return False
        finally:
            await attempt.rollback()
        return True

    async def _keep_checks(self, values: Values) -> Values:
        """Change values until every check holds."""
        broken = (await self._broken([values]))[0]
        for _ in range(ROUNDS):
            if not any(broken):
                return values
            first = broken.index(True)
            own = set(self._checks[first]["columns"])
            related = own.union(*(one["columns"] for one in self._checks if own & set(one["columns"])))
            best: tuple[int, Values, list[bool]] | None = None
            for columns in (own, related):
                rows = self._combinations(values, columns)
                for row, judged in zip(rows, await self._broken(rows), strict=True):
                    if not judged[first] and (best is None or sum(judged) < best[0]):
                        best = (sum(judged), row, judged)
                if best is not None and best[0] < sum(broken):
                    break
            if best is None:
                break
            _, values, broken = best
        if not any(broken):
            return values
        check = self._checks[broken.index(True)]
        raise RowImpossible(f"no value was found that its check {check['name']} takes: {check['expression']}")

    def _combinations(self, values: Values, columns: Iterable[str]) -> list[Values]:
        """The row with other values in `columns`: fewer of each column where there are many."""
        names = [name for name in columns if name in values]
        each = max(2, int(MOST ** (1 / max(1, len(names)))))
        choices = itertools.product(*(self._options[name][:each] for name in names))
        return [values | dict(zip(names, choice, strict=True)) for choice in itertools.islice(choices, MOST)]

    async def _broken(self, rows: Sequence[Values]) -> list[list[bool]]:
        """Of each row, which checks don't hold."""
        if not self._checks:
            return [[] for _ in rows]
        judged = ", ".join(f"({check['expression']}) IS FALSE" for check in self._checks)
        attempt = self._connection.transaction()
        await attempt.start()
        try:
            found = await self._connection.fetch(
                f'SELECT ARRAY[{judged}] FROM json_array_elements($1::json) WITH ORDINALITY AS "pegboard v"'  # noqa: S608  # made of the catalog
                f' ("pegboard row", "pegboard n"), json_populate_record(NULL::{self._table}, "pegboard row") r'
                ' ORDER BY "pegboard n"',
                json.dumps(rows),
            )
            return [row[0] for row in found]
        except asyncpg.PostgresError:
            # A check may raise, as one does that takes the length of what is no array: which row it was is looked for.
            if len(rows) == 1:
                return [[True] * len(self._checks)]
        finally:
            await attempt.rollback()
        middle = len(rows) // 2
        return [*await self._broken(rows[:middle]), *await self._broken(rows[middle:])]

    async def _keep_key(self, values: Values, refused: asyncpg.PostgresError) -> asyncpg.PostgresError | None:
        """Change values until a key is not taken yet; gives what is wrong where that can't be done."""
        columns = await self._connection.fetchval(_KEY, self._table, getattr(refused, "constraint_name", "")) or ()
        rows = self._combinations(values, columns)
        fitting = [row for row, judged in zip(rows, await self._broken(rows), strict=True) if not any(judged)]
        # What nobody else has comes last.
        for row in fitting[: -KEYS - 1 : -1]:
            again = await self._refusal(row)
            if again is None:
                return None
            refused = again
        return refused

    async def _refusal(self, values: Values) -> asyncpg.PostgresError | None:
        """Insert a row; gives why it wasn't taken."""
        names = ", ".join(f'"{name}"' for name in values)
        attempt = self._connection.transaction()
        await attempt.start()
        try:
            await self._connection.execute("SET LOCAL session_replication_role = replica")
            await self._connection.execute(
                f"INSERT INTO {self._table} ({names}) SELECT {names}"  # noqa: S608  # made of the catalog
                f" FROM json_populate_record(NULL::{self._table}, $1)",
                json.dumps(values),
            )
        except _REFUSED as error:
            await attempt.rollback()
            return error
        await attempt.commit()
        return None
