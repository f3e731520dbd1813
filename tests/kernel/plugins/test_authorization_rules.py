"""What plugins declare about authorization is judged when they are loaded."""

from collections.abc import Callable

import pytest
from pegboard.plugins.registry import Registry

from tests.support.workshop import Workshop

Reasons = Callable[[Registry], dict[str, str]]

NEEDS = """
import msgspec
from pegboard_sdk import *
from pegboard_sdk.authorization import *

class P(msgspec.Struct):
    id: int

async def run(*_): pass

@hookimpl
def permissions(): return [Permission('bad:thing.ask', 'ask'), Permission('bad:thing.answer', 'answer')]
"""

STATIC = "StaticSegregation(name={!r}, first={!r}, second={!r}, summary='Why.')"
DYNAMIC = "DynamicSegregation(name={!r}, object_type='bad.thing', first={!r}, second={!r}, summary='Why.')"


def rules(*written: str) -> str:
    return f"@hookimpl\ndef segregation_rules(): return [{', '.join(written)}]\n"


def kind(name: str = "bad.deed", permission: str = "bad:thing.answer", ttl: float = 60) -> str:
    return (
        "@hookimpl\ndef approval_kinds(): return [ApprovalKind("
        f"name={name!r}, summary='deeds', permission={permission!r}, payload=P, execute=run, ttl={ttl})]\n"
    )


GOOD = (
    rules(
        STATIC.format("bad.one", "asker", "bad:thing.answer"),
        DYNAMIC.format("bad.two", "bad:thing.ask", "bad:thing.answer"),
    )
    + "@hookimpl\ndef object_rules(): return [ObjectRule(object_type='bad.thing', judge=run)]\n"
    + kind()
)

WRONG = {
    "another's name": (
        rules(STATIC.format("good.one", "a", "b")),
        "the segregation rule 'good.one' must be named bad.<snake_case>",
    ),
    "a rule twice": (
        rules(STATIC.format("bad.one", "a", "b"), STATIC.format("bad.one", "a", "c")),
        "it brings the segregation rule bad.one twice",
    ),
    "one duty": (rules(STATIC.format("bad.one", "a", "a")), "the segregation rule bad.one keeps 'a' apart from itself"),
    "no duty's name": (rules(STATIC.format("bad.one", "a", "B!")), "names 'B!', which can't be a duty's name"),
    "a role that acts": (
        rules(DYNAMIC.format("bad.one", "asker", "bad:thing.answer")),
        "names 'asker', which can't be a duty's name",
    ),
    "a role of both": (
        rules(STATIC.format("bad.one", "bad:thing.ask", "bad:thing.answer"))
        + "@hookimpl\ndef roles(): return [RoleGrant('all', ['bad:thing.ask', 'bad:thing.answer'])]\n",
        "its role all holds both sides of its segregation rule bad.one",
    ),
    "another's object": (
        "@hookimpl\ndef object_rules(): return [ObjectRule(object_type='good.thing', judge=run)]\n",
        "the object rule 'good.thing' must be of an object type bad.<snake_case>",
    ),
    "another's kind": (kind("good.deed"), "the approval kind 'good.deed' must be named bad.<snake_case>"),
    "another's permission": (kind(permission="good:thing.read"), "which the manifest lacks"),
    "no time": (kind(ttl=0), "the approval kind bad.deed must stay open for longer than 0 s"),
}

MANIFEST = {"bad:thing.ask": "ask", "bad:thing.answer": "answer"}


def test_what_is_right_is_taken(workshop: Workshop, reasons: Reasons) -> None:
    workshop.add("bad", NEEDS + GOOD, permissions=MANIFEST)
    registry = workshop.load()

    assert reasons(registry) == {}
    assert {rule.name for rule in registry.segregation_rules} == {"bad.one", "bad.two"}
    assert registry.object_rules.keys() == {"bad.thing"}
    assert (registry.approval_kinds.keys(), registry.owners["bad.deed"]) == ({"bad.deed"}, "bad")


@pytest.mark.parametrize("mistake", WRONG)
def test_what_is_wrong_is_left_out_with_its_reason(workshop: Workshop, reasons: Reasons, mistake: str) -> None:
    code, expected = WRONG[mistake]
    workshop.add("bad", NEEDS + code, permissions=MANIFEST)

    assert expected in reasons(workshop.load())["bad"]
