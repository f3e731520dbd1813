"""A plugin whose code doesn't come back keeps nobody else from being loaded."""

import re

import pytest
from pegboard.config.errors import ConfigError
from pegboard.config.model import Config, IsolationConfig, PluginEntry
from pegboard.plugins.failure import Failure
from pegboard.plugins.loading import load_in_time
from pegboard.plugins.preparation import failures
from pegboard.plugins.registry import Registry

from tests.support.workshop import Workshop

HANG = "import threading\nthreading.Event().wait()\n"
HANG_IN_A_HOOK = (
    "import threading\nfrom pegboard_sdk import hookimpl\n@hookimpl\ndef jobs():\n    threading.Event().wait()\n"
)
LATE = (
    "its import and hooks took longer than 0.3 s, and as long again when it was tried once more (where it needs that "
    "time, set isolation.import_timeout)"
)


def load(workshop: Workshop, *, strict: bool = False) -> Registry:
    entries = {name: PluginEntry(name=name, enabled=True) for name in workshop.packages}
    return load_in_time(Config(strict=strict, plugins=entries, isolation=IsolationConfig(import_timeout=0.3)))


def names(registry: Registry) -> list[str]:
    return [plugin.name for plugin in registry.plugins]


@pytest.mark.parametrize("code", [HANG, HANG_IN_A_HOOK], ids=["import", "hook"])
def test_a_plugin_that_does_not_come_back_is_left_out_with_what_requires_it(workshop: Workshop, code: str) -> None:
    workshop.add("asleep", code)
    workshop.add("follower", requires={"asleep": ">=1"})
    workshop.add("well")

    registry = load(workshop)

    assert names(registry) == ["kernel", "well"]
    assert failures(registry) == {"asleep": Failure("import", LATE, "1.0.0")}
    (follower,) = [one for one in registry.skipped if one.name == "follower"]
    assert (follower.state, follower.reason) == ("failed", f"it requires asleep >=1, which is off: {LATE}")


def test_two_that_do_not_come_back_are_both_named(workshop: Workshop) -> None:
    workshop.add("asleep", HANG)
    workshop.add("dreaming", HANG_IN_A_HOOK)

    assert set(failures(load(workshop))) == {"asleep", "dreaming"}


@pytest.mark.parametrize("strict", [False, True])
def test_one_that_is_slow_and_not_stuck_is_there_at_its_second_try(workshop: Workshop, strict: bool) -> None:
    slow = workshop.add(
        "slow",
        "from PACKAGE.gate import opened\nopened.wait()\n",
        files={"gate.py": "import threading\n\nopened = threading.Event()\n"},
    )
    # Its turn comes once the other's first try is over.
    workshop.add("well", f"from {slow}.gate import opened\nopened.set()\n")

    registry = load(workshop, strict=strict)

    assert names(registry) == ["kernel", "slow", "well"]
    assert failures(registry) == {}


def test_strict_refuses_it(workshop: Workshop) -> None:
    workshop.add("asleep", HANG)

    with pytest.raises(ConfigError, match=re.escape(LATE)):
        load(workshop, strict=True)


def test_what_it_raises_is_still_its_own_failure(workshop: Workshop) -> None:
    workshop.add("interrupting", "raise KeyboardInterrupt")
    workshop.add("leaving", "raise SystemExit(3)")

    found = failures(load(workshop))

    assert {name: failure.cause for name, failure in found.items()} == {"interrupting": "import", "leaving": "import"}
