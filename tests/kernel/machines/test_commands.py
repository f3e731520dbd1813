"""`pegboard service-accounts` and `pegboard keys`, as somebody types them."""

import json
import re
from uuid import uuid4

from pegboard.machines.texts import MachineText

from tests.kernel.identity.test_commands import Pegboard, log_set_up_again, own_database, pegboard

__all__ = ("log_set_up_again", "own_database", "pegboard")

ACCOUNTS = "service-accounts"


def test_a_program_gets_an_account_and_a_key(pegboard: Pegboard) -> None:
    made = pegboard(ACCOUNTS, "create", "Warehouse", "--role", "administrator").stdout
    assert made.endswith(" Warehouse active administrator,member\n")
    assert pegboard(ACCOUNTS, "list").stdout == made
    again = pegboard(ACCOUNTS, "create", "warehouse", ok=False)
    assert "There is a service account warehouse already" in again.stderr
    shown = pegboard(ACCOUNTS, "key", "warehouse", "--label", "deploy", "--scope", "account:account.list").stdout
    line, secret = re.fullmatch(r"(.+)\nsecret (\S+)\n", shown).groups()  # type: ignore[union-attr]
    assert MachineText.parse(secret, "api_key") is not None
    listed = pegboard(ACCOUNTS, "keys", "Warehouse")
    assert listed.stdout == f"{line}\n"
    assert secret not in pegboard("audit", "list", "--json").output
    assert pegboard(ACCOUNTS, "revoke", "Warehouse", line.split()[0]).stdout == f"{line.split()[0]} revoked\n"
    assert json.loads(pegboard(ACCOUNTS, "keys", "Warehouse", "--json").stdout)["credentials"][0]["state"] == "revoked"
    client = pegboard(
        ACCOUNTS, "key", "Warehouse", "--label", "x", "--scope", "account:self.read", "--client-secret", "--json"
    )
    assert MachineText.parse(json.loads(client.stdout)["secret"], "client_secret") is not None


def test_what_can_not_be_done_is_one_line(pegboard: Pegboard) -> None:
    pegboard(ACCOUNTS, "create", "Small")
    for arguments, reason in (
        (("keys", "Nobody"), "There is no service account Nobody"),
        (("create", ""), "length >= 1"),
        (("key", "Small", "--label", "x", "--scope", "account:account.list"), "roles don't grant account:account.list"),
        (("key", "Small", "--label", "x", "--scope", "nonsense"), "$.scopes"),
        (("revoke", "Small", str(uuid4())), "There is no such credential"),
    ):
        refused = pegboard(ACCOUNTS, *arguments, ok=False)
        assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1), refused.output
        assert reason in refused.stderr


def test_signing_keys_are_listed_and_replaced(pegboard: Pegboard) -> None:
    first = pegboard("keys", "rotate", "--json").stdout
    assert [key["state"] for key in json.loads(first)["items"]] == ["next", "signing"]
    assert json.loads(pegboard("keys", "list", "--json").stdout) == json.loads(first)
    assert "is published already" in pegboard("keys", "rotate", ok=False).stderr
    lines = pegboard("keys", "rotate", "--compromised").stdout.splitlines()
    assert sorted(line.split()[1] for line in lines) == ["ended", "ended", "signing"]
