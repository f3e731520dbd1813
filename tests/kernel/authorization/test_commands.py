"""`pegboard authorization`, as somebody types it."""

import csv
import io
import json

import pytest
from pegboard_sdk.ids import new_id

from tests.kernel.identity.test_commands import Pegboard, log_set_up_again, pegboard
from tests.support.servers import TEMPLATE, create_database

__all__ = ("log_set_up_again", "pegboard")

REFUND = "finance:escrow.refund"


@pytest.fixture(scope="module")
async def own_database(postgres_url: str) -> str:
    """A migrated database for these commands, whose tenant is the default one."""
    return await create_database(postgres_url, f"pegboard_rights_{new_id().hex}", template=TEMPLATE)


def test_a_cell_is_changed_shown_and_changed_back(pegboard: Pegboard) -> None:
    assert "the plugins' defaults count" in pegboard("authorization", "matrix", "--edited").output
    off = pegboard("authorization", "set", "administrator", REFUND, "off", "--reason", "an audit").output
    assert off.startswith(f"administrator {REFUND} withdrawn by tenant at ")
    assert off.endswith("UTC: an audit\n")
    edited = json.loads(pegboard("authorization", "matrix", "--edited", "--json").output)
    assert [(one["role"], one["permission"], one["granted"]) for one in edited["grants"]] == [
        ("administrator", REFUND, False)
    ]
    rows = list(csv.DictReader(io.StringIO(pegboard("authorization", "matrix", "--csv").output)))
    assert [row["reason"] for row in rows if row["source"] == "tenant"] == ["an audit"]
    # No administrator could give it to anybody else now; whoever runs the platform can.
    given = pegboard("authorization", "set", "member", REFUND, "on", "--reason", "help", "--json").output
    assert json.loads(given) == {"role": "member", "permission": REFUND, "granted": True}
    pegboard("authorization", "set", "member", REFUND, "default", "--reason", "done")
    back = pegboard("authorization", "set", "administrator", REFUND, "default", "--reason", "done").output
    assert back == f"administrator {REFUND} granted by manifest\n"


def test_a_decision_is_explained(pegboard: Pegboard) -> None:
    pegboard("accounts", "create", "why@example.com", "--name", "Why", "--generate")
    said = pegboard("authorization", "explain", "why@example.com", REFUND).output.splitlines()
    assert said[0] == f"why@example.com may not use {REFUND}"
    assert f"  None of its roles (anonymous, member) grants {REFUND}." in said
    about = json.loads(
        pegboard(
            "authorization", "explain", "why@example.com", REFUND, "--object", "finance.escrow:nothing", "--json"
        ).output
    )
    assert about["object"]["why"] == "There is no such escrow."


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("set", "member", "kernel:job.read", "on", "--reason", "x"), "kernel:job.read is the platform operator's"),
        (("set", "nobody", REFUND, "on", "--reason", "x"), "There is no role nobody."),
        (("explain", "nobody@example.com", REFUND), "no such account"),
    ],
)
def test_what_can_not_be_done_is_one_line(pegboard: Pegboard, arguments: tuple[str, ...], told: str) -> None:
    result = pegboard("authorization", *arguments, ok=False)
    assert told in result.output
    assert result.output.startswith("pegboard: ")
    assert len(result.output.splitlines()) == 1
