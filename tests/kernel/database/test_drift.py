"""Tables as the kernel and the plugins declare them, against what the migrations make."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from pegboard.config.load import load_config
from pegboard.database.drift import find_drift
from pegboard.database.migrate import migrate
from pegboard.database.roles import bootstrap
from pegboard.database.tables import kernel_app
from pegboard.database.tenancy import tenancy_problems
from pegboard.database.urls import OWNER, derive_url
from pegboard.plugins.manager import load_plugins
from pegboard_sdk.database import PiccoloApp
from piccolo.columns import UUID, BigInt, Boolean, Text, Timestamptz, Varchar
from piccolo.table import Table

from tests.kernel.database.conftest import make_database
from tests.support.servers import BUILT_IN


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> list[PiccoloApp]:
    """What the kernel and the built-in plugins declare."""
    file: Path = tmp_path_factory.mktemp("drift") / "plugins.toml"
    file.write_text("[pegboard]\nstrict = true\n" + "".join(f"[plugins.{name}]\nenabled = true\n" for name in BUILT_IN))
    registry = load_plugins(load_config(file, {}))
    return [kernel_app(), *(one.app for one in registry.plugins if one.app is not None and one.name != "kernel")]


@pytest.fixture(scope="module")
async def full_url(admin_url: str, numbers: Iterator[str], master_key: bytes, apps: list[PiccoloApp]) -> str:
    """A database with everybody's tables, on each major."""
    url = await make_database(admin_url, next(numbers))
    await bootstrap(url, master_key)
    assert (await migrate(url, apps)).failed == {}
    return url


@pytest.fixture
async def full(full_url: str, master_key: bytes) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(derive_url(full_url, OWNER, master_key))
    yield connection
    await connection.close()


async def test_what_is_declared_is_what_migrations_make(full: asyncpg.Connection, apps: list[PiccoloApp]):
    assert {app.name for app in apps} == {"kernel", *BUILT_IN}
    assert await find_drift(full, apps) == []


async def test_every_table_keeps_tenants_apart(full: asyncpg.Connection, apps: list[PiccoloApp]):
    assert await tenancy_problems(full) == []
    walked = await full.fetch("SELECT FROM pg_policy WHERE polname = 'tenant_isolation'")
    assert len(walked) > len(apps)


class DriftNote(Table, tablename="drift_notes"):
    """What the table below should be."""

    id = UUID(primary_key=True, default=None)
    text = Text(null=False, default=None)
    code = Varchar(length=8, null=True, default=None)
    amount = BigInt(null=False, default=0)
    at = Timestamptz(null=False, default=None)


MATCHING = "id uuid PRIMARY KEY, text text NOT NULL, code varchar(8), amount bigint NOT NULL, at timestamptz NOT NULL"


@pytest.mark.parametrize(
    ("columns", "finding"),
    [
        (MATCHING, None),
        (MATCHING.replace("text text", "title text"), "drift_notes.text: declared, and not in the database"),
        (MATCHING + ", twice bigint GENERATED ALWAYS AS (amount * 2) STORED", None),
        (MATCHING + ", more int", "drift_notes.more: in the database, and not declared"),
        (
            MATCHING.replace("varchar(8)", "varchar(9)"),
            "drift_notes.code: declared character varying(8) NULL, in the data",
        ),
        (
            MATCHING.replace("bigint", "integer"),
            "drift_notes.amount: declared bigint NOT NULL, in the database integer",
        ),
        (
            MATCHING.replace("at timestamptz", "at timestamp"),
            "drift_notes.at: declared timestamp with time zone NOT NULL",
        ),
        (
            MATCHING.replace("text NOT NULL", "text"),
            "drift_notes.text: declared text NOT NULL, in the database text NULL",
        ),
        (
            MATCHING.replace("(8)", "(8) NOT NULL"),
            "drift_notes.code: declared character varying(8) NULL, in the database",
        ),
    ],
)
async def test_drift_is_found_in_both_directions(owner: asyncpg.Connection, columns: str, finding: str | None):
    app = PiccoloApp(name="drift", tables=[DriftNote])
    assert await find_drift(owner, [app]) == ["drift_notes: declared by DriftNote, and no migration makes it"]
    await owner.execute(f"CREATE TABLE drift_notes ({columns})")
    found = await find_drift(owner, [app])
    if finding is None:
        assert found == []
    else:
        assert any(line.startswith(finding) for line in found), found


async def test_a_table_that_nobody_declares_is_found_by_its_prefix(owner: asyncpg.Connection):
    await owner.execute("CREATE TABLE drift_more (); CREATE TABLE drift_more_still (); CREATE TABLE somebody_elses ()")
    apps = [PiccoloApp(name="drift", tables=[]), PiccoloApp(name="drift_more", tables=[])]
    assert await find_drift(owner, apps) == [
        "drift_more: in the database, and drift does not declare it",
        "drift_more_still: in the database, and drift_more does not declare it",
    ]


