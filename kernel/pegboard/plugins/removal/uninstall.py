"""Uninstalling a plugin: its data are kept, exported or purged, and a signed receipt says so."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import asyncpg
import structlog
from pegboard_sdk.access import Principal
from pegboard_sdk.errors import DomainError
from pegboard_sdk.ids import new_id

from pegboard.audit.writer import write_entry
from pegboard.config.model import Config
from pegboard.database.migrate import connect_as_owner, migration_lock
from pegboard.database.objects import DroppingFailed, SchemaObject, drop_objects, forget_objects, made_by
from pegboard.database.reach import reaching
from pegboard.identity.keys import KeyRing, SigningKey
from pegboard.plugins.discovery import discover
from pegboard.plugins.permissions import UNINSTALL
from pegboard.plugins.removal.comparison import compare_with_export
from pegboard.plugins.removal.errors import ExportRefused, PluginDataInUse
from pegboard.plugins.removal.export import data_tables, export_plugin, write_file
from pegboard.plugins.removal.footprint import Footprint, Package, migrations_of, package_of, read_footprint
from pegboard.plugins.removal.guards import refuse_while_jobs_run, refuse_while_on
from pegboard.plugins.removal.kernel_rows import remove_rows, remove_taxonomies
from pegboard.plugins.removal.receipts import Action, PluginReceipt, SignedReceipt, now, sign, signer_of, store_receipt
from pegboard.plugins.removal.tombstones import write_tombstones
from pegboard.plugins.removal.verification import PURGE_RECEIPT, RECEIPT, file_problems, verify
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

    async def look(self, *, while_on: bool = False) -> Footprint:
        """What the plugin has in the database; changes nothing. The rows of big tables are estimated.

        Raises:
            PluginStillOn: it, or one that needs it, is on, unless that is allowed by `while_on`.
            PluginAbsent: nothing of it is there.
        """
        if not while_on:
            await self._refuse_while_on()
        package = await self._package()
        async with self._as_owner() as connection:
            return await read_footprint(connection, self.plugin, package, exact=False)

    async def keep(self) -> SignedReceipt:
        """Leave the data where they are, and say so.

        Raises:
            PluginStillOn, PluginAbsent: as in `look`.
        """
        since = await self._refuse_while_on()
        package = await self._package()
        async with self._as_owner(isolation="repeatable_read") as connection:
            found = await read_footprint(connection, self.plugin, package, exact=True)
        return await self._leave("keep", found, since, tables=found.tables)

    async def export(self, folder: Path) -> SignedReceipt:
        """Write the data into `folder`, with the receipt beside them, and leave them where they are.

        Raises:
            PluginStillOn, PluginAbsent: as in `look`.
            ExportRefused: the folder is there or can't be written, or a table can't be read whole.
        """
        since = await self._refuse_while_on()
        package = await self._package()
        manifest, hashes = await export_plugin(
            self._url, self.plugin, folder, version=package.version, progress=self.progress
        )
        tables = {table.table: table.rows for table in manifest.tables}
        try:
            async with self._as_owner() as connection:
                found = await read_footprint(connection, self.plugin, package, exact=False)
            signed = await self._leave("export", found, since, tables=tables, files=hashes)
        except DomainError:
            # Refused, so without a receipt: what was written is no export. After other errors there may be one.
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            raise
        await self._write_beside(folder / RECEIPT, signed)
        return signed

    async def exported_before(self, folder: Path) -> SignedReceipt | None:
        """The receipt of an export that an earlier attempt finished in `folder`, for `purge` to go on with; None where
        there is no such folder.

        Raises:
            ExportRefused: the folder holds none, or not as it was exported.
        """
        if not await asyncio.to_thread(os.path.lexists, folder):
            return None
        try:
            found = await verify(KeyRing(self.runtime.database, self.runtime.vault), folder / RECEIPT)
        except (OSError, ValueError) as error:
            raise ExportRefused(
                f"{folder} is there already and holds no finished export: remove it, or name a folder that isn't there."
            ) from error
        if found.problems or found.signed is None:
            raise ExportRefused(f"{'; '.join(found.problems)}: export into another folder.")
        receipt = found.signed.receipt
        if (receipt.plugin, receipt.action) != (self.plugin, "export"):
            raise ExportRefused(f"{folder} holds an export of {receipt.plugin}: name a folder that isn't there.")
        return found.signed

    async def purge(self, exported: SignedReceipt | None = None, folder: Path | None = None) -> SignedReceipt:
        """Drop what the plugin's migrations made, and nothing else, with the kernel's rows that are its own.

        It is one transaction: all of it happens, receipt included, or nothing. With the receipt of an export in
        `folder`, what would go is compared with it, to the last character; the receipt is then written beside it.

        Raises:
            PluginStillOn, PluginAbsent: as in `look`.
            PluginDataInUse: somebody uses a table, something else needs what would go, or what would go isn't what
                was exported; it is named.
            ExportRefused: the export's files aren't as they were written.
        """
        if exported is not None and folder is not None:
            problems = await asyncio.to_thread(file_problems, folder, exported.receipt.files)
            if problems:
                raise ExportRefused(f"Nothing was purged: {'; '.join(problems)}. Export into another folder.")
        signing = await self._signing_key()
        package = await self._package()
        self.progress(f"purging {self.plugin}")
        signed = await self._purge_patiently(package, exported, signing)
        log.info("plugin.purged", plugin=self.plugin, receipt=str(signed.receipt.id))
        if folder is not None:
            await self._write_beside(folder / PURGE_RECEIPT, signed)
        return signed

    async def _purge_patiently(
        self, package: Package, exported: SignedReceipt | None, signing: SigningKey
    ) -> SignedReceipt:
        """Again, when a table's lock was not had in time."""
        attempt = 1
        while True:
            try:
                since = await self._refuse_while_on()
                # Big tables are counted and compared as long as it takes; waiting for locks is bounded.
                async with (
                    migration_lock(self._url, statement_timeout=0) as connection,
                    connection.transaction(),
                ):
                    signed = sign(await self._purge(connection, package, exported, since), signing)
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

    async def _purge(
        self, connection: Any, package: Package, exported: SignedReceipt | None, since: int
    ) -> PluginReceipt:
        made = await made_by(connection, self.plugin)
        tables = await data_tables(connection, made)
        await _lock_tables(connection, tables)
        found = await read_footprint(connection, self.plugin, package, exact=exported is None)
        if found.obstacles:
            raise DroppingFailed(found.obstacles)
        rows = found.tables
        if exported is not None:
            rows, changed = await compare_with_export(connection, tables, exported.receipt.files, self.progress)
            if changed:
                raise PluginDataInUse(
                    f"Data in {', '.join(changed)} changed since the export, so nothing was purged: export again, into"
                    " another folder."
                )
        await refuse_while_jobs_run(connection, self.plugin)
        tombstones = await write_tombstones(connection, self.plugin)
        removed = await remove_rows(connection, self.plugin)
        # From here on nobody's toggle goes on until all is done: what takes long has been done.
        await refuse_while_on(connection, self.config, self.plugin, since=since)
        await drop_objects(connection, made)
        removed |= await remove_taxonomies(connection, self.plugin)
        await forget_objects(connection, self.plugin)
        dropped: dict[str, list[str]] = {}
        for one in made:
            dropped.setdefault(one.kind, []).append(one.identity)
        return self._receipt(
            found,
            action="purge",
            tables=rows,
            dropped=dropped,
            removed=removed,
            tombstones=tombstones,
            files=exported.receipt.files if exported is not None else {},
        )

    async def _refuse_while_on(self) -> int:
        """Refuse at once; gives what `refuse_while_on` takes as `since` in the transaction that counts."""
        async with self._as_owner() as connection:
            return await refuse_while_on(connection, self.config, self.plugin)

    async def _leave(
        self,
        action: Action,
        found: Footprint,
        since: int,
        *,
        tables: Mapping[str, int],
        files: Mapping[str, str] | None = None,
    ) -> SignedReceipt:
        signed = sign(self._receipt(found, action=action, files=files or {}, tables=tables), await self._signing_key())
        async with self._as_owner() as connection:
            await refuse_while_on(connection, self.config, self.plugin, since=since)
            if await migrations_of(connection, self.plugin) != list(found.migrations):
                raise PluginDataInUse(f"Migrations of {self.plugin} were run meanwhile, or it was purged: try again.")
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
    async def _as_owner(
        self, *, isolation: Literal["read_committed", "repeatable_read"] = "read_committed"
    ) -> AsyncIterator[asyncpg.Connection]:
        """A transaction as the owner of the tables. Statements take the time that they take; locks are had or not."""
        with reaching(self._url):
            connection = await connect_as_owner(self._url, statement_timeout=0)
        try:
            async with connection.transaction(isolation=isolation):
                yield connection
        finally:
            await connection.close()

    async def _package(self) -> Package:
        return package_of(await asyncio.to_thread(discover), self.plugin)

    async def _signing_key(self) -> SigningKey:
        keys = KeyRing(self.runtime.database, self.runtime.vault)
        await keys.load()
        return keys.signing


async def _lock_tables(connection: Any, tables: Sequence[SchemaObject]) -> None:
    """Nobody reads or writes them from here on: what is counted is what goes."""
    if tables:
        await connection.execute(f"LOCK TABLE {', '.join(one.identity for one in tables)} IN ACCESS EXCLUSIVE MODE")
