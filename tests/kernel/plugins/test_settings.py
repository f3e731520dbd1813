"""A plugin's settings: its hooks see them, and mistakes in them name the key."""

from collections.abc import Callable
from typing import Any

import pytest
from pegboard.plugins.registry import Registry

from tests.support.workshop import Workshop

Reasons = Callable[[Registry], dict[str, str]]

SETTINGS = (
    "import msgspec\nclass Settings(msgspec.Struct, frozen=True):\n    greeting: str = 'Hello'\n    times: int = 1\n"
)
USES_SETTINGS = """
from pegboard_sdk import hookimpl
from pegboard_sdk.health import HealthCheck
from PACKAGE.settings import Settings

@hookimpl
def health_checks(context):
    async def check(): return None
    return [HealthCheck(name=context.settings(Settings).greeting, check=check)]
"""


def test_hooks_see_the_plugins_settings(workshop: Workshop) -> None:
    workshop.add("greeter", USES_SETTINGS, settings="PACKAGE.settings:Settings", files={"settings.py": SETTINGS})
    registry = workshop.load(settings={"greeter": {"greeting": "Good day"}})

    assert [check.name for check in registry.plugins[1].health_checks] == ["Good day"]
    assert [type(settings).__name__ for settings in registry.settings.values()] == ["Settings"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"greetings": "Hi"}, "plugins.greeter.greetings: unknown key: did you mean greeting?"),
        ({"times": "twice"}, "plugins.greeter.times: expected a whole number, got text"),
    ],
)
def test_wrong_settings_name_the_key(
    workshop: Workshop, reasons: Reasons, settings: dict[str, Any], expected: str
) -> None:
    workshop.add("good")
    workshop.add("greeter", USES_SETTINGS, settings="PACKAGE.settings:Settings", files={"settings.py": SETTINGS})
    registry = workshop.load(settings={"greeter": settings})

    assert [plugin.name for plugin in registry.plugins] == ["kernel", "good"]
    assert expected in reasons(registry)["greeter"]


def test_settings_of_a_plugin_without_any_are_a_mistake(workshop: Workshop, reasons: Reasons) -> None:
    workshop.add("plain")

    assert (
        "plugins.plain.colour: the plugin has no settings"
        in reasons(workshop.load(settings={"plain": {"colour": "red"}}))["plain"]
    )


@pytest.mark.parametrize(
    ("struct", "expected"),
    [
        ("class Settings(msgspec.Struct): pass", "must be a frozen msgspec.Struct"),
        ("Settings = 1", "must be a frozen msgspec.Struct"),
        ("", "can't be imported: AttributeError"),
    ],
)
def test_settings_that_are_no_frozen_struct_are_refused(
    workshop: Workshop, reasons: Reasons, struct: str, expected: str
) -> None:
    workshop.add("greeter", settings="PACKAGE.settings:Settings", files={"settings.py": f"import msgspec\n{struct}\n"})

    assert expected in reasons(workshop.load())["greeter"]
