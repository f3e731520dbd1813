"""Tables, as they are declared."""

import re
from collections.abc import Iterator

from pegboard.conformance.loaded import Loaded
from pegboard.conformance.project import Project
from pegboard.conformance.rule import Finding, Rule

__all__ = ("RULES",)

_FOREIGN_KEY = re.compile(r"\bREFERENCES\s+(?P<table>[a-z_]+)\s*(?:\([^)]*\))?(?P<rest>[^,;]*)", re.IGNORECASE)


def _has_tables(subject: Project | Loaded) -> str | None:
    manifest = subject.manifest if isinstance(subject, Project) else subject.plugin.manifest
    return None if manifest.capabilities.tables else "it has no tables"


def _columns(loaded: Loaded) -> Iterator[Finding | str]:
    for table in loaded.plugin.app.tables if loaded.plugin.app is not None else ():
        name = table._meta.tablename
        columns = {column._meta.db_column_name for column in table._meta.columns}
        yield from (
            f"the table {name} has no column {column}"
            for column in ("tenant_id", "created_at")
            if column not in columns
        )


def _brought(loaded: Loaded) -> Iterator[str]:
    app = loaded.plugin.app
    brought = {table._meta.tablename for table in app.tables} if app is not None else set()
    for name in sorted(set(loaded.plugin.manifest.capabilities.tables) - brought):
        yield f"the manifest has the table {name} and the piccolo_app hook does not bring it"


def _foreign_keys(project: Project) -> Iterator[Finding]:
    for source in project.migration_sources:
        for line, text in source.strings():
            for match in _FOREIGN_KEY.finditer(text):
                if "ON DELETE" not in match["rest"].upper() and "(" in text:
                    at = line + text[: match.start()].count("\n")
                    yield Finding(
                        f"does not say what happens to rows when what they refer to in {match['table']} is deleted",
                        source.shown,
                        at,
                    )


RULES = (
    Rule(
        id="tables.columns",
        tier="bronze",
        title="Every table has tenant_id and created_at",
        why="Row-level security keeps marketplaces apart by tenant_id; when a row came is what people ask first.",
        fix="Add the columns in a migration and to the Piccolo table.",
        needs="import",
        check=_columns,
        applies=_has_tables,
    ),
    Rule(
        id="tables.foreign_keys",
        tier="silver",
        title="Every foreign key says what happens when its target is deleted",
        why="Otherwise a deletion, also one that the law demands, fails at a place that nobody thought of.",
        fix="Write ON DELETE RESTRICT, CASCADE or SET NULL after REFERENCES.",
        needs="files",
        check=_foreign_keys,
        applies=_has_tables,
    ),
    Rule(
        id="tables.brought",
        tier="silver",
        title="The manifest names no table that the plugin doesn't bring",
        why="What the manifest names is what an uninstallation exports or drops, and what an administrator agrees to.",
        fix="Remove the name from capabilities.tables, or add the table to PiccoloApp.",
        needs="import",
        check=_brought,
    ),
)
