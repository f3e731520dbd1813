"""One marketplace neither sees nor changes another's rows."""

from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
from pegboard_sdk.ids import new_id

from pegboard.conformance.dynamic.exercise import ROLES, endpoints, request
from pegboard.conformance.dynamic.payloads import Unbuildable
from pegboard.conformance.dynamic.rows import RowImpossible, insert_row
from pegboard.conformance.dynamic.store import changes, connected, ids_of, snapshot, tenant_tables
from pegboard.conformance.subject import Subject
from pegboard.database.migrate import migrate
from pegboard.database.tenancy import tenancy_problems

__all__ = (
    "check_everything_tried",
    "check_tables_keep_tenants_apart",
    "check_tenancy_rules",
    "check_tenants_meet_nowhere",
)

_OWNED = "SELECT count(*) FROM {table} WHERE tenant_id = $1"
_REACHES = {
    "sees": _OWNED,
    "changes": "WITH t AS (UPDATE {table} SET tenant_id = tenant_id WHERE tenant_id = $1 RETURNING 1)"
    " SELECT count(*) FROM t",
    "removes": "WITH t AS (DELETE FROM {table} WHERE tenant_id = $1 RETURNING 1) SELECT count(*) FROM t",
}
"""What one tenant might do to the rows of another."""


async def check_tenancy_rules(subject: Subject) -> list[str]:
    """Each table has forced row-level security with the kernel's policies, and its keys include `tenant_id`."""
    app = subject.plugin.app
    if app is None:
        return []
    async with subject.scratch() as url:
        connection = await asyncpg.connect(url)
        try:
            known = await tenancy_problems(connection)
            await migrate(url, [app])
            return [line for line in await tenancy_problems(connection) if line not in known]
        finally:
            await connection.close()


async def check_tables_keep_tenants_apart(subject: Subject) -> list[str]:
    """Rows of one tenant, in each table, are neither seen nor changed nor removed by another tenant.

    Rows that the plugin made itself are looked at where there are any, otherwise one is made up. A table without either
    is no finding here: `check_everything_tried` tells.
    """
    found: list[str] = []
    async for connection, table, owner, _ in _rows(subject):
        if owner is not None:
            found += [f"{table}: one tenant {what} another's rows" for what in await _reached(connection, table, owner)]
    return found


async def check_everything_tried(subject: Subject) -> list[str]:
    """Each table has a row to look at: the plugin made one, or one could be made up. Each endpoint could be called."""
    offer = f"in `examples` of {subject.package}/conformance.py"
    found = [
        f"{table} could not be checked: {why}; make a row {offer}"
        async for _, table, _, why in _rows(subject)
        if why is not None
    ]
    untried = (await subject.exercised()).untried
    return found + [
        f"{endpoint} could not be tried: nothing fits {why}; offer a body {offer}" for endpoint, why in untried
    ]


async def _rows(subject: Subject) -> AsyncIterator[tuple[asyncpg.Connection, str, UUID | None, str | None]]:
    """Each table, in a transaction in which it has rows of a tenant, with that tenant; or why it has none.

    What has no `tenant_id` is not gone into: other rules tell.
    """
    done = await subject.exercised()
    made_up = await subject.kernel.tenant()
    async with connected(subject) as connection:
        for table in await tenant_tables(connection, subject.tables):
            transaction = connection.transaction()
            await transaction.start()
            try:
                if await connection.fetchval(_OWNED.format(table=table), done.tenant):
                    yield connection, table, done.tenant, None
                    continue
                try:
                    await insert_row(connection, table, made_up)
                except RowImpossible as error:
                    yield connection, table, None, str(error)
                    continue
                yield connection, table, made_up, None
            finally:
                await transaction.rollback()


async def _reached(connection: asyncpg.Connection, table: str, owner: UUID) -> list[str]:
    """What another tenant than `owner` can do to the owner's rows."""
    await connection.execute("SET LOCAL session_replication_role = origin; SET LOCAL ROLE pegboard_app")
    await connection.execute(f"SET LOCAL application_name = 'pegboard:{new_id()}'")
    return [
        what for what, statement in _REACHES.items() if await _count(connection, statement.format(table=table), owner)
    ]


async def _count(connection: asyncpg.Connection, statement: str, owner: UUID) -> int:
    """How many rows a statement reaches; none where the application has no right to it, or a trigger refuses."""
    attempt = connection.transaction()
    await attempt.start()
    try:
        return await connection.fetchval(statement, owner) or 0
    except (asyncpg.InsufficientPrivilegeError, asyncpg.RaiseError):
        return 0
    except asyncpg.IntegrityConstraintViolationError:
        return 1  # only other rows that refer to it saved it
    finally:
        await attempt.rollback()


async def check_tenants_meet_nowhere(subject: Subject) -> list[str]:
    """No route shows another tenant's administrator anything of a tenant's, or lets them change it, even by its ids."""
    done = await subject.exercised()
    async with connected(subject) as connection:
        secrets = await ids_of(connection, subject.tables, done.tenant)
    before = await snapshot(subject, done.tenant)
    stranger = await subject.kernel.account(await subject.kernel.tenant(), roles=ROLES, name=new_id().hex)
    found: list[str] = []
    for endpoint in endpoints(subject):
        try:
            answer = await request(stranger.client, endpoint, done.ids)
        except Unbuildable:
            continue
        if answer is not None and answer.is_success:
            shown = sorted(
                one
                for one in secrets
                if one in answer.text
                and one not in str(answer.request.url) + (answer.request.content.decode(errors="replace"))
            )
            if shown:
                found.append(f"{endpoint} shows another tenant's administrator the row {shown[0]}")
        now = await snapshot(subject, done.tenant)
        found += [f"{endpoint} of another tenant's administrator changes {change}" for change in changes(before, now)]
        before = now
    return found
