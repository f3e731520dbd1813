"""`pegboard sso`, as somebody types it."""

import asyncio
import os
from pathlib import Path

import click.testing
import pytest
from pegboard.cli import main

from tests.support.issuer import CLIENT_ID, Issuer
from tests.support.servers import MASTER_KEY, make_config


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database_url: str, redis_url: str, issuer: Issuer) -> None:
    """A `plugins.toml` with a provider, of a platform that people reach by https."""
    path = tmp_path / "plugins.toml"
    path.write_text(f'[pegboard.sso.corp]\nissuer = "{issuer.url}"\nclient_id = "{CLIENT_ID}"\n')
    monkeypatch.setenv("PEGBOARD_HTTP__PUBLIC_URL", "https://api.market.example/")
    monkeypatch.setenv("PEGBOARD_OUTBOUND__PRIVATE_HOSTS", '{"kernel": ["127.0.0.1"]}')
    monkeypatch.setenv("PEGBOARD_SECRETS__MASTER_KEY", os.environ[MASTER_KEY])
    monkeypatch.setenv("PEGBOARD_CONFIG", make_config(tmp_path, database_url, redis_url).path)
    monkeypatch.setenv("PEGBOARD_DATABASE__URL", database_url)
    monkeypatch.setenv("PEGBOARD_REDIS__URL", redis_url)


async def pegboard(*arguments: str) -> click.testing.Result:
    return await asyncio.to_thread(click.testing.CliRunner().invoke, main, ["sso", *arguments])


CALLBACK = "https://api.market.example/api/v1/auth/providers/corp/callback"


@pytest.mark.usefixtures("typed")
async def test_a_provider_that_answers(issuer: Issuer) -> None:
    listed = await pegboard("list")
    assert (listed.exit_code, listed.stdout) == (0, f"corp oidc on {issuer.url} {CALLBACK}\n"), listed.output
    checked = await pegboard("check", "corp")
    assert checked.exit_code == 0, checked.output
    assert checked.stdout.splitlines() == [
        f"{issuer.url}: answers, with 1 keys",
        f"tell it to send people back to {CALLBACK}",
    ]


@pytest.mark.usefixtures("typed")
async def test_one_that_does_not(issuer: Issuer) -> None:
    issuer.discovery["issuer"] = "https://id.example.com"
    checked = await pegboard("check", "corp")
    assert checked.exit_code == 2
    assert "discovery document of another issuer" in checked.output
    assert (await pegboard("check", "unknown")).exit_code == 2


@pytest.mark.usefixtures("typed")
async def test_a_key_that_is_not_apples(monkeypatch: pytest.MonkeyPatch) -> None:
    for field, value in {"PRESET": "apple", "TEAM_ID": "T", "KEY_ID": "K", "CLIENT_SECRET": "none"}.items():
        monkeypatch.setenv(f"PEGBOARD_SSO__CORP__{field}", value)
    checked = await pegboard("check", "corp")
    assert checked.exit_code == 2
    assert "no key of Apple's" in checked.output
