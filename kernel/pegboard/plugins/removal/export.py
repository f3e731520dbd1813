"""Writing a plugin's data into a folder: a line of JSON for each row, all tenants, as of one moment.

Nothing is held in memory: PostgreSQL writes the lines, and they go to the file as they come. The folder appears under
its name once all of it is on the disk.
"""

import asyncio
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from pegboard import __version__
from pegboard.database.migrate import connect_as_owner
from pegboard.database.objects import SchemaObject, made_by
from pegboard.database.reach import reaching
from pegboard.plugins.removal.errors import ExportRefused, PluginAbsent
from pegboard.plugins.removal.kernel_rows import secret_names
from pegboard.plugins.removal.receipts import now
from pegboard.plugins.removal.rows import copy_rows, write_alike
from pegboard.plugins.removal.schema import read_schema
from pegboard.wording import counted

__all__ = (
    "MANIFEST",
    "Manifest",
    "TableFile",
    "data_tables",
    "export_plugin",
    "file_content",
    "table_files",
    "write_file",
)

MANIFEST = "manifest.json"
FORMAT = 1
TOLD_EVERY = 256 * 2**20
"""Bytes of a table's rows after which somebody who waits is told."""
_PRIVATE = 0o700

# Whoever reads with row-level security in force sees what a policy shows: it must be everything.
_HIDDEN = """
SELECT c.oid::regclass::text FROM pg_class c
WHERE c.oid = ANY ($1::oid[]) AND c.relrowsecurity AND c.relforcerowsecurity
AND (NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polpermissive AND p.polcmd IN ('*', 'r')
                 AND p.polroles && ARRAY['pegboard_system'::regrole::oid, 'pegboard_owner'::regrole::oid, 0::oid]
                 AND pg_get_expr(p.polqual, p.polrelid) = 'true')
     OR EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND NOT p.polpermissive AND p.polcmd IN ('*', 'r')
                AND p.polroles && ARRAY['pegboard_system'::regrole::oid, 'pegboard_owner'::regrole::oid, 0::oid]))
"""


class TableFile(msgspec.Struct, frozen=True, kw_only=True):
    """A table in an export, named without the schema public: its rows' file and its definition's, relative to the
    folder, and their SHA-256 hashes.
    """

    table: str
    rows: int
    bytes: int
    file: str
    sha256: str
    schema: str
    schema_sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What an export holds. `sequences` are the last values given out; `secrets` names, whose texts aren't exported."""

    format: int
    plugin: str
    version: str
    pegboard: str
    exported_at: datetime
    migrations: Sequence[str]
    tables: Sequence[TableFile]
    sequences: Mapping[str, int | None]
    secrets: Sequence[str]


async def data_tables(connection: Any, made: Sequence[SchemaObject]) -> list[SchemaObject]:
    """The tables among what a plugin made, by name. A partitioned table speaks for its partitions."""
    tables = [one for one in made if one.kind == "table"]
    rows = await connection.fetch(
        "SELECT oid FROM pg_class WHERE oid = ANY ($1) AND relispartition", [one.address[1] for one in tables]
    )
    partitions = {row["oid"] for row in rows}
    return sorted((one for one in tables if one.address[1] not in partitions), key=lambda one: one.identity)


async def export_plugin(
    url: str, plugin: str, folder: Path, *, version: str, progress: Callable[[str], None]
) -> tuple[Manifest, dict[str, str]]:
    """Write the plugin's data into `folder`, which must not exist; gives the manifest, and the hash of each file.

    `url` is the owner's or an administrator's. `progress` is told of each table. After a crash a hidden folder that
    ends in `.partial` is left beside `folder`; it can be removed.

    Raises:
        ExportRefused: the folder is there or can't be written, or a table can't be read whole.
        PluginAbsent: nothing of the plugin is in the database.
    """
    partial = await asyncio.to_thread(_make_folder, folder)
    try:
        export = _Export(plugin, partial, progress)
        manifest = await export.run(url, version)
        await asyncio.to_thread(_finish, partial, folder)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(error, _WriteError):
            raise ExportRefused(f"{folder} can't be written: {error}. Nothing was left of it.") from error
        raise
    return manifest, export.hashes


def _make_folder(folder: Path) -> Path:
    """The folder that is to become `folder` once all is in it."""
    if os.path.lexists(folder):
        raise ExportRefused(f"{folder} is there already: name a folder that isn't.")
    partial = folder.parent / f".{folder.name}.{secrets.token_hex(4)}.partial"
    try:
        for one in (partial, partial / "data", partial / "schema"):
            one.mkdir(_PRIVATE)
    except OSError as error:
        raise ExportRefused(f"{folder} can't be made: {error.strerror or error}.") from error
    return partial


class _WriteError(Exception):
    """The disk's fault, not the database's."""


