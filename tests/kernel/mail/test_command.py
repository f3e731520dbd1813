"""`pegboard mail test`, as somebody types it."""

import asyncio
import os
from pathlib import Path

import click.testing
import pytest
from pegboard.cli import main

from tests.support.mailbox import Mailbox
from tests.support.servers import MASTER_KEY, make_config


async def pegboard(
    monkeypatch: pytest.MonkeyPatch, folder: Path, urls: tuple[str, str], environ: dict[str, str], address: str
) -> click.testing.Result:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PEGBOARD_SECRETS__MASTER_KEY", os.environ[MASTER_KEY])
    monkeypatch.setenv("PEGBOARD_CONFIG", make_config(folder, *urls).path)
    return await asyncio.to_thread(click.testing.CliRunner().invoke, main, ["mail", "test", address])


@pytest.fixture
def urls(database_url: str, redis_url: str) -> tuple[str, str]:
    return database_url, redis_url


async def test_a_message_is_sent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, urls: tuple[str, str], mailbox: Mailbox
) -> None:
    result = await pegboard(monkeypatch, tmp_path, urls, mailbox.environ, "ada@example.com")
    assert (result.exit_code, result.stdout) == (0, "sent to ada@example.com\n")
    assert mailbox.subjects("ada@example.com")[-1] == "Pegboard: mail gets through"


async def test_what_the_mail_server_refuses_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, urls: tuple[str, str], mailbox: Mailbox
) -> None:
    mailbox.answers["nobody@example.com"] = "550 no such user here"
    result = await pegboard(monkeypatch, tmp_path, urls, mailbox.environ, "nobody@example.com")
    assert result.exit_code == 2
    assert result.stderr == "pegboard: the mail server does not take mail for nobody@example.com (550)\n"


async def test_what_is_no_address_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, urls: tuple[str, str], mailbox: Mailbox
) -> None:
    result = await pegboard(monkeypatch, tmp_path, urls, mailbox.environ, "ada")
    assert (result.exit_code, result.stderr) == (2, "pegboard: This is not an e-mail address.\n")
