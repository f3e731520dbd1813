"""The page on permissions."""

from collections.abc import Iterator

from pegboard.plugins.registry import LoadedPlugin
from pegboard.reference.markdown import cell, code, page, table
from pegboard.reference.subject import Subject

__all__ = ("permissions_page",)

_INTRODUCTION = """
A permission is named `<plugin>:<noun>.<verb>`; the kernel's own are in the namespaces `account` (one marketplace) and
`kernel` (the platform). Whoever lacks it gets 403, or 401 where nobody is logged in.

Everybody has the role `anonymous`, every account `member`. An `administrator` runs one marketplace and has all
permissions of its plugins; an `operator` runs the platform. `pegboard accounts grant` gives an account further roles.
"""


def permissions_page(subject: Subject) -> str:
    """Every permission by plugin, with the roles that get it."""
    return page("Permissions", _INTRODUCTION, _sections(subject))


def _sections(subject: Subject) -> Iterator[str]:
    for plugin in subject.plugins:
        if plugin.permissions:
            yield f"## {plugin.name}"
            yield table(("permission", "its holder may", "roles"), _rows(plugin, subject))


def _rows(plugin: LoadedPlugin, subject: Subject) -> Iterator[tuple[str, str, str]]:
    granted = subject.registry.role_permissions
    for permission in sorted(plugin.permissions, key=lambda one: one.name):
        roles = sorted(role for role, permissions in granted.items() if permission.name in permissions)
        yield code(permission.name), cell(permission.summary), ", ".join(roles) or "none"
