"""`pegboard accounts`, `secrets` and `audit`, as somebody types them."""

import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import click.testing
import pytest
import structlog
from pegboard.cli import main, secrets
from pegboard.database.urls import DatabaseUrls
from pegboard.plugins.discovery import discover
from pegboard_sdk.ids import new_id

from tests.support.servers import MASTER_KEY, TEMPLATE, create_database, make_config

Pegboard = Callable[..., click.testing.Result]


@pytest.fixture(scope="module")
async def own_database(postgres_url: str) -> str:
    """A migrated database for commands, whose tenant is the default one."""
    return await create_database(postgres_url, f"pegboard_commands_{new_id().hex}", template=TEMPLATE)


@pytest.fixture
def log_set_up_again() -> Iterator[None]:
    """A command sets the process's log up, as is right where it is the process."""
    root = logging.getLogger()
    before = structlog.get_config(), root.handlers[:], root.level
    yield
    structlog.configure(**before[0])
    root.handlers[:] = before[1]
    root.setLevel(before[2])


@pytest.fixture
def pegboard(
    own_database: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log_set_up_again: None
) -> Pegboard:
    """Runs a command as in a shell: arguments, standard input; gives what it printed."""
    monkeypatch.setenv("PEGBOARD_DATABASE__URL", own_database)
    monkeypatch.setenv("PEGBOARD_REDIS__URL", redis_url)
    monkeypatch.setenv("PEGBOARD_SECRETS__MASTER_KEY", os.environ[MASTER_KEY])
    monkeypatch.setenv("PEGBOARD_CONFIG", make_config(tmp_path, own_database, redis_url).path)
    runner = click.testing.CliRunner()

    def run(*arguments: str, stdin: str = "", ok: bool = True) -> click.testing.Result:
        result = runner.invoke(main, arguments, input=stdin)
        assert (result.exit_code == 0) is ok, result.output
        assert isinstance(result.exception, SystemExit | None), result.exception
        return result

    return run


def test_accounts_are_made_listed_and_given_roles(pegboard: Pegboard) -> None:
    boss = ("accounts", "create", "boss@example.com", "--name", "Boss", "--role", "administrator", "--generate")
    assert pegboard(*boss).stdout.splitlines()[0].endswith(" boss@example.com active administrator,member")
    made = json.loads(
        pegboard("accounts", "create", "ada@example.com", "--name", "Ada", "--json", stdin="correct horse\n").stdout
    )
    assert (made["email"], made["roles"]) == ("ada@example.com", ["member"])
    assert "password" not in made
    again = pegboard("accounts", "create", "ADA@example.com", "--name", "Ada", "--generate", ok=False)
    assert (again.exit_code, again.stderr.count("\n")) == (2, 1)
    assert "There is an account with this e-mail address" in again.stderr
    granted = pegboard("accounts", "grant", "Ada@Example.com", "administrator", "--json")
    assert json.loads(granted.stdout)["roles"] == ["administrator", "member"]
    revoked = pegboard("accounts", "revoke", "ada@example.com", "administrator")
    assert revoked.stdout == f"{made['id']} ada@example.com active member\n"
    listed = json.loads(pegboard("accounts", "list", "--json").stdout)["accounts"]
    assert made["id"] in [account["id"] for account in listed]
    assert "ada@example.com active member" in pegboard("accounts", "list").stdout
    last = pegboard("accounts", "revoke", "boss@example.com", "administrator", ok=False)
    assert "last account with the role administrator" in last.stderr
    assert pegboard("accounts", "list", "--email", "x@example.com").stdout == "no accounts\n"


def test_a_generated_password_is_printed_once(pegboard: Pegboard) -> None:
    made = json.loads(pegboard("accounts", "create", "bot@example.com", "--name", "Bot", "--generate", "--json").stdout)
    assert len(made["password"]) >= 24
    assert made["password"] not in pegboard("accounts", "list", "--json").output
    assert made["password"] not in pegboard("audit", "list", "--json").output


@pytest.mark.parametrize(
    ("arguments", "stdin", "reason"),
    [
        (("accounts", "create", "x@example.com", "--name", "X"), "", "no password came on standard input"),
        (("accounts", "create", "x@example.com", "--name", "X"), "short\n", "at least 12 characters"),
        (("accounts", "create", "nonsense", "--name", "X"), "correct horse\n", "not an e-mail address"),
        (("accounts", "create", "x@example.com", "--name", ""), "correct horse\n", "display_name"),
        (
            ("accounts", "create", "x@example.com", "--name", "X", "--role", "king"),
            "correct horse\n",
            "There is no role king. There are: administrator, finance_clerk, finance_controller, member, operator",
        ),
        (("accounts", "grant", "nobody@example.com", "administrator"), "", "no such account"),
        (("accounts", "list", "--tenant", "nowhere"), "", "no tenant nowhere"),
        (("secrets", "set", "nonsense"), "x", "not a secret's name"),
        (("secrets", "set", "hello.key"), "", "no secret came on standard input"),
        (("secrets", "remove", "hello.nothing"), "", "no secret hello.nothing"),
    ],
)
def test_what_can_not_be_done_is_one_line(
    pegboard: Pegboard, arguments: tuple[str, ...], stdin: str, reason: str
) -> None:
    result = pegboard(*arguments, stdin=stdin, ok=False)
    assert result.exit_code == 2
    assert result.stderr.startswith("pegboard: ")
    assert result.stderr.count("\n") == 1
    assert reason in result.stderr


