"""A third party's plugin with two migrations that make a bit of everything."""

from pathlib import Path

from tests.support.workshop import Workshop

__all__ = ("FIRST", "SECOND", "install", "uninstall_package")

FIRST = '''
from pegboard_sdk.database import protect_table, sql_migration, system_function

ID = "2026-11-24T00:01:00:000000"
DESCRIPTION = "books and loans"

async def forwards():
    return sql_migration(app="shelves", id=ID, description=DESCRIPTION, forwards=(
        "CREATE TYPE shelves_binding AS ENUM ('paper', 'cloth')",
        "CREATE SEQUENCE shelves_numbers",
        """
        CREATE TABLE shelves_books (
            id uuid PRIMARY KEY,
            tenant_id uuid NOT NULL REFERENCES kernel_tenants (id) ON DELETE RESTRICT,
            number bigint NOT NULL DEFAULT nextval('shelves_numbers'),
            title text NOT NULL CHECK (title <> ''),
            binding shelves_binding,
            price numeric,
            published_at timestamptz,
            facts jsonb,
            notes json,
            cover bytea,
            tags text[],
            grid integer[],
            lent boolean,
            weight double precision,
            period interval,
            pages int4range,
            "odd ""name" text,
            length integer GENERATED ALWAYS AS (length(title)) STORED,
            updated_at timestamptz NOT NULL DEFAULT now(),
            UNIQUE (tenant_id, id)
        )
        """,
        "CREATE INDEX shelves_books_title ON shelves_books (tenant_id, title)",
        """
        CREATE TABLE shelves_loans (
            id uuid PRIMARY KEY,
            tenant_id uuid NOT NULL,
            book_id uuid NOT NULL,
            line integer GENERATED ALWAYS AS IDENTITY,
            UNIQUE (tenant_id, id),
            FOREIGN KEY (tenant_id, book_id) REFERENCES shelves_books (tenant_id, id) ON DELETE CASCADE
        )
        """,
        "CREATE INDEX shelves_loans_book ON shelves_loans (tenant_id, book_id)",
        """
        CREATE FUNCTION shelves_check() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$
        """,
        "CREATE TRIGGER shelves_books_check BEFORE INSERT ON shelves_books"
        " FOR EACH ROW EXECUTE FUNCTION shelves_check()",
        protect_table("shelves_books"),
        protect_table("shelves_loans"),
    ), backwards=("DROP TABLE shelves_loans, shelves_books", "DROP FUNCTION shelves_check()",
        "DROP SEQUENCE shelves_numbers", "DROP TYPE shelves_binding"))
'''

# What a later migration does: a rename, two tables that need each other, and more that stands on tables.
SECOND = '''
from pegboard_sdk.database import sql_migration, system_function

ID = "2026-11-24T00:02:00:000000"
DESCRIPTION = "renames, a view, a search function"

async def forwards():
    return sql_migration(app="shelves", id=ID, description=DESCRIPTION, forwards=(
        "ALTER TABLE shelves_loans RENAME TO shelves_lendings",
        "ALTER TABLE shelves_books ADD COLUMN last_lending_id uuid",
        "ALTER TABLE shelves_books ADD FOREIGN KEY (tenant_id, last_lending_id)"
        " REFERENCES shelves_lendings (tenant_id, id) ON DELETE SET NULL (last_lending_id)",
        "CREATE INDEX shelves_books_lending ON shelves_books (tenant_id, last_lending_id)",
        "CREATE VIEW shelves_titles WITH (security_invoker = true) AS SELECT tenant_id, title FROM shelves_books",
        """
        CREATE FUNCTION shelves_search(query text) RETURNS SETOF shelves_titles LANGUAGE sql STABLE
        BEGIN ATOMIC SELECT * FROM shelves_titles WHERE title = query; END
        """,
        system_function("shelves_search(text)"),
        "CREATE STATISTICS shelves_guess ON tenant_id, title FROM shelves_books",
    ), backwards=("DROP FUNCTION shelves_search(text)",))
'''

PLUGIN = """
from pegboard_sdk import Job, hookimpl
from pegboard_sdk.database import PiccoloApp
from pegboard_sdk.records import RecordType
from pegboard_sdk.taxonomies import Taxonomy, Term
from piccolo.columns import UUID
from piccolo.table import Table


class Book(Table, tablename="shelves_books"):
    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)


class Lending(Table, tablename="shelves_lendings"):
    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)


@hookimpl
def piccolo_app():
    return PiccoloApp(name="shelves", tables=(Book, Lending), migrations="PACKAGE:migrations")


@hookimpl
def record_types():
    return [RecordType(name="shelves.book", table="shelves_books", label="upper(title)", deleted="lent")]


@hookimpl
def taxonomies():
    return [Taxonomy(name="shelves_genres", title="Genres", terms=[Term("crime", "Crime"), Term("verse", "Verse")])]
"""


def install(workshop: Workshop) -> Path:
    """Install the package; gives its folder."""
    package = workshop.add("shelves", PLUGIN, tables=["shelves_books", "shelves_lendings"])
    folder = workshop.folder / package
    (folder / "migrations").mkdir()
    (folder / "migrations" / "shelves_2026_11_24_0001.py").write_text(FIRST)
    (folder / "migrations" / "shelves_2026_11_24_0002.py").write_text(SECOND)
    return folder


def uninstall_package(workshop: Workshop) -> None:
    """As pip does it."""
    package = workshop.packages["shelves"]
    (workshop.folder / f"{package}-1.0.0.dist-info" / "METADATA").unlink()
    (workshop.folder / f"{package}-1.0.0.dist-info" / "entry_points.txt").unlink()
    (workshop.folder / f"{package}-1.0.0.dist-info").rmdir()
