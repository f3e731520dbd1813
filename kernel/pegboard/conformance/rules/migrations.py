"""Migrations: where they are, what they are called, and whether they can be undone."""

import ast
import re
from collections.abc import Iterator

from pegboard_sdk.hookspecs import PROJECT

from pegboard.conformance.project import Project
from pegboard.conformance.rule import Finding, Rule
from pegboard.conformance.source import Source
from pegboard.database.migrations import FILE_NAME

__all__ = ("RULES",)

_ID = re.compile(r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}:\d{6}$")


def _has_tables(project: Project) -> str | None:
    return None if project.manifest.capabilities.tables else "it has no tables"


def _present(project: Project) -> Iterator[Finding]:
    if not project.migration_sources:
        yield Finding(f"has tables and no migrations: none are in {project.package}/migrations")
    elif project.metadata.name != PROJECT and not _is_inside(project):
        yield Finding("has its migrations outside of its package: they are not installed with it")


def _is_inside(project: Project) -> bool:
    return project.migrations is not None and project.migrations.is_relative_to(project.folder)


def _named(project: Project) -> Iterator[Finding]:
    ids: dict[str, Source] = {}
    for source in project.migration_sources:
        if not FILE_NAME.match(source.path.stem) or not source.path.stem.startswith(f"{project.name}_"):
            yield Finding(f"must be named {project.name}_YYYY_MM_DD_NNNN.py", source.shown)
        number = _constant(source, "ID")
        if not _ID.match(number):
            yield Finding('needs ID = "YYYY-MM-DDTHH:MM:SS:ffffff"', source.shown)
        elif number in ids:
            yield Finding(f"has the ID of {ids[number].path.name}", source.shown)
        ids.setdefault(number, source)
        if not _constant(source, "DESCRIPTION"):
            yield Finding("needs DESCRIPTION, which says what it does", source.shown)


def _backwards(project: Project) -> Iterator[Finding]:
    for source in project.migration_sources:
        for node in source.nodes:
            if isinstance(node, ast.Call) and source.name_of(node.func).endswith("sql_migration"):
                given = {keyword.arg: keyword.value for keyword in node.keywords}
                backwards = given.get("backwards")
                if backwards is None or (isinstance(backwards, ast.Tuple | ast.List) and not backwards.elts):
                    yield Finding("can't be undone: `backwards` is empty", source.shown, node.lineno)


def _constant(source: Source, name: str) -> str:
    for node in source.tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            value, names = node.value.value, {target.id for target in node.targets if isinstance(target, ast.Name)}
            if name in names and isinstance(value, str):
                return value
    return ""


RULES = (
    Rule(
        id="migrations.present",
        tier="bronze",
        title="Its tables come by migrations that lie in its package",
        why="Migrations make the tables where the plugin is installed; what isn't in the package isn't there.",
        fix='Put them into <package>/migrations and say so: PiccoloApp(migrations="<package>:migrations").',
        needs="files",
        check=_present,
        applies=_has_tables,
    ),
    Rule(
        id="migrations.named",
        tier="bronze",
        title="Migrations are named <plugin>_<date>_<number>.py, with an ID of their own and a description",
        why="They run in the order of their IDs, once each; the kernel refuses others.",
        fix="Name them such as reviews_2026_11_24_0001.py, and set ID, VERSION and DESCRIPTION in each.",
        needs="files",
        check=_named,
    ),
    Rule(
        id="migrations.backwards",
        tier="silver",
        title="Each migration says how it is undone",
        why="Whoever goes back to an earlier version, or removes the plugin with its data, runs them backwards.",
        fix="Give sql_migration the statements that undo `forwards`, last first.",
        needs="files",
        check=_backwards,
    ),
)
