"""The three roles: *owner* runs migrations, *app* sees one tenant at a time, *system* sees all and is the kernel's own.

`bootstrap` makes them, with an administrator's connection; `check_roles` refuses to start where row-level security
would not bind the application.
"""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Collection, Sequence
from typing import Any

import asyncpg

from pegboard.database.reach import reaching
from pegboard.database.urls import APP, OWNER, SYSTEM, derive_password

__all__ = ("MINIMUM_VERSION", "DatabaseSetupError", "bootstrap", "check_roles", "scram_verifier")

MINIMUM_VERSION = 15
BOOTSTRAP_LOCK = 7_306_086_921_600_001
ITERATIONS = 4096
# What processes that make the roles at once may see: roles are the whole server's, an advisory lock one database's.
RACES = ("23505", "42710", "XX000", "40P01")
ATTEMPTS = 8


class DatabaseSetupError(Exception):
    """The database is not set up in a way that Pegboard can run on; the message says what to change."""


def scram_verifier(master_key: bytes, role: str) -> str:
    """What PostgreSQL keeps of the role's derived password (RFC 5803): the password itself is never sent or logged.

    The salt follows from the master key too, so the verifier is the same each time and can be compared.
    """
    password = derive_password(master_key, role).encode()
    salt = hmac.digest(master_key, f"postgres-salt:{role}".encode(), "sha256")[:16]
    salted = hashlib.pbkdf2_hmac("sha256", password, salt, ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    encoded = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${ITERATIONS}:{encoded[0]}${encoded[1]}:{encoded[2]}"


async def bootstrap(admin_url: str, master_key: bytes, *, derived: Collection[str] = (OWNER, APP, SYSTEM)) -> None:
    """Make the three roles and give them what they need in this database. Where all is in place, nothing happens.

    `admin_url` is a superuser's, or that of a role with CREATEROLE that owns the database; where it is the owner's own,
    the roles must be there already. `derived` are the roles whose passwords follow from `master_key`: those of others
    are left as they are.

    Raises:
        DatabaseSetupError: the server is too old, or the connection may not do what is missing.
        OSError, asyncpg.PostgresError: the server can't be reached or refuses us.
    """
    with reaching(admin_url):
        connection = await asyncpg.connect(admin_url, server_settings={"application_name": "pegboard:bootstrap"})
    try:
        version = connection.get_server_version().major
        if version < MINIMUM_VERSION:
            raise DatabaseSetupError(f"PostgreSQL {version} is too old: {MINIMUM_VERSION} or newer is needed.")
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with connection.transaction():
                    await connection.execute("SELECT pg_advisory_xact_lock($1)", BOOTSTRAP_LOCK)
                    await _Bootstrap(connection, version, master_key, derived).run()
                return
            except asyncpg.InsufficientPrivilegeError as error:
                raise _may_not(str(error)) from error
            except asyncpg.PostgresError as error:
                if getattr(error, "sqlstate", None) not in RACES or attempt == ATTEMPTS:
                    raise
                await asyncio.sleep(0.05 * attempt)
    finally:
        await connection.close()


class _Bootstrap:
    """One attempt, in a transaction."""

    def __init__(
        self, connection: asyncpg.Connection, version: int, master_key: bytes, derived: Collection[str]
    ) -> None:
        self.connection = connection
        self.version = version
        self.master_key = master_key
        self.derived = derived

    async def run(self) -> None:
        me = await self.connection.fetchrow(
            "SELECT rolname, rolsuper, rolcreaterole, quote_ident(rolname) AS quoted,"
            " quote_ident(current_database()) AS database FROM pg_roles WHERE rolname = current_user"
        )
        assert me is not None
        roles = await self.connection.fetch(
            "SELECT rolname, rolsuper OR rolbypassrls AS strong FROM pg_roles WHERE rolname = ANY($1)",
            [OWNER, APP, SYSTEM],
        )
        for role in roles:
            if role["strong"]:
                raise DatabaseSetupError(
                    f"The role {role['rolname']} is a superuser or has BYPASSRLS, so row-level security would not bind"
                    f" it: ALTER ROLE {role['rolname']} NOSUPERUSER NOBYPASSRLS."
                )
        existing = {role["rolname"] for role in roles}
        may_make = me["rolsuper"] or me["rolcreaterole"]
        if may_make:
            await self._make_roles(me, existing)
        elif len(existing) < 3:
            missing = sorted({OWNER, APP, SYSTEM} - existing)
            raise _may_not(f"missing roles: {', '.join(missing)}")
        statements = await self._missing(me)
        if statements and not may_make:
            raise _may_not("missing: " + "; ".join(statements))
        for statement in statements:
            await self.connection.execute(statement)

    async def _make_roles(self, me: Any, existing: set[str]) -> None:
        verifiers: dict[str, str | None] = {}
        if me["rolsuper"]:
            rows = await self.connection.fetch(
                "SELECT rolname, rolpassword FROM pg_authid WHERE rolname = ANY($1)", list(existing)
            )
            verifiers = {row["rolname"]: row["rolpassword"] for row in rows}
        for name in (OWNER, APP, SYSTEM):
            verifier = scram_verifier(self.master_key, name)
            password = f" PASSWORD '{verifier}'" if name in self.derived and name != me["rolname"] else ""
            if name not in existing:
                # The rest are PostgreSQL's defaults: no superuser, no BYPASSRLS, no CREATEDB, no CREATEROLE.
                await self.connection.execute(f"CREATE ROLE {name} LOGIN{password}")
            elif password and verifiers.get(name) != verifier:
                await self.connection.execute(f"ALTER ROLE {name} LOGIN{password}")

    async def _missing(self, me: Any) -> list[str]:
        """The statements for what is missing of memberships, and of privileges in this database."""
        become = "SET" if self.version >= 16 else "MEMBER"
        row = await self.connection.fetchrow(
            f"""
            SELECT NOT pg_has_role($1, $3, 'USAGE') AS system_for_owner,
                   NOT pg_has_role(current_user, $1, '{become}') AS owner_for_me,
                   NOT (has_database_privilege($1, d, 'CREATE') AND has_database_privilege($1, d, 'CONNECT')
                        AND has_database_privilege($1, d, 'TEMPORARY') AND has_database_privilege($3, d, 'TEMPORARY')
                        AND has_database_privilege($2, d, 'CONNECT') AND has_database_privilege($3, d, 'CONNECT'))
                       AS on_database,
                   NOT (has_schema_privilege($1, 'public', 'CREATE') AND has_schema_privilege($1, 'public', 'USAGE')
                        AND has_schema_privilege($2, 'public', 'USAGE')
                        AND has_schema_privilege($3, 'public', 'CREATE')
                        AND has_schema_privilege($3, 'public', 'USAGE'))
                       AS on_schema,
                   has_schema_privilege($2, 'public', 'CREATE') AS open_schema,
                   has_database_privilege($2, d, 'TEMPORARY') AS open_database
            FROM current_database() AS d
            """,  # noqa: S608  # `become` is one of two words
            OWNER,
            APP,
            SYSTEM,
        )
        assert row is not None
        database = me["database"]
        statements = {
            "system_for_owner": [f"GRANT {SYSTEM} TO {OWNER}"],
            "owner_for_me": [f"GRANT {OWNER} TO {me['quoted']}"],
            "on_database": [
                f"GRANT CREATE, CONNECT, TEMPORARY ON DATABASE {database} TO {OWNER}",
                f"GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {SYSTEM}",
                f"GRANT CONNECT ON DATABASE {database} TO {APP}",
            ],
            "on_schema": [
                f"GRANT CREATE, USAGE ON SCHEMA public TO {OWNER}",
                # CREATE for *system*: PostgreSQL asks for it before a SECURITY DEFINER function is given to the role.
                f"GRANT CREATE, USAGE ON SCHEMA public TO {SYSTEM}",
                f"GRANT USAGE ON SCHEMA public TO {APP}",
            ],
            "open_schema": ["REVOKE CREATE ON SCHEMA public FROM PUBLIC"],
            # Who can make temporary tables can put them before ours in a function's search path.
            "open_database": [f"REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC"],
        }
        return [statement for key, needed in statements.items() if row[key] for statement in needed]


def _may_not(what: str) -> DatabaseSetupError:
    return DatabaseSetupError(
        f"The role of database.url may not set the database up ({what}). Run `pegboard migrate` once with an"
        f" administrator's URL, or let an administrator make the roles {OWNER}, {APP} and {SYSTEM}."
    )


async def check_roles(database: Any) -> None:
    """Refuse to run where row-level security would not bind the application. `database` has the pools `app`, `system`.

    Raises:
        DatabaseSetupError: *app* is a superuser, has BYPASSRLS, owns tables, may make some or may become a role that
            can; or *system* is not what its name says.
    """
    app = await database.app.fetchrow(
        """
        SELECT current_user::text AS name, rolsuper, rolbypassrls,
               has_schema_privilege(current_user, 'public', 'CREATE') AS may_create,
               EXISTS (SELECT FROM pg_roles r WHERE pg_has_role(current_user, r.oid, 'MEMBER')
                       AND (r.rolsuper OR r.rolbypassrls)) AS strong,
               (SELECT min(relname) FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f')
                AND pg_has_role(current_user, relowner, 'MEMBER')) AS owns,
               pg_has_role(current_user, $1, 'USAGE') AS is_app,
               pg_has_role(current_user, $2, 'MEMBER') AS is_system
        FROM pg_roles WHERE rolname = current_user
        """,
        APP,
        SYSTEM,
    )
    findings: Sequence[tuple[bool, str]] = (
        (app["rolsuper"], "it is a superuser"),
        (app["rolbypassrls"], "it has BYPASSRLS"),
        (app["strong"], "it may become a role that is a superuser or has BYPASSRLS"),
        (app["owns"] is not None, f"it owns tables ({app['owns']}), or may become their owner"),
        (app["is_system"], f"it is a member of {SYSTEM}"),
        (app["may_create"], "it may create tables in the schema public"),
        (not app["is_app"], f"it is not a member of {APP}"),
    )
    for found, why in findings:
        if found:
            raise DatabaseSetupError(
                f"The application connects to the database as {app['name']}, where row-level security would not hold:"
                f" {why}. Leave database.app_url empty, or name the role {APP} in it, as `pegboard migrate` makes it."
            )
    system = await database.system.fetchrow(
        "SELECT current_user::text AS name, pg_has_role(current_user, $1, 'USAGE') AS is_system", SYSTEM
    )
    if not system["is_system"]:
        raise DatabaseSetupError(
            f"database.system_url names the role {system['name']}, which is not a member of {SYSTEM}."
        )
