"""What people read."""

import ast
import re
from collections.abc import Iterator

from pegboard_sdk.manifest import MANIFEST_NAME

from pegboard.conformance.loaded import Loaded
from pegboard.conformance.project import Project
from pegboard.conformance.rule import Finding, Rule
from pegboard.conformance.source import Source

__all__ = ("RULES", "in_a_checkout")

_SHORTEST = 300


def in_a_checkout(subject: Project | Loaded) -> str | None:
    """These rules look at files that are not installed."""
    project = subject if isinstance(subject, Project) else subject.project
    return None if project.kind == "checkout" else "only its checkout has such files: check its folder"


def _readme(project: Project) -> Iterator[Finding]:
    if len(project.readme) < _SHORTEST:
        what = f"is only {len(project.readme)} characters long" if project.readme else "is missing"
        yield Finding(what, "README.md")


def _readme_names(loaded: Loaded) -> Iterator[Finding]:
    plugin, text = loaded.plugin, loaded.project.readme
    struct = type(plugin.settings) if plugin.settings is not None else None
    wanted = {
        "permission": [name.partition(":")[2] for name in plugin.manifest.permissions],
        "event": [name.partition(".")[2] for name in plugin.manifest.events],
        "job": [job.name.partition(".")[2] for job in plugin.jobs],
        "setting": struct.__struct_fields__ if struct is not None else (),
        "secret": [name.partition(".")[2] for name in plugin.manifest.capabilities.secrets],
    }
    for kind, names in wanted.items():
        for name in names:
            if not re.search(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9_])", text):
                yield Finding(f"does not name the {kind} {name}", "README.md")


def _changelog(project: Project) -> Iterator[Finding]:
    if project.document("changelog", "changes", "history", "news") is None:
        yield Finding("is missing", "CHANGELOG.md")


def _events(project: Project) -> Iterator[Finding]:
    for name, summary in project.manifest.events.items():
        if len(summary.split()) < 3:
            yield Finding(f"does not say when {name} happens", project.shown(project.folder / MANIFEST_NAME))


def _docstrings(project: Project) -> Iterator[Finding]:
    for source in project.sources:
        if source.tree.body and not ast.get_docstring(source.tree):
            yield Finding("has no docstring", source.shown, 1)
        for node in _public(source):
            if not ast.get_docstring(node):
                yield Finding(f"{node.name} has no docstring", source.shown, node.lineno)


def _public(source: Source) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    """Classes and functions that others may use: hooks, whose specifications say what they do, are not meant."""
    waiting: list[ast.stmt] = list(source.tree.body)
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            marks = {source.name_of(one.func if isinstance(one, ast.Call) else one) for one in node.decorator_list}
            if not any(mark.endswith((".hookimpl", "overload", "override")) for mark in marks):
                yield node
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            waiting += node.body


RULES = (
    Rule(
        id="documentation.readme",
        tier="silver",
        title="It has a README that says what it does",
        why="It is what people read before they install something.",
        fix="Write README.md: what it does, how to switch it on, its settings, permissions, events and jobs.",
        needs="files",
        check=_readme,
        applies=in_a_checkout,
    ),
    Rule(
        id="documentation.events",
        tier="silver",
        title="The manifest says of each event when it happens",
        why="Authors of other plugins decide by that sentence whether it is the event that they wait for.",
        fix='Write a sentence, such as "reviews.review_posted" = "Somebody reviewed an order.".',
        needs="files",
        check=_events,
    ),
    Rule(
        id="documentation.complete",
        tier="gold",
        title="The README names every setting, permission, event, job and secret",
        why="Whoever runs the platform looks for them there, before they look into code.",
        fix="Name each in README.md; a table does.",
        needs="import",
        check=_readme_names,
        applies=in_a_checkout,
    ),
    Rule(
        id="documentation.changelog",
        tier="gold",
        title="It has a changelog",
        why="Who upgrades wants to know what changes for them.",
        fix="Keep CHANGELOG.md: a section a version, a line a change, for users.",
        needs="files",
        check=_changelog,
        applies=in_a_checkout,
    ),
    Rule(
        id="documentation.docstrings",
        tier="gold",
        title="Modules, public classes and public functions have docstrings",
        why="The next maintainer should not need to work out again what a thing is for.",
        fix="Say what it does, shapes and units of what goes in and out, and which errors it raises. What is nobody's"
        " business begins with an underscore.",
        needs="files",
        check=_docstrings,
    ),
)
