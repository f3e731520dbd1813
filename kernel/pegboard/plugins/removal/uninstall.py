"""Uninstalling a plugin: its data are kept, exported or purged, and a signed receipt says so."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import structlog
from pegboard_sdk.access import Principal
from pegboard_sdk.ids import new_id

from pegboard.audit.writer import write_entry
from pegboard.config.model import Config
from pegboard.database.migrate import connect_as_owner, migration_lock
from pegboard.database.objects import DroppingFailed, SchemaObject, drop_objects, forget_objects, made_by
from pegboard.database.reach import reaching
from pegboard.identity.keys import KeyRing, SigningKey
from pegboard.plugins.discovery import discover
from pegboard.plugins.permissions import UNINSTALL
from pegboard.plugins.removal.errors import ExportRefused, PluginDataInUse
from pegboard.plugins.removal.export import data_tables, export_plugin, write_file
from pegboard.plugins.removal.footprint import Footprint, Package, package_of, read_footprint
from pegboard.plugins.removal.guards import refuse_while_on
from pegboard.plugins.removal.kernel_rows import remove_rows, remove_taxonomies
from pegboard.plugins.removal.receipts import Action, PluginReceipt, SignedReceipt, now, sign, signer_of, store_receipt
from pegboard.plugins.removal.tombstones import write_tombstones
from pegboard.runtime import Runtime

__all__ = ("Uninstaller",)

ATTEMPTS = 5
log = structlog.get_logger("pegboard.plugins")


def _silent(_: str) -> None:
    """Nobody is told how far it is."""


class Uninstaller:
    """Uninstalls one plugin, as `principal`. `config` is the configuration as it is written now.

    `progress` is told what is being done, in short texts.
    """

    def __init__(
        self,
        runtime: Runtime,
        config: Config,
        plugin: str,
        principal: Principal,
        *,
        request_id: str = "",
        progress: Callable[[str], None] = _silent,
    ) -> None:
        self.runtime = runtime
        self.config = config
        self.plugin = plugin
        self.principal = principal
        self.request_id = request_id or new_id().hex
        self.progress = progress
        self._url = runtime.database.urls.owner

    async def look(self) -> Footprint:
        """What the plugin has in the database; changes nothing.

        Raises:
            PluginStillOn: it, or one that needs it, is on.
            PluginAbsent: nothing of it is there.
        """
        package = await self._package()
        async with self._as_owner() as connection:
            await refuse_while_on(connection, self.config, self.plugin)
        # Counting may take long; nobody's toggle waits for it.
        async with self._as_owner() as connection:
            return await read_footprint(connection, self.plugin, package)

    async def keep(self) -> SignedReceipt:
        """Leave the data where they are, and say so.

        Raises:
            PluginStillOn, PluginAbsent: as in `look`.
        """
        return await self._leave("keep")

    async def export(self, folder: Path) -> SignedReceipt:
        """Write the data into `folder`, with the receipt beside them, and leave them where they are.

        Raises:
            PluginStillOn, PluginAbsent: as in `look`.
            ExportRefused: the folder is there or can't be written, or a table can't be read whole.
        """
        await self.look()
        package = await self._package()
        manifest, hashes = await export_plugin(
            self._url, self.plugin, folder, version=package.version, progress=self.progress
        )
        signed = await self._leave("export", hashes, {table.table: table.rows for table in manifest.tables})
        await self._write_beside(folder / "receipt.json", signed)
        return signed

    async def purge(self, exported: SignedReceipt | None = None, folder: Path | None = None) -> SignedReceipt:
        """Drop what the plugin's migrations made, and nothing else, with the kernel's rows that are its own.

        It is one transaction: all of it happens, receipt included, or nothing. With the receipt of an export, the rows
        must be as many as were exported; the receipt is then written beside it, in `folder`.

        Raises:
            PluginStillOn, PluginAbsent: as in `look`.
            PluginDataInUse: somebody uses a table, or something else needs what would go; it is named.
        """
        signing = await self._signing_key()
        package = await self._package()
        self.progress(f"purging {self.plugin}")
        signed = await self._purge_patiently(package, exported, signing)
        log.info("plugin.purged", plugin=self.plugin, receipt=str(signed.receipt.id))
        if folder is not None:
            await self._write_beside(folder / "purge-receipt.json", signed)
        return signed

    async def _purge_patiently(
        self, package: Package, exported: SignedReceipt | None, signing: SigningKey
    ) -> SignedReceipt:
        """Again, when a table's lock was not had in time."""
        attempt = 1
        while True:
            try:
                async with migration_lock(self._url) as connection, connection.transaction():
                    signed = sign(await self._purge(connection, package, exported), signing)
                    await self._record(connection, signed)
                return signed
            except DroppingFailed as error:
                raise PluginDataInUse(
                    f"{self.plugin} can't be purged, and nothing was: {'; '.join(error.obstacles)}."
                ) from error
            except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
                if attempt == ATTEMPTS:
                    raise PluginDataInUse(
                        f"A table was in use for too long, and nothing was purged ({error}): try again."
                    ) from error
                attempt += 1

    async def _purge(self, connection: Any, package: Package, exported: SignedReceipt | None) -> PluginReceipt:
        await refuse_while_on(connection, self.config, self.plugin)
        made = await made_by(connection, self.plugin)
        await _lock_tables(connection, made)
        found = await read_footprint(connection, self.plugin, package)
        if found.obstacles:
            raise DroppingFailed(found.obstacles)
        if exported is not None and dict(exported.receipt.tables) != dict(found.tables):
            raise PluginDataInUse(
                f"Rows of {self.plugin} came or went since the export, so nothing was purged: export again."
            )
        tombstones = await write_tombstones(connection, self.plugin)
        removed = await remove_rows(connection, self.plugin)
        await drop_objects(connection, made)
        removed |= await remove_taxonomies(connection, self.plugin)
        await forget_objects(connection, self.plugin)
        dropped: dict[str, list[str]] = {}
        for one in made:
            dropped.setdefault(one.kind, []).append(one.identity)
        return self._receipt(
            found,
            action="purge",
            tables=found.tables,
            dropped=dropped,
            removed=removed,
            tombstones=tombstones,
            files=exported.receipt.files if exported is not None else {},
        )

    async def _leave(
        self, action: Action, files: Mapping[str, str] | None = None, rows: Mapping[str, int] | None = None
    ) -> SignedReceipt:
        signing = await self._signing_key()
        package = await self._package()
        async with self._as_owner() as connection:
            await refuse_while_on(connection, self.config, self.plugin)
            found = await read_footprint(connection, self.plugin, package)
            signed = sign(self._receipt(found, action=action, files=files or {}, tables=rows or found.tables), signing)
            await self._record(connection, signed)
        return signed

    def _receipt(self, found: Footprint, **rest: Any) -> PluginReceipt:
        return PluginReceipt(
            id=new_id(),
            plugin=self.plugin,
            version=found.package.version,
            distribution=found.package.distribution,
            at=now(),
            by=signer_of(self.principal),
            migrations=found.migrations,
            secrets=found.secrets,
            **rest,
        )

    async def _record(self, connection: Any, signed: SignedReceipt) -> None:
        """The receipt and the audit entry: one is not without the other, nor without what they tell of."""
        await store_receipt(connection, signed)
        await write_entry(
            connection,
            self.principal,
            UNINSTALL,
            object_type="plugin",
            object_id=self.plugin,
            after={
                "action": signed.receipt.action,
                "receipt": signed.receipt.id,
                "rows": sum(signed.receipt.tables.values()),
                "tombstones": signed.receipt.tombstones,
            },
            request_id=self.request_id,
        )

    async def _write_beside(self, path: Path, signed: SignedReceipt) -> None:
        try:
            await asyncio.to_thread(write_file, path, signed.to_json())
        except OSError as error:
            raise ExportRefused(
                f"It is done, and {path} can't be written ({error.strerror or error}):"
                f" `pegboard plugins receipts {self.plugin} --json` prints the receipt."
            ) from error

    @asynccontextmanager
    async def _as_owner(self) -> AsyncIterator[asyncpg.Connection]:
        """A transaction as the owner of the tables."""
        with reaching(self._url):
            connection = await connect_as_owner(self._url)
        try:
            async with connection.transaction():
                yield connection
        finally:
            await connection.close()

    async def _package(self) -> Package:
        return package_of(await asyncio.to_thread(discover), self.plugin)

    async def _signing_key(self) -> SigningKey:
        keys = KeyRing(self.runtime.database, self.runtime.vault)
        await keys.load()
        return keys.signing


async def _lock_tables(connection: Any, made: Sequence[SchemaObject]) -> None:
    """Nobody reads or writes them from here on: what is counted is what goes."""
    tables = [one.identity for one in await data_tables(connection, made)]
    if tables:
        await connection.execute(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE")
