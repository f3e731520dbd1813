"""Permissions: who may do what."""

import ast
from collections.abc import Iterator

from pegboard.conformance.loaded import Loaded
from pegboard.conformance.project import Project
from pegboard.conformance.rule import Rule
from pegboard.plugins.routes import routes_of

__all__ = ("RULES",)


def _used(loaded: Loaded) -> Iterator[str]:
    routes = {route.permission for route in routes_of("", loaded.plugin.controllers)}
    for name in sorted(loaded.plugin.manifest.permissions):
        if name not in routes and not _is_asked_for(loaded.project, name):
            yield f"the permission {name} is asked for by no route and nowhere else in the code"


def _is_asked_for(project: Project, permission: str) -> bool:
    """Whether the code uses the permission's text, or the constant that holds it, other than to define and grant it."""
    for source in project.sources:
        defined: set[int] = set()
        constants: set[str] = set()
        for node in source.nodes:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and node.value.value == permission:
                constants |= {target.id for target in node.targets if isinstance(target, ast.Name)}
                defined.add(id(node.value))
            elif isinstance(node, ast.Call) and source.name_of(node.func).endswith(("Permission", "RoleGrant")):
                defined |= {id(inner) for inner in ast.walk(node)}
        if constants and any(_names(other.aliases, source.module, constants) for other in project.sources):
            return True
        for node in source.nodes:
            if id(node) not in defined and isinstance(node, ast.Constant) and node.value == permission:
                return True
    return False


def _names(aliases: dict[str, str], module: str, constants: set[str]) -> bool:
    return any(f"{module}.{constant}" in aliases.values() for constant in constants) or module in aliases.values()


RULES = (
    Rule(
        id="permissions.used",
        tier="silver",
        title="Each permission is asked for somewhere",
        why="Who grants a permission believes that it does something.",
        fix="Declare it on a route, check it with principal.may or principal.require, or remove it.",
        needs="import",
        check=_used,
    ),
)
