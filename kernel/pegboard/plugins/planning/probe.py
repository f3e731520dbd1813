"""Looks at what plugins would bring: imports their code and calls their hooks.

In a process that serves, that has to happen in another one: what is imported stays, and new code of a package that is
imported already can't be imported at all.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path

import msgspec

from pegboard.config.load import load_config
from pegboard.config.model import Config
from pegboard.database.migrations import MigrationError, load_migrations
from pegboard.plugins.errors import PluginUnusable
from pegboard.plugins.loading import load_in_time
from pegboard.plugins.planning.contract import Contract, contracts_of
from pegboard.plugins.wanted import with_plugins

__all__ = ("MigrationFile", "Probe", "Probed", "probe", "probe_apart")

SECONDS = 60.0
_SHOWN = 400


class MigrationFile(msgspec.Struct, frozen=True, kw_only=True):
    """A migration that an installed plugin has."""

    id: str
    description: str


class Probed(msgspec.Struct, frozen=True, kw_only=True):
    """What plugins bring, those that can't be on with the reasons, and the migrations that they have, by name."""

    contracts: Mapping[str, Contract]
    failed: Mapping[str, str]
    migrations: Mapping[str, Sequence[MigrationFile]]


Probe = Callable[[Config, Collection[str]], Awaitable[Probed]]
"""How code is looked at: `probe` or `probe_apart`."""


class _Request(msgspec.Struct, frozen=True):
    config: str
    plugins: list[str]
    path: list[str]


async def probe(config: Config, plugins: Collection[str]) -> Probed:
    """Look in this process, in a thread: for commands, which end soon. `plugins` are those that would be on."""
    return await asyncio.to_thread(_look, config, plugins)


async def probe_apart(config: Config, plugins: Collection[str]) -> Probed:
    """Look in a process of its own, as the configuration's file and this process's environment have it.

    Raises:
        PluginUnusable: it took too long, or the code ended the process.
    """
    request = msgspec.json.encode(_Request(config.path, sorted(plugins), sys.path))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(SECONDS):
            answer, said = await process.communicate(request)
    except TimeoutError as error:
        raise PluginUnusable(f"Importing {', '.join(sorted(plugins))} took more than {SECONDS:g} s.") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    try:
        return msgspec.json.decode(answer, type=Probed)
    except msgspec.DecodeError as error:
        last = said.decode(errors="replace").strip()[-_SHOWN:]
        raise PluginUnusable(
            f"The plugins' code ended the process that looked at it (status {process.returncode}): {last}"
        ) from error


def _look(config: Config, plugins: Collection[str]) -> Probed:
    # In safe mode, too, what is planned is for the time without it.
    wanted = msgspec.structs.replace(with_plugins(config, plugins), strict=False, safe_mode=False)
    registry = load_in_time(wanted)
    contracts = contracts_of(registry)
    failed = {one.name: one.reason for one in registry.skipped if one.name in plugins}
    migrations: dict[str, list[MigrationFile]] = {}
    for name, contract in contracts.items():
        if contract.migrations is None:
            continue
        try:
            migrations[name] = [
                MigrationFile(id=one.id, description=one.description)
                for one in load_migrations(name, contract.migrations)
            ]
        except MigrationError as error:
            failed[name] = f"its migrations can't be read: {error.reason}"
    return Probed(contracts=contracts, failed=failed, migrations=migrations)


def _main() -> None:
    # What plugins print while they are imported is not the answer.
    with os.fdopen(os.dup(1), "wb") as answer:
        os.dup2(2, 1)
        request = msgspec.json.decode(sys.stdin.buffer.read(), type=_Request)
        sys.path[:] = request.path
        answer.write(msgspec.json.encode(_look(load_config(Path(request.config)), request.plugins)))


if __name__ == "__main__":
    _main()
