"""Plugins that do little, by the dozen: what a plugin costs those that don't use it."""

from pathlib import Path

__all__ = ("write_trivial_plugins",)

MANIFEST = """name = "{name}"
summary = "A trivial plugin."
version = "1.0.0"
sdk = ">=1,<2"

[permissions]
"{name}:thing.read" = "read things"
"""
PLUGIN = '''"""A trivial plugin: a route, a permission, an event handler, a health check."""

import msgspec
from pegboard_sdk import EventHandler, Permission, RoleGrant, UnitOfWork, hookimpl
from pegboard_sdk.health import HealthCheck
from pegboard_sdk.http import Controller, get


class Thing(msgspec.Struct):
    name: str


class ThingController(Controller):
    path = "/things"

    @get("/{{number:int}}", permission="{name}:thing.read")
    async def read_thing(self, number: int, uow: UnitOfWork) -> Thing:
        """A thing."""
        return Thing(str(number))

    @get(permission="{name}:thing.read")
    async def list_things(self, uow: UnitOfWork) -> list[Thing]:
        """Things."""
        return [Thing(name) for name in await uow.fetch("SELECT 'a'")]


class Published(msgspec.Struct):
    gig_id: str


async def on_published(uow: UnitOfWork, event: Published) -> None:
    await uow.fetchval("SELECT 1")


async def well() -> str | None:
    return None


@hookimpl
def controllers():
    return [ThingController]


@hookimpl
def permissions():
    return [Permission("{name}:thing.read", "read things")]


@hookimpl
def roles():
    return [RoleGrant("member", ["{name}:thing.read"])]


@hookimpl
def event_handlers():
    return [EventHandler(event="creation_studio.gig_published", name="{name}", type=Published, handle=on_published)]


@hookimpl
def health_checks():
    return [HealthCheck(name="well", check=well)]
'''


def write_trivial_plugins(folder: Path, count: int) -> list[str]:
    """Write `count` installed distributions into `folder`, to be put on the path. Gives the plugins' names."""
    names = [f"trivial_{number:02d}" for number in range(count)]
    for name in names:
        package = folder / f"pegboard_{name}"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text('"""A trivial plugin."""\n')
        (package / "plugin.toml").write_text(MANIFEST.format(name=name))
        (package / "plugin.py").write_text(PLUGIN.format(name=name))
        metadata = folder / f"pegboard_{name}-1.0.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: pegboard-{name}\nVersion: 1.0.0\n")
        (metadata / "entry_points.txt").write_text(f"[pegboard.plugins]\n{name} = pegboard_{name}.plugin\n")
    return names