async def test_a_table_is_named_after_its_app(owner: asyncpg.Connection):
    class Loose(Table, tablename="loose"):
        """Not named after its app."""

        id = UUID(primary_key=True, default=None)
        on = Boolean(null=False, default=False)

    await owner.execute('CREATE TABLE loose (id uuid PRIMARY KEY, "on" boolean NOT NULL)')
    found = await find_drift(owner, [PiccoloApp(name="drift", tables=[Loose])])
    assert found == ["loose: a table of drift must be named drift_…"]


GOOD = "CREATE TABLE t (tenant_id uuid NOT NULL, id uuid PRIMARY KEY, n int, UNIQUE (tenant_id, id));"
PROTECT = "SELECT kernel_protect_table('t', 'SELECT');"
DEFINER = (
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER {} AS 'SELECT 1'; ALTER FUNCTION f() OWNER TO {};"
)


@pytest.mark.parametrize(
    ("statements", "problem"),
    [
        (GOOD + PROTECT, None),
        (GOOD, "t: has a tenant_id, and row-level security is not forced"),
        (
            GOOD + PROTECT + "ALTER TABLE t NO FORCE ROW LEVEL SECURITY",
            "t: has a tenant_id, and row-level security is not",
        ),
        (GOOD + PROTECT + "DROP POLICY system_access ON t", "t: lacks the policy system_access"),
        (GOOD + PROTECT + "ALTER POLICY tenant_isolation ON t USING (true)", "t: lacks the policy tenant_isolation"),
        (GOOD + PROTECT + "ALTER POLICY tenant_isolation ON t TO PUBLIC", "t: lacks the policy tenant_isolation"),
        (
            GOOD + PROTECT + "ALTER POLICY tenant_isolation ON t USING (tenant_id = kernel_current_tenant())",
            "t: lacks the policy tenant_isolation",
        ),
        (GOOD + PROTECT + "CREATE POLICY p ON t FOR SELECT USING (n = 1)", "t: the policy p opens it wider"),
        (
            GOOD + PROTECT + "CREATE POLICY shared_rows ON t FOR SELECT USING (tenant_id IS NULL)",
            "t: the policy shared_rows",
        ),
        (GOOD + PROTECT + "ALTER TABLE t ADD UNIQUE (n)", "t: the unique index t_n_key does not include tenant_id"),
        (
            GOOD
            + PROTECT
            + "ALTER TABLE t ADD r uuid REFERENCES t (id); CREATE INDEX ON t (tenant_id, r); CREATE INDEX ON t (r)",
            "t: the foreign key t_r_fkey does not include tenant_id",
        ),
        (
            GOOD + PROTECT + "ALTER TABLE t ADD r uuid, ADD FOREIGN KEY (tenant_id, r) REFERENCES t (tenant_id, id)",
            "t: the foreign key t_tenant_id_r_fkey has no index",
        ),
        (
            "CREATE TABLE t (tenant_id uuid NOT NULL, id uuid PRIMARY KEY);" + PROTECT,
            None,
        ),
        (
            "CREATE TABLE t (n int); GRANT SELECT ON t TO pegboard_app",
            "t: has no tenant_id and no forced row-level security",
        ),
        (
            "CREATE TABLE t (n int); GRANT UPDATE (n) ON t TO pegboard_app",
            "t: has no tenant_id and no forced row-level",
        ),
        ("CREATE TABLE t (n int)", None),
        (GOOD + PROTECT + "ALTER TABLE t OWNER TO pegboard_system", "t: belongs to pegboard_system"),
        (
            GOOD + PROTECT + "CREATE VIEW v AS SELECT * FROM t; GRANT SELECT ON v TO pegboard_app",
            "v: a view that pegboard_app",
        ),
        (
            GOOD
            + PROTECT
            + "CREATE VIEW v WITH (security_invoker) AS SELECT * FROM t; GRANT SELECT ON v TO pegboard_app",
            None,
        ),
        (DEFINER.format("", "pegboard_system"), "f(): a SECURITY DEFINER function must"),
        (DEFINER.format("SET search_path = public", "pegboard_system"), "f(): a SECURITY DEFINER function must"),
        (
            DEFINER.format("SET search_path = public, pg_temp", "pegboard_owner"),
            "f(): a SECURITY DEFINER function must",
        ),
        (DEFINER.format("SET search_path = public, pg_temp", "pegboard_system"), None),
        (
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; GRANT EXECUTE ON FUNCTION f() TO PUBLIC",
            "f(): PUBLIC",
        ),
    ],
)
async def test_what_would_mix_tenants_up_is_found(owner: asyncpg.Connection, statements: str, problem: str | None):
    known = await tenancy_problems(owner)
    await owner.execute(statements)
    found = [line for line in await tenancy_problems(owner) if line not in known]
    if problem is None:
        assert found == []
    else:
        assert [line for line in found if line.startswith(problem)], found
