"""`pegboard tenants`, as somebody types it."""

import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import click.testing
import pytest
import structlog
from pegboard.cli import main
from pegboard_sdk.ids import new_id

from tests.support.servers import MASTER_KEY, TEMPLATE, create_database, make_config

Pegboard = Callable[..., click.testing.Result]


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
async def own_url(postgres_url: str) -> str:
    return await create_database(postgres_url, f"tenants_{new_id().hex}", template=TEMPLATE)


@pytest.fixture
def tenants(
    own_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log_set_up_again: None
) -> Pegboard:
    """Runs `pegboard tenants …`; gives what it printed, once its exit status is as expected."""
    config = make_config(tmp_path, own_url, redis_url)
    monkeypatch.setenv("PEGBOARD_DATABASE__URL", own_url)
    monkeypatch.setenv("PEGBOARD_REDIS__URL", redis_url)
    monkeypatch.setenv("PEGBOARD_SECRETS__MASTER_KEY", os.environ[MASTER_KEY])
    monkeypatch.setenv("PEGBOARD_CONFIG", str(config.path))
    runner = click.testing.CliRunner()

    def run(*arguments: str, status: int = 0) -> click.testing.Result:
        result = runner.invoke(main, ("tenants", *arguments))
        assert result.exit_code == status, result.output
        return result

    return run


def test_a_marketplace_from_its_beginning(tenants: Pegboard) -> None:
    made = json.loads(
        tenants(
            "create", "acme", "--name", "Acme Market", "--administrator", "ada@acme.example", "--generate", "--json"
        ).output
    )
    assert (made["slug"], made["status"], len(made["password"]) > 20) == ("acme", "active", True)
    again = tenants("create", "acme", "--name", "x", "--administrator", "bob@acme.example", status=2)
    assert "There is a marketplace with the short name acme" in again.output

    assert (
        "give the default marketplace its host name first"
        in tenants("add-host", "acme", "acme.example", status=2).output.lower()
    )
    tenants("add-host", "default", "market.example")
    assert "acme.example" in tenants("add-host", "acme", "ACME.example.").output
    assert "another marketplace's" in tenants("add-host", "default", "acme.example", status=2).output

    assert tenants("rename", "acme", "Acme & Sons").output.strip().endswith("active acme.example Acme & Sons")
    assert " suspended " in tenants("suspend", "acme", "--reason", "unpaid").output
    assert " active " in tenants("resume", "acme").output
    assert " - " in tenants("remove-host", "acme", "acme.example").output
    listed = json.loads(tenants("list", "--json").output)["tenants"]
    assert [one["slug"] for one in listed] == ["acme", "default"]


def test_what_can_t_be_done_says_why(tenants: Pegboard) -> None:
    assert "There is no such marketplace" in tenants("suspend", "nobody", "--reason", "x", status=2).output
    assert "operators are in this marketplace" in tenants("suspend", "default", "--reason", "x", status=2).output
    assert "no host name" in tenants("add-host", "default", "https://x.example", status=2).output
    bad = tenants("create", "Acme!", "--name", "x", "--administrator", "ada@acme.example", status=2)
    assert "slug" in bad.output


def test_an_administrator_without_password_is_mailed(tenants: Pegboard) -> None:
    output = tenants("create", "acme", "--name", "Acme", "--administrator", "ada@acme.example").output
    assert "ada@acme.example is mailed how to choose a password" in output
