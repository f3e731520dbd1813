"""What people read."""

import ast
import importlib
import importlib.util
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

from pegboard_sdk.manifest import MANIFEST_NAME

from pegboard.conformance.loaded import Loaded
from pegboard.conformance.project import Project
from pegboard.conformance.rule import Finding, Rule
from pegboard.conformance.source import Source

__all__ = ("RULES", "in_a_checkout")

_SHORTEST = 300
SDK = "pegboard_sdk"


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
    path = project.document("changelog", "changes", "history", "news")
    if path is None:
        yield Finding("is missing", "CHANGELOG.md")
        return
    version = project.manifest.version
    # Not a part of another one: 1.0 is neither in 11.0 nor in 1.0.1 or 1.0rc1.
    named = re.compile(rf"(?<![\w.]){re.escape(version)}(?!\w|\.\w|\+)")
    if not any(named.search(re.sub(r"\bv(?=\d)", "", title)) for title in _titles(path)):
        yield Finding(f"has no section on version {version}, which the manifest says", project.shown(path))


def _titles(path: Path) -> Iterator[str]:
    """A document's section titles: of Markdown, and underlined ones as in reStructuredText."""
    before = ""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("#"):
            yield line
        elif before.strip() and re.fullmatch(r"([=\-~^*+])\1{2,}\s*", line):
            yield before
        before = line


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
    """Classes and functions that others may use. Not meant are hooks and what implements a method of the SDK: what they
    do is said there.
    """
    waiting: list[ast.stmt] = list(source.tree.body)
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            marks = {source.name_of(one.func if isinstance(one, ast.Call) else one) for one in node.decorator_list}
            if not any(mark.endswith((".hookimpl", "overload", "override")) for mark in marks):
                yield node
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            said = {name for base in node.bases for name in _said_by_the_sdk(source.name_of(base))}
            waiting += [one for one in node.body if getattr(one, "name", "") not in said]


def _said_by_the_sdk(name: str) -> Iterator[str]:
    """The methods of a class of the SDK, named by its dotted name, that have a docstring."""
    module, _, kind = name.rpartition(".")
    if module.partition(".")[0] == SDK and importlib.util.find_spec(module) is not None:
        members = vars(getattr(importlib.import_module(module), kind, object))
        yield from (one for one, member in members.items() if callable(member) and inspect.getdoc(member))


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
        title="It has a changelog that says what its version brings",
        why="Who upgrades wants to know what changes for them.",
        fix="Keep CHANGELOG.md: a section a version, with the manifest's in its title, and a line a change, for users.",
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
