"""A plugin that does nothing wrong, beside which others do."""

from pegboard.plugins.registry import Registry

from tests.support.workshop import Workshop

__all__ = ("names", "only_good_is_on", "with_good")

GOOD = """
from pegboard_sdk import Permission, RoleGrant, hookimpl

@hookimpl
def permissions(context):
    return [Permission(f"{context.name}:thing.read", "read things")]

@hookimpl
def roles():
    return [RoleGrant("member", ["good:thing.read"])]
"""


def with_good(workshop: Workshop) -> None:
    workshop.add("good", GOOD, permissions={"good:thing.read": "read things"})


def names(registry: Registry) -> list[str]:
    return [plugin.name for plugin in registry.plugins]


def only_good_is_on(registry: Registry) -> None:
    assert names(registry) == ["kernel", "good"]
    assert registry.permissions_of(frozenset({"member"})) >= {"good:thing.read"}
