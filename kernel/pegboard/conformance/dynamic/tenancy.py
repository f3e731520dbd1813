"""One marketplace neither sees nor changes another's rows."""

import asyncpg
from pegboard_sdk.ids import new_id

from pegboard.conformance.dynamic.exercise import ROLES, endpoints, request
from pegboard.conformance.dynamic.payloads import Unbuildable
from pegboard.conformance.dynamic.rows import insert_row
from pegboard.conformance.dynamic.store import changes, connected, ids_of, snapshot
from pegboard.conformance.subject import Subject
from pegboard.database.migrate import migrate
from pegboard.database.tenancy import tenancy_problems

__all__ = ("check_tables_keep_tenants_apart", "check_tenancy_rules", "check_tenants_meet_nowhere")


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
    """A row of one tenant, put into each table, is neither seen nor changed nor removed by another tenant."""
    found: list[str] = []
    tenants = [await subject.kernel.tenant(), await subject.kernel.tenant()]
    async with connected(subject) as connection:
        for table in subject.tables:
            transaction = connection.transaction()
            await transaction.start()
            try:
                if not await insert_row(connection, table, tenants[0]):
                    continue
                await connection.execute("SET LOCAL session_replication_role = origin; SET LOCAL ROLE pegboard_app")
                await connection.execute(f"SET LOCAL application_name = 'pegboard:{tenants[1]}'")
                for statement, what in (
                    (f"SELECT count(*) FROM {table}", "sees"),  # noqa: S608  # a table's name
                    (f"WITH t AS (UPDATE {table} SET tenant_id = tenant_id RETURNING 1) SELECT count(*) FROM t",  # noqa: S608  # a table's name
                     "changes"),
                    (f"WITH t AS (DELETE FROM {table} RETURNING 1) SELECT count(*) FROM t", "removes"),  # noqa: S608  # a table's name
                ):  # fmt: skip
                    if await _count(connection, statement):
                        found.append(f"{table}: one tenant {what} another's rows")
            finally:
                await transaction.rollback()
    return found


async def _count(connection: asyncpg.Connection, statement: str) -> int:
    """How many rows a statement reaches; none where the application has no right to it."""
    attempt = connection.transaction()
    await attempt.start()
    try:
        return await connection.fetchval(statement) or 0
    except (asyncpg.InsufficientPrivilegeError, asyncpg.UndefinedColumnError):
        return 0
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
