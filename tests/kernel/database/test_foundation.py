"""Row-level security as the first migration builds it: what the database itself lets a tenant see and do."""

from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pegboard.database.tenants import DEFAULT_TENANT
from pegboard.database.urls import APP, OWNER, SYSTEM, derive_url
from pegboard_sdk.database import protect_table
from pegboard_sdk.ids import new_id

Connection = asyncpg.Connection
ON_EACH_MAJOR = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)


async def _connect(url: str, role: str, master_key: bytes) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(derive_url(url, role, master_key))
    yield connection
    await connection.close()


@pytest.fixture
async def app(kernel_url: str, master_key: bytes) -> AsyncIterator[Connection]:
    async for connection in _connect(kernel_url, APP, master_key):
        yield connection


@pytest.fixture
async def owner(kernel_url: str, master_key: bytes) -> AsyncIterator[Connection]:
    """What it makes is there for the other roles, and removed afterwards."""
    async for connection in _connect(kernel_url, OWNER, master_key):
        yield connection
        await connection.execute("DROP TABLE IF EXISTS notes, t")


@pytest.fixture
async def system(kernel_url: str, master_key: bytes) -> AsyncIterator[Connection]:
    async for connection in _connect(kernel_url, SYSTEM, master_key):
        yield connection


async def become(connection: Connection, tenant: UUID) -> None:
    await connection.execute(f"SET application_name = 'pegboard:{tenant}'")


async def make_notes(
    owner: Connection, *, shared: bool = False, privileges: str = "SELECT, INSERT, UPDATE, DELETE"
) -> None:
    await owner.execute(
        f"""
        CREATE TABLE notes (
            tenant_id uuid {"" if shared else "NOT NULL"},
            id uuid PRIMARY KEY,
            text text NOT NULL DEFAULT '',
            updated_at timestamptz NOT NULL DEFAULT '2000-01-01'
        );
        CREATE INDEX notes_text ON notes (tenant_id, text);
        """
    )
    await owner.execute(protect_table("notes", privileges=privileges, shared=shared))


# Printable ASCII: PostgreSQL replaces everything else in application_name.
almost = st.sampled_from(
    [str(DEFAULT_TENANT), DEFAULT_TENANT.hex, f"{{{DEFAULT_TENANT}}}", str(DEFAULT_TENANT).upper()]
)
printable = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)
names = st.one_of(
    printable,
    printable.map("pegboard:".__add__),
    almost.map("pegboard:".__add__),
    st.text("0123456789abcdefABCDEF-{}:g ", min_size=30, max_size=40).map("pegboard:".__add__),
    st.tuples(st.integers(0, 44), st.characters(min_codepoint=32, max_codepoint=126)).map(
        lambda edit: f"pegboard:{DEFAULT_TENANT}"[: edit[0]] + edit[1] + f"pegboard:{DEFAULT_TENANT}"[edit[0] + 1 :]
    ),
)


@ON_EACH_MAJOR
@given(names)
@example("")
@example("pegboard:")
@example("pegboard:system")
@example(f"pegboard:{DEFAULT_TENANT} ")
@example(f" pegboard:{DEFAULT_TENANT}")
@example(f"PEGBOARD:{DEFAULT_TENANT}")
@example("pegboard:0000000-00000-7000-8000-000000000001")
async def test_whatever_is_not_exactly_a_tenant_is_none_and_never_an_error(app: Connection, name: str):
    await app.execute("SELECT set_config('application_name', $1, false)", name)
    expected = None
    text = name.removeprefix("pegboard:")
    if name.startswith("pegboard:") and len(text) == 36:
        try:
            expected = UUID(text) if str(UUID(text)) == text else None
        except ValueError:
            expected = None
    assert await app.fetchval("SELECT kernel_current_tenant()") == expected


@ON_EACH_MAJOR
@given(st.uuids())
async def test_every_uuid_is_a_tenant(app: Connection, tenant: UUID):
    await become(app, tenant)
    assert await app.fetchval("SELECT kernel_current_tenant()") == tenant


