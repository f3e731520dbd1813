"""For commands that work on a platform's database, whether or not it runs."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import click
import msgspec
from pegboard_sdk.access import Principal
from pegboard_sdk.errors import DomainError, NotFound

from pegboard.cli import CommandError, CommandLine
from pegboard.config.model import Config
from pegboard.database.reach import explain
from pegboard.database.roles import DatabaseSetupError
from pegboard.runtime import Runtime
from pegboard.supervisor.runfile import attach
from pegboard.telemetry.logging import configure_logging
from pegboard.vault.errors import VaultError

__all__ = ("attached", "json_option", "open_runtime", "operator_of", "run", "tenant_option")

T = TypeVar("T")

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
tenant_option = click.option(
    "--tenant", metavar="SLUG", default="default", show_default=True, help="The marketplace, by its short name."
)


def run(work: Coroutine[Any, Any, T], *, runner: Callable[[Coroutine[Any, Any, T]], T] = asyncio.run) -> T:
    """Run a command's work, in the event loop that `runner` makes.

    Raises:
        CommandError: it can't be done; the message is one line.
    """
    try:
        return runner(work)
    except DomainError as error:
        raise CommandError(error.detail) from error
    except (DatabaseSetupError, VaultError, ValueError) as error:
        raise CommandError(str(error)) from error
    except asyncpg.UndefinedTableError as error:
        raise CommandError("the database isn't up to date: run `pegboard migrate` first") from error
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise CommandError(explain(error)) from error


def attached(cli: CommandLine) -> Config:
    """The configuration, filled in from the platform that runs; the log is kept to what commands don't say themselves.

    Raises:
        ConfigError: the configuration has a mistake.
        CommandError: it names no database, and no platform runs.
    """
    config = attach(cli.config())
    if not config.database.url:
        raise CommandError(
            f"no platform runs on {config.var}, and database.url is not set: start it with `pegboard up`"
        )
    configure_logging(msgspec.structs.replace(config.log, level="error"))
    return config


@asynccontextmanager
async def open_runtime(cli: CommandLine, *, plugins: bool = False) -> AsyncIterator[Runtime]:
    """The platform's databases and vault; `plugins` loads those that are on, for what they bring to the registry.

    Raises:
        ConfigError: the configuration has a mistake.
        CommandError: it names no database, and no platform runs.
    """
    config = attached(cli)
    runtime = await Runtime.open(config, pool_size=2)
    try:
        if plugins:
            from pegboard.plugins.preparation import load_to_look

            runtime.registry = await load_to_look(config, runtime.database)
        yield runtime
    finally:
        await runtime.close()


async def operator_of(runtime: Runtime, slug: str) -> Principal:
    """Who acts on the command line: the platform itself, in the tenant that `slug` names.

    Raises:
        NotFound: there is no such tenant.
    """
    async with runtime.database.system_transaction() as connection:
        tenant_id: UUID | None = await connection.fetchval("SELECT id FROM kernel_tenants WHERE slug = $1", slug)
    if tenant_id is None:
        raise NotFound(f"There is no tenant {slug}.")
    return Principal(kind="system", tenant_id=tenant_id)
