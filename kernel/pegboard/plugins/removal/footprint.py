"""What a plugin has in the database: what uninstalling it is about, before anything changes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pegboard.database.counting import count_exactly, count_roughly
from pegboard.database.objects import SchemaObject, made_by, things_in_the_way
from pegboard.plugins.discovery import Discovery
from pegboard.plugins.removal.errors import PluginAbsent
from pegboard.plugins.removal.export import data_tables
from pegboard.plugins.removal.kernel_rows import count_rows, secret_names
from pegboard.plugins.removal.receipts import find_receipts
from pegboard.plugins.removal.tombstones import count_references

__all__ = ("Footprint", "Package", "migrations_of", "package_of", "read_footprint")

KERNELS = "kernel"


class Package(msgspec.Struct, frozen=True, kw_only=True):
    """Where a plugin's code comes from. Empty where it isn't installed any more; `pip` is what removes it."""

    version: str = ""
    distribution: str = ""
    pip: str | None = None


class Footprint(msgspec.Struct, frozen=True, kw_only=True):
    """What a plugin has in the database.

    `tables` are rows by table, about so many where `estimated` names it; `objects` how many things of each kind its
    migrations made; `rows` the kernel's rows that are its own. `references` are those that others hold to its records:
    a purge leaves a tombstone for each, but for the `misdeclared`, whose plugins declare them wrongly. `obstacles` are
    what would keep a purge from happening. Of both there is a sentence each.
    """

    plugin: str
    package: Package
    migrations: Sequence[str]
    tables: Mapping[str, int]
    estimated: Sequence[str]
    objects: Mapping[str, int]
    rows: Mapping[str, int]
    secrets: Sequence[str]
    references: int
    misdeclared: Sequence[str]
    obstacles: Sequence[str]


async def read_footprint(connection: Any, plugin: str, package: Package, *, exact: bool) -> Footprint:
    """Count everything, over the owner's connection in a transaction; the plugin may be installed or not. The rows of
    big tables are estimated unless it has to be `exact`, which may take minutes.

    Raises:
        PluginAbsent: nothing of it is there.
    """
    made = await made_by(connection, plugin)
    migrations = await migrations_of(connection, plugin)
    rows = await count_rows(connection, plugin)
    if plugin == KERNELS or not (made or migrations or rows):
        raise await _absent(connection, plugin, package)
    tables, estimated = await count_tables(connection, made, exact=exact)
    references, misdeclared = await count_references(connection, plugin)
    return Footprint(
        plugin=plugin,
        package=package,
        migrations=migrations,
        tables=tables,
        estimated=estimated,
        objects=dict(sorted(Counter(one.kind for one in made).items())),
        rows=rows,
        secrets=await secret_names(connection, plugin),
        references=references,
        misdeclared=misdeclared,
        obstacles=await things_in_the_way(connection, made),
    )


async def migrations_of(connection: Any, plugin: str) -> list[str]:
    """The plugin's migrations that were run."""
    rows = await connection.fetch("SELECT name FROM migration WHERE app_name = $1 ORDER BY name", plugin)
    return [row["name"] for row in rows]


async def count_tables(
    connection: Any, made: Sequence[SchemaObject], *, exact: bool
) -> tuple[dict[str, int], list[str]]:
    """The rows of each table among what a plugin made, and the tables whose rows are estimated."""
    tables: dict[str, int] = {}
    estimated: list[str] = []
    for one in await data_tables(connection, made):
        name = one.identity.removeprefix("public.")
        if exact:
            tables[name] = await count_exactly(connection, one.identity)
            continue
        tables[name], roughly = await count_roughly(connection, one.identity)
        estimated += [name] if roughly else []
    return tables, estimated


def package_of(found: Discovery, plugin: str) -> Package:
    """Where the plugin's code comes from."""
    candidate = found.candidates.get(plugin)
    if candidate is None:
        return Package()
    name = candidate.distribution.rpartition(" ")[0]
    pip = None if name == "pegboard" else f"pip uninstall {name}"
    return Package(version=candidate.manifest.version, distribution=candidate.distribution, pip=pip)


async def _absent(connection: Any, plugin: str, package: Package) -> PluginAbsent:
    receipts = [] if plugin == KERNELS else await find_receipts(connection, plugin)
    if receipts and receipts[-1].receipt.action == "purge":
        last = receipts[-1].receipt
        return PluginAbsent(f"{plugin} was purged at {last.at:%Y-%m-%d %H:%M:%S} UTC (receipt {last.id}).")
    rest = f": `{package.pip}` is all there is to do" if package.pip else ""
    return PluginAbsent(f"Nothing of a plugin named {plugin} is in the database{rest}.")