async def test_a_tenant_sees_itself_and_no_other(app: Connection, system: Connection):
    other = new_id()
    await system.execute("INSERT INTO kernel_tenants (id, slug, name) VALUES ($1, $2, 'Other')", other, other.hex)
    assert await app.fetch("SELECT id FROM kernel_tenants") == []
    for tenant in (DEFAULT_TENANT, other):
        await become(app, tenant)
        assert [row["id"] for row in await app.fetch("SELECT id FROM kernel_tenants")] == [tenant]
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app.execute("UPDATE kernel_tenants SET name = 'mine'")
    assert len(await system.fetch("SELECT FROM kernel_tenants")) >= 2


async def test_a_protected_table_shows_and_takes_only_the_tenants_rows(
    app: Connection, owner: Connection, system: Connection
):
    await make_notes(owner)
    mine, theirs = new_id(), new_id()
    await become(app, theirs)
    await app.execute("INSERT INTO notes (tenant_id, id, text) VALUES ($1, $2, 'theirs')", theirs, new_id())
    await become(app, mine)
    await app.execute("INSERT INTO notes (tenant_id, id, text) VALUES ($1, $2, 'mine')", mine, new_id())

    assert [row["text"] for row in await app.fetch("SELECT text FROM notes")] == ["mine"]
    assert await app.execute("UPDATE notes SET text = 'changed'") == "UPDATE 1"
    assert await app.execute("DELETE FROM notes WHERE text = 'theirs'") == "DELETE 0"
    for statement in (
        "INSERT INTO notes (tenant_id, id) VALUES ($1, gen_random_uuid())",
        "UPDATE notes SET tenant_id = $1",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await app.execute(statement, theirs)
    await app.execute("RESET application_name")
    assert await app.fetch("SELECT FROM notes") == []
    assert await system.fetchval("SELECT count(*) FROM notes") == 2


async def test_the_owner_is_bound_too_and_sees_all_as_a_member_of_system(owner: Connection):
    await make_notes(owner)
    assert await owner.fetchval("SELECT relforcerowsecurity FROM pg_class WHERE relname = 'notes'")
    await owner.execute("INSERT INTO notes (tenant_id, id) VALUES (gen_random_uuid(), gen_random_uuid())")
    assert await owner.fetchval("SELECT count(*) FROM notes") == 1
    await owner.execute("DROP POLICY system_access ON notes")
    assert await owner.fetchval("SELECT count(*) FROM notes") == 0


async def test_shared_rows_are_read_by_all_and_written_by_none(app: Connection, owner: Connection, system: Connection):
    await make_notes(owner, shared=True)
    tenant = new_id()
    await system.execute("INSERT INTO notes (tenant_id, id, text) VALUES (NULL, $1, 'shared')", new_id())
    await system.execute("INSERT INTO notes (tenant_id, id, text) VALUES ($1, $2, 'theirs')", new_id(), new_id())
    await become(app, tenant)
    await app.execute("INSERT INTO notes (tenant_id, id, text) VALUES ($1, $2, 'mine')", tenant, new_id())
    assert {row["text"] for row in await app.fetch("SELECT text FROM notes")} == {"shared", "mine"}
    assert await app.execute("UPDATE notes SET text = 'changed' WHERE text = 'shared'") == "UPDATE 0"
    assert await app.execute("DELETE FROM notes WHERE text = 'shared'") == "DELETE 0"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app.execute("INSERT INTO notes (tenant_id, id) VALUES (NULL, $1)", new_id())
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app.execute("UPDATE notes SET tenant_id = NULL")


@pytest.mark.parametrize(
    ("privileges", "refused"),
    [
        ("SELECT, INSERT", ("UPDATE notes SET text = ''", "DELETE FROM notes")),
        ("SELECT,INSERT, UPDATE (text)", ("UPDATE notes SET id = id", "DELETE FROM notes")),
        ("", ("SELECT FROM notes", "UPDATE notes SET text = ''", "DELETE FROM notes")),
    ],
)
async def test_the_application_gets_only_the_privileges_that_it_needs(
    app: Connection, owner: Connection, privileges: str, refused: tuple[str, ...]
):
    await make_notes(owner, privileges=privileges)
    await become(app, DEFAULT_TENANT)
    for statement in (*refused, "TRUNCATE notes"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
            await app.execute(statement)


@pytest.mark.parametrize(
    ("columns", "privileges", "shared", "reason"),
    [
        ("id uuid", "SELECT", False, "needs a column tenant_id"),
        ("tenant_id text NOT NULL", "SELECT", False, "needs a column tenant_id of type uuid"),
        ("tenant_id uuid", "SELECT", False, "must be NOT NULL"),
        ("tenant_id uuid NOT NULL", "SELECT", True, "must be allowed to be NULL"),
        ("tenant_id uuid NOT NULL", "SELECT; DROP TABLE t", False, "not a list of privileges"),
        ("tenant_id uuid NOT NULL", "TRUNCATE", False, "not a list of privileges"),
    ],
)
async def test_what_can_not_be_protected_is_refused(
    owner: Connection, columns: str, privileges: str, shared: bool, reason: str
):
    await owner.execute(f"CREATE TABLE t ({columns})")
    with pytest.raises(asyncpg.RaiseError, match=reason):
        await owner.execute(protect_table("t", privileges=privileges, shared=shared))


@pytest.mark.parametrize("name", ["", "a b", "a;b", "a'b", 'a"b', "a.b"])
def test_a_tables_name_is_a_name(name: str):
    with pytest.raises(ValueError, match="not a table name"):
        protect_table(name)


async def test_updated_at_follows_every_update_that_does_not_set_it(app: Connection, owner: Connection):
    await make_notes(owner)
    await become(app, DEFAULT_TENANT)
    await app.execute("INSERT INTO notes (tenant_id, id) VALUES ($1, $2)", DEFAULT_TENANT, new_id())
    await app.execute("UPDATE notes SET text = 'x'")
    assert await app.fetchval(
        "SELECT updated_at = (SELECT max(updated_at) FROM notes) AND updated_at > '2020-01-01' FROM notes"
    )
    await app.execute("UPDATE notes SET updated_at = '2010-01-01'")
    assert await app.fetchval("SELECT extract(year FROM updated_at)::int FROM notes") == 2010


async def test_nobody_else_may_call_the_kernels_functions(app: Connection, system: Connection):
    for connection in (app, system):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("SELECT kernel_protect_table('kernel_tenants', '')")


async def test_the_policy_asks_for_the_tenant_once_and_uses_the_tenants_index(app: Connection, owner: Connection):
    await make_notes(owner)
    await owner.execute(
        "INSERT INTO notes (tenant_id, id, text)"
        " SELECT md5((n % 100)::text)::uuid, gen_random_uuid(), n::text FROM generate_series(1, 20000) n; ANALYZE notes"
    )
    await app.execute("SELECT set_config('application_name', 'pegboard:' || md5('7')::uuid, false)")
    for query in ("SELECT * FROM notes ORDER BY text LIMIT 20", "SELECT count(*) FROM notes"):
        plan = "\n".join(row[0] for row in await app.fetch(f"EXPLAIN {query}"))
        assert "notes_text" in plan
        assert "Seq Scan" not in plan
        assert "Index Cond: (tenant_id = " in plan
    # Where no index helps, what is compared with each row must be a value, not a call.
    await app.execute("SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off")
    plan = "\n".join(row[0] for row in await app.fetch("EXPLAIN SELECT count(*) FROM notes"))
    assert "InitPlan" in plan
    filters = [line for line in plan.splitlines() if "Filter:" in line]
    assert filters
    assert not any("current_setting" in line or "kernel_current_tenant" in line for line in filters)
    assert await app.fetchval("SELECT count(*) FROM notes") == 200