def test_secrets_are_set_listed_and_removed(pegboard: Pegboard) -> None:
    assert pegboard("secrets", "list").stdout == "no secrets\n"
    assert pegboard("secrets", "set", "hello.key", stdin="very secret\n").stdout == "hello.key: set\n"
    assert pegboard("secrets", "set", "hello.key", stdin="more secret").stdout == "hello.key: replaced\n"
    assert pegboard("secrets", "list", "--tenant", "default").stdout == "no secrets\n"
    listed = pegboard("secrets", "list", "--json").output
    assert [secret["name"] for secret in json.loads(listed)["secrets"]] == ["hello.key"]
    assert json.loads(pegboard("secrets", "remove", "hello.key", "--json").stdout)["removed"] is True
    audit = pegboard("audit", "list", "--object", "hello.key", "--json").output
    assert [entry["action"] for entry in json.loads(audit)["entries"]] == [
        "kernel:secret.remove", "kernel:secret.set", "kernel:secret.set",
    ]  # fmt: skip
    assert 'secret"' not in listed + audit.replace('"secret"', "")
    assert "very secret" not in listed + audit


def test_a_secret_that_nothing_reads_is_set_with_a_warning(pegboard: Pegboard) -> None:
    near = pegboard("secrets", "set", "integrations.github_secret", stdin="x")
    read = pegboard("secrets", "set", "integrations.github_webhook_secret", stdin="x")

    assert near.stdout == "integrations.github_secret: set\n"
    assert near.stderr == (
        "pegboard: no installed plugin reads a secret integrations.github_secret: "
        "did you mean integrations.github_webhook_secret?\n"
    )
    assert read.stderr == ""


def test_every_secret_that_help_names_is_read_by_a_plugin() -> None:
    read = {name for found in discover().candidates.values() for name in found.manifest.capabilities.secrets}
    named = re.findall(r"pegboard secrets (?:set|remove) ([a-z_.]+)", Path(secrets.__file__).read_text())

    assert len(named) == 3
    assert set(named) <= read


def test_the_master_key_is_changed(
    pegboard: Pegboard, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own_database: str
) -> None:
    pegboard("secrets", "set", "hello.key", stdin="very secret")
    urls = DatabaseUrls.from_config(make_config(tmp_path, own_database, "", plugins=()))
    monkeypatch.setenv("PEGBOARD_DATABASE__APP_URL", urls.app)  # their passwords follow from the key unless given
    monkeypatch.setenv("PEGBOARD_DATABASE__SYSTEM_URL", urls.system)
    monkeypatch.setenv("PEGBOARD_SECRETS__MASTER_KEY", "5a" * 32)
    refused = pegboard("secrets", "rotate", ok=False)
    assert refused.exit_code == 2
    assert "secrets.earlier_master_keys" in refused.stderr
    monkeypatch.setenv("PEGBOARD_SECRETS__EARLIER_MASTER_KEYS", os.environ[MASTER_KEY])
    before = pegboard("secrets", "status", ok=False)
    assert (before.exit_code, "under the earlier key" in before.stdout) == (1, True)
    assert json.loads(pegboard("secrets", "rotate", "--json").stdout)["resealed"]["secrets"] >= 1
    monkeypatch.delenv("PEGBOARD_SECRETS__EARLIER_MASTER_KEYS")
    assert set(json.loads(pegboard("secrets", "rotate", "--json").stdout)["resealed"].values()) == {0}
    assert json.loads(pegboard("secrets", "status", "--json").stdout)["left"] == 0
    monkeypatch.setenv("PEGBOARD_SECRETS__EARLIER_MASTER_KEYS", "5a" * 32)
    monkeypatch.setenv("PEGBOARD_SECRETS__MASTER_KEY", os.environ[MASTER_KEY])
    pegboard("secrets", "rotate")
    pegboard("secrets", "remove", "hello.key")


def test_who_has_lost_their_factors_gets_in_again(pegboard: Pegboard) -> None:
    pegboard("accounts", "create", "lost@example.com", "--name", "Lost", "--generate")
    assert " lost@example.com active member\n" in pegboard("accounts", "reset-factors", "Lost@example.com").stdout
    assert "account:factor.reset" in pegboard("audit", "list", "--action", "account:factor.reset").stdout
    unknown = pegboard("accounts", "reset-factors", "nobody@example.com", ok=False)
    assert "no such account" in unknown.stderr


def test_the_audit_trail_is_filtered(pegboard: Pegboard) -> None:
    pegboard("accounts", "create", "audited@example.com", "--name", "A", "--generate")
    one = pegboard("audit", "list", "--action", "account:account.create", "--limit", "1").stdout
    assert one.count("\n") == 1
    assert " system success account:account.create account " in one
    assert pegboard("audit", "list", "--since", "2200-01-01").stdout == "no entries\n"
    assert pegboard("audit", "list", "--outcome", "failed").stdout == "no entries\n"


def test_without_a_platform_it_says_what_to_do(
    pegboard: Pegboard, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PEGBOARD_DATABASE__URL", "")
    monkeypatch.setenv("PEGBOARD_VAR", str(tmp_path))
    result = pegboard("accounts", "list", ok=False)
    assert result.exit_code == 2
    assert "start it with `pegboard up`" in result.stderr
