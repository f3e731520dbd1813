"""What is going says so: when it is called, made or implemented, and names the version that it is gone from."""

import warnings
from collections.abc import Sequence

import msgspec
import pluggy
import pytest
from pegboard_sdk import hookspecs
from pegboard_sdk.deprecation import (
    Deprecation,
    PegboardDeprecationWarning,
    deprecated,
    deprecation_of,
    warn_deprecated,
)
from pegboard_sdk.hookspecs import hookimpl, hookspec

GOING = {"since": "1.4", "removal": "2.0", "use": "send_all"}


@deprecated(**GOING)
def send(message: str) -> str:
    """Send one."""
    return message


@deprecated(**GOING)
async def send_later(message: str) -> str:
    """Send one later."""
    return message


@deprecated(**GOING)
class Sender:
    """Sends."""

    def __init__(self, name: str) -> None:
        self.name = name


class OwnSender(Sender):
    """A plugin's."""


@deprecated(**GOING)
class Message(msgspec.Struct):
    """What is sent."""

    text: str = ""

    def __post_init__(self) -> None:
        warn_deprecated("Message", Deprecation(**GOING), stacklevel=2)


class Hooks:
    """Specifications of hooks."""

    @deprecated(**GOING)
    @hookspec
    def senders(self) -> Sequence[str]:  # type: ignore[empty-body]
        """Who sends."""


class Plugin:
    """Implements one."""

    @hookimpl
    def senders(self) -> Sequence[str]:
        return ("ours",)


def test_a_call_warns_where_it_is_and_does_what_it_did() -> None:
    with pytest.warns(
        PegboardDeprecationWarning, match=r"send is deprecated since version 1\.4 .* gone from 2\.0 on: use"
    ):
        assert send("hi") == "hi"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        send("hi")
    assert caught[0].filename == __file__
    assert (send.__name__, send.__doc__) == ("send", "Send one.")


async def test_an_async_one_does_too() -> None:
    with pytest.warns(PegboardDeprecationWarning, match="send_later"):
        assert await send_later("hi") == "hi"


def test_making_an_object_warns_of_a_subclass_s_too() -> None:
    with pytest.warns(PegboardDeprecationWarning, match="Sender"):
        assert Sender("a").name == "a"
    with pytest.warns(PegboardDeprecationWarning, match="Sender"):
        assert OwnSender("b").name == "b"
    with pytest.warns(PegboardDeprecationWarning, match="Message"):
        assert Message("hi").text == "hi"


def test_implementing_a_hook_warns_when_the_plugin_is_loaded() -> None:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(Hooks)
    with pytest.warns(PegboardDeprecationWarning, match="the hook senders is deprecated"):
        manager.register(Plugin())
    assert manager.hook.senders() == [("ours",)]


def test_whoever_runs_a_plugin_is_shown_it_by_default() -> None:
    assert issubclass(PegboardDeprecationWarning, FutureWarning)


def test_what_was_said_can_be_read() -> None:
    told = Deprecation("1.4", "2.0", "send_all")

    assert [deprecation_of(one) for one in (send, send_later, Sender, Message)] == [told] * 4
    assert deprecation_of(OwnSender) is None
    assert deprecation_of(Plugin) is None