class _File:
    """A file that is written piece by piece and hashed on the way."""

    def __init__(self, path: Path) -> None:
        self._hash = hashlib.sha256()
        self.size = 0
        try:
            self._file = _open_new(path)
        except OSError as error:
            raise _WriteError(error.strerror or str(error)) from error

    def write(self, piece: bytes) -> None:
        try:
            self._file.write(piece)
        except OSError as error:
            raise _WriteError(error.strerror or str(error)) from error
        self._hash.update(piece)
        self.size += len(piece)

    def close(self) -> str:
        """Make it durable; gives its hash."""
        try:
            with self._file:
                self._file.flush()
                os.fsync(self._file.fileno())
        except OSError as error:
            raise _WriteError(error.strerror or str(error)) from error
        return self._hash.hexdigest()


class _Export:
    """One export. `hashes` are those of its files."""

    def __init__(self, plugin: str, folder: Path, progress: Callable[[str], None]) -> None:
        self.plugin = plugin
        self.folder = folder
        self.progress = progress
        self.hashes: dict[str, str] = {}

    async def run(self, url: str, version: str) -> Manifest:
        with reaching(url):
            connection = await connect_as_owner(url, statement_timeout=0)
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                await write_alike(connection)
                return await self._export(connection, version)
        finally:
            await connection.close()

    async def _export(self, connection: Any, version: str) -> Manifest:
        migrations = await connection.fetch("SELECT name FROM migration WHERE app_name = $1 ORDER BY name", self.plugin)
        made = await made_by(connection, self.plugin)
        if not made and not migrations:
            raise PluginAbsent(f"Nothing of {self.plugin} is in the database: there is nothing to export.")
        tables = await data_tables(connection, made)
        await _hold(connection, tables)
        manifest = Manifest(
            format=FORMAT,
            plugin=self.plugin,
            version=version,
            pegboard=__version__,
            exported_at=now(),
            migrations=[row["name"] for row in migrations],
            tables=[await self._table(connection, one) for one in tables],
            sequences={
                one.identity: await connection.fetchval("SELECT pg_sequence_last_value($1::oid)", one.address[1])
                for one in made
                if one.kind == "sequence"
            },
            secrets=await secret_names(connection, self.plugin),
        )
        await asyncio.to_thread(self._write, MANIFEST, manifest)
        return manifest

    async def _table(self, connection: Any, table: SchemaObject) -> TableFile:
        schema = await read_schema(connection, table.identity, table.address[1])
        name = table.identity.removeprefix("public.")
        data, definition = table_files(name)
        await asyncio.to_thread(self._write, definition, schema)
        file = _File(self.folder / data)
        self.progress(f"exporting {name}")

        async def take(piece: bytes) -> None:
            told = file.size // TOLD_EVERY
            await asyncio.to_thread(file.write, piece)
            if file.size // TOLD_EVERY > told:
                self.progress(f"exporting {name}: {file.size // 2**20} MiB")

        rows = await copy_rows(connection, schema, take)
        self.hashes[data] = sha256 = await asyncio.to_thread(file.close)
        self.progress(f"exported {name}: {counted(rows, 'row')}, {counted(file.size, 'byte')}")
        return TableFile(
            table=name,
            rows=rows,
            bytes=file.size,
            file=data,
            sha256=sha256,
            schema=definition,
            schema_sha256=self.hashes[definition],
        )

    def _write(self, name: str, content: msgspec.Struct) -> None:
        file = _File(self.folder / name)
        file.write(file_content(content))
        self.hashes[name] = file.close()


async def _hold(connection: Any, tables: Sequence[SchemaObject]) -> None:
    """See that all rows can be seen, and that nobody changes or drops the tables meanwhile."""
    hidden = [row[0] for row in await connection.fetch(_HIDDEN, [one.address[1] for one in tables])]
    if hidden:
        raise ExportRefused(f"The policies of {', '.join(hidden)} hide rows from us: give pegboard_system all of them.")
    if tables:
        await connection.execute(f"LOCK TABLE {', '.join(one.identity for one in tables)} IN ACCESS SHARE MODE")


def table_files(name: str) -> tuple[str, str]:
    """Where a table's rows and its definition are, relative to the folder."""
    return f"data/{name}.ndjson", f"schema/{name}.json"


def file_content(content: msgspec.Struct) -> bytes:
    """What is written to a file of JSON."""
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"


def write_file(path: Path, content: bytes) -> None:
    """Put a file into an export's folder in one step, replacing what an earlier attempt left there.

    Raises:
        OSError: it can't be written.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    with _open_new(partial) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    _sync_folder(path.parent)


def _open_new(path: Path) -> BinaryIO:
    """A new file that nobody else may read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _finish(partial: Path, folder: Path) -> None:
    """Give the folder its name, once all in it is durable."""
    try:
        for one in (partial / "data", partial / "schema", partial):
            _sync_folder(one)
        partial.rename(folder)
        _sync_folder(folder.parent)
    except OSError as error:
        raise _WriteError(error.strerror or str(error)) from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
