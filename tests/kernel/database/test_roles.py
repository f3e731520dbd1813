import asyncio
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace

import asyncpg
import pytest
from pegboard.database.migrate import migrate
from pegboard.database.pool import Database
from pegboard.database.prepare import prepare
from pegboard.database.roles import DatabaseSetupError, bootstrap, check_roles, scram_verifier
from pegboard.database.urls import APP, OWNER, SYSTEM, derive_password, derive_url
from pegboard.runtime import Runtime
from pegboard_sdk.settings import Secret

from tests.kernel.database.conftest import make_config

ROLES = (OWNER, APP, SYSTEM)


@pytest.fixture
async def admin(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


@pytest.fixture
async def role(embedded: str, numbers: Iterator[str]) -> AsyncIterator[str]:
    """The name of a role that does not exist and is removed afterwards."""
    name = next(numbers)
    yield name
    connection = await asyncpg.connect(embedded)
    await connection.execute(f'DROP ROLE IF EXISTS "{name}"')
    await connection.close()


async def test_the_roles_can_log_in_with_their_derived_passwords_and_nothing_more(
    url: str, master_key: bytes, admin: asyncpg.Connection
):
    for name in ROLES:
        connection = await asyncpg.connect(derive_url(url, name, master_key))
        assert await connection.fetchval("SELECT current_user::text") == name
        await connection.close()
        attributes = await admin.fetchrow("SELECT * FROM pg_roles WHERE rolname = $1", name)
        assert attributes is not None
        assert not any(
            attributes[one] for one in ("rolsuper", "rolbypassrls", "rolcreatedb", "rolcreaterole", "rolreplication")
        )
    assert await admin.fetchval("SELECT pg_has_role($1, $2, 'USAGE')", OWNER, SYSTEM)
    assert not await admin.fetchval("SELECT pg_has_role($1, $2, 'MEMBER')", APP, SYSTEM)
    assert not await admin.fetchval("SELECT pg_has_role($1, $2, 'MEMBER')", SYSTEM, OWNER)


async def test_nobody_but_the_owner_and_system_makes_anything(url: str, master_key: bytes):
    connection = await asyncpg.connect(derive_url(url, APP, master_key))
    for statement in ("CREATE TABLE t ()", "CREATE TEMPORARY TABLE t ()", "CREATE SCHEMA s", f"SET ROLE {SYSTEM}"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    await connection.close()


async def test_doing_it_again_changes_nothing(url: str, master_key: bytes, admin: asyncpg.Connection):
    state = (
        "SELECT xmin::text, oid, NULL FROM pg_authid UNION ALL SELECT xmin::text, oid, nspacl::text FROM pg_namespace"
        " UNION ALL SELECT xmin::text, oid, datacl::text FROM pg_database ORDER BY 2"
    )
    before = await admin.fetch(state)
    await bootstrap(url, master_key)
    assert await admin.fetch(state) == before


async def test_many_processes_may_do_it_at_once(empty_url: str, master_key: bytes):
    await asyncio.gather(*(bootstrap(empty_url, master_key) for _ in range(6)))


async def test_a_password_that_no_longer_fits_is_set_again(url: str, master_key: bytes, admin: asyncpg.Connection):
    await admin.execute(f"ALTER ROLE {SYSTEM} PASSWORD 'something else'")
    try:
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(derive_url(url, SYSTEM, master_key))
    finally:
        await bootstrap(url, master_key)
    await (await asyncpg.connect(derive_url(url, SYSTEM, master_key))).close()


async def test_the_password_of_a_role_with_a_configured_url_is_left_alone(
    url: str, master_key: bytes, admin: asyncpg.Connection
):
    await admin.execute(f"ALTER ROLE {SYSTEM} PASSWORD 'chosen'")
    try:
        configured = derive_url(url, SYSTEM, master_key).replace(derive_password(master_key, SYSTEM), "chosen")
        await prepare(make_config(url, system_url=Secret(configured)), ())
        await (await asyncpg.connect(configured)).close()
    finally:
        await bootstrap(url, master_key)


async def test_the_password_itself_is_never_sent(master_key: bytes):
    for name in ROLES:
        assert derive_password(master_key, name) not in scram_verifier(master_key, name)


async def test_an_administrator_without_superuser_rights_is_enough(
    admin_url: str, empty_url: str, master_key: bytes, numbers: Iterator[str]
):
    """As managed PostgreSQL gives one: CREATEROLE, and the database is theirs."""
    name = next(numbers)
    admin = await asyncpg.connect(empty_url)
    await bootstrap(empty_url, master_key)  # the server may have them already: then CREATEROLE alone can't alter them
    await admin.execute(f"CREATE ROLE {name} LOGIN CREATEROLE PASSWORD 'pw'")
    for role in ROLES:
        await admin.execute(f"GRANT {role} TO {name} WITH ADMIN OPTION")
    database = await admin.fetchval("SELECT current_database()")
    await admin.execute(f"ALTER DATABASE {database} OWNER TO {name}")
    await admin.execute(f"REVOKE ALL ON DATABASE {database} FROM {OWNER}, {APP}, {SYSTEM}")
    url = _as(empty_url, name, "pw")
    try:
        await bootstrap(url, master_key)
        report = await migrate(url, ())
        assert report.applied
        assert (
            await admin.fetchval("SELECT relowner::regrole::text FROM pg_class WHERE relname = 'kernel_tenants'")
            == OWNER
        )
    finally:
        await admin.execute(f"ALTER DATABASE {database} OWNER TO CURRENT_USER")
        await admin.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")
        await admin.close()


def _as(url: str, user: str, password: str) -> str:
    host = url.partition("@")[2]
    return f"postgresql://{user}:{password}@{host}"


async def test_the_owner_itself_needs_no_administrator_once_all_is_there(url: str, master_key: bytes):
    owner = derive_url(url, OWNER, master_key)
    await bootstrap(owner, master_key)
    assert (await migrate(owner, ())).applied


async def test_who_may_not_set_up_is_told_what_is_missing(empty_url: str, master_key: bytes):
    await bootstrap(empty_url, master_key)
    admin = await asyncpg.connect(empty_url)
    await admin.execute(f"REVOKE ALL ON SCHEMA public FROM {OWNER}, {APP}, {SYSTEM}, PUBLIC")
    await admin.close()
    with pytest.raises(DatabaseSetupError, match=f"GRANT CREATE, USAGE ON SCHEMA public TO {OWNER}"):
        await bootstrap(derive_url(empty_url, OWNER, master_key), master_key)


async def test_the_derived_roles_are_refused_when_somebody_made_them_strong(
    url: str, master_key: bytes, admin: asyncpg.Connection
):
    await admin.execute(f"ALTER ROLE {APP} BYPASSRLS")
    try:
        with pytest.raises(DatabaseSetupError, match=f"ALTER ROLE {APP} NOSUPERUSER NOBYPASSRLS"):
            await bootstrap(url, master_key)
    finally:
        await admin.execute(f"ALTER ROLE {APP} NOBYPASSRLS")


async def _check(app: str, system: str) -> None:
    pools = [await asyncpg.create_pool(one, min_size=1, max_size=1) for one in (app, system)]
    try:
        await check_roles(SimpleNamespace(app=pools[0], system=pools[1]))
    finally:
        for pool in pools:
            await pool.close()


async def test_the_bootstrapped_roles_pass(probe_url: str):
    database = await Database.open(make_config(probe_url), pool_size=1)
    await check_roles(database)
    await database.close()


@pytest.mark.parametrize(
    ("statements", "why"),
    [
        ("ALTER ROLE {role} SUPERUSER", "it is a superuser"),
        ("ALTER ROLE {role} BYPASSRLS", "it has BYPASSRLS"),
        (
            "CREATE ROLE {role}_strong BYPASSRLS; GRANT {role}_strong TO {role}",
            "it may become a role that is a superuser",
        ),
        ("CREATE TABLE mine (); ALTER TABLE mine OWNER TO {role}", "it owns tables"),
        ("GRANT " + OWNER + " TO {role}", "it owns tables"),
        ("GRANT CREATE ON SCHEMA public TO {role}", "it may create tables"),
        ("GRANT " + SYSTEM + " TO {role}", f"it is a member of {SYSTEM}"),
        ("REVOKE " + APP + " FROM {role}", f"it is not a member of {APP}"),
    ],
)
async def test_an_app_role_that_policies_would_not_bind_is_refused(
    probe_url: str, master_key: bytes, role: str, statements: str, why: str
):
    admin = await asyncpg.connect(probe_url)
    await admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'pw' IN ROLE {APP}")
    try:
        await _check(_as(probe_url, role, "pw"), derive_url(probe_url, SYSTEM, master_key))
        await admin.execute(statements.format(role=role))
        with pytest.raises(DatabaseSetupError, match=why):
            await _check(_as(probe_url, role, "pw"), derive_url(probe_url, SYSTEM, master_key))
    finally:
        await admin.execute("DROP TABLE IF EXISTS mine")
        await admin.execute(f"REVOKE ALL ON SCHEMA public FROM {role}")
        await admin.execute(f"DROP ROLE IF EXISTS {role}_strong")
        await admin.close()


async def test_the_administrator_as_app_is_refused(probe_url: str, master_key: bytes):
    with pytest.raises(DatabaseSetupError, match="it is a superuser"):
        await _check(probe_url, derive_url(probe_url, SYSTEM, master_key))


async def test_no_process_starts_with_it(probe_url: str):
    with pytest.raises(DatabaseSetupError, match="it is a superuser"):
        await Runtime.open(make_config(probe_url, app_url=Secret(probe_url)))


async def test_app_as_system_is_refused(probe_url: str, master_key: bytes):
    app = derive_url(probe_url, APP, master_key)
    with pytest.raises(DatabaseSetupError, match="system_url"):
        await _check(app, app)
