"""Secrets are planted everywhere in a running platform; then everything that leaves it is searched for them."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.processes import until
from tests.support.up import Up, environment, write_config

EMAIL = "admin@example.com"


class Canaries:
    """Texts that must not be found anywhere, by what they are."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def plant(self, name: str) -> str:
        """A new secret."""
        return self.add(name, f"canary-{os.urandom(9).hex()}")

    def add(self, name: str, text: str) -> str:
        """A secret that the platform made."""
        self.texts[name] = text
        return text

    def found_in(self, where: str, output: str) -> list[str]:
        """What of them is in `output`, as it is, in hexadecimal or in base64."""
        return [
            f"{name} in {where}"
            for name, text in self.texts.items()
            for form in (text, text.encode().hex(), base64.b64encode(text.encode()).decode().rstrip("="))
            if form in output
        ]


@pytest.fixture(scope="module")
def canaries() -> Canaries:
    return Canaries()


@pytest.fixture(scope="module")
def env(shared_folder: Path, canaries: Canaries) -> dict[str, str]:
    """Settings with a secret in each place that takes one; nothing answers where mail is to be sent."""
    key_file = shared_folder / "master-key"
    key_file.write_text(canaries.add("master key", os.urandom(32).hex()))
    return {
        "PEGBOARD_ADMINISTRATOR__EMAIL": EMAIL,
        "PEGBOARD_ADMINISTRATOR__PASSWORD": canaries.plant("administrator's password"),
        "PEGBOARD_SECRETS__MASTER_KEY": "file:master-key",
        "PEGBOARD_LOG__LEVEL": "debug",
        "PEGBOARD_LOG__FORMAT": "json",
        "PEGBOARD_MAIL__TRANSPORT": "smtp",
        "PEGBOARD_MAIL__HOST": "127.0.0.1",
        "PEGBOARD_MAIL__PORT": "9",
        "PEGBOARD_MAIL__SECURITY": "none",
        "PEGBOARD_MAIL__USERNAME": "mailer",
        "PEGBOARD_MAIL__PASSWORD": canaries.plant("mail server's password"),
        "PROVIDER_SECRET": canaries.plant("identity provider's client secret"),
    }


@pytest.fixture(scope="module")
def up(shared_folder: Path, env: dict[str, str]) -> Iterator[Up]:
    config = write_config(shared_folder)
    config.write_text(
        config.read_text()
        + '[pegboard.sso.acme]\nissuer = "https://id.example.com"\nclient_id = "shop"\n'
        + 'client_secret = "env:PROVIDER_SECRET"\n'
    )
    with Up(config, env=env) as running:
        yield running


def command(up: Up, env: dict[str, str], *arguments: str, stdin: str = "") -> str:
    """What a command prints, on both of its streams, in the platform's own environment."""
    ran = subprocess.run(
        [sys.executable, "-m", "pegboard", *arguments],
        env=environment(up.config, env),
        cwd=up.config.parent,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ran.stdout + ran.stderr


def use(client: httpx.Client, canaries: Canaries, env: dict[str, str]) -> list[httpx.Response]:
    """Go through what handles secrets, well and badly; gives the answers that must hold none."""
    answers: list[httpx.Response] = []
    origin = str(client.base_url).removesuffix("/api/v1/")
    password = canaries.plant("a member's password")
    ada = {"email": "ada@example.com", "password": password}
    answers.append(client.post("/auth/register", json={**ada, "display_name": "Ada"}))
    logged_in = client.post("/auth/login", json=ada)
    pair = logged_in.json()
    canaries.add("access token", pair["access_token"])
    canaries.add("refresh token", pair["refresh_token"])
    assert len(canaries.found_in("the answer to a log-in", logged_in.text)) == 2, "the search finds nothing"
    bearer = {"Authorization": f"Bearer {pair['access_token']}"}
    seed = client.post("/auth/factors/totp", headers=bearer).json()
    canaries.add("seed of an authenticator app", seed["secret"])
    key = client.post(
        "/auth/api-keys",
        headers={**bearer, "Idempotency-Key": "canaries"},
        json={"label": "till", "scopes": ["account:self.read"]},
    ).json()
    canaries.add("API key", key["secret"])
    answers.append(client.get("/auth/me", headers={"Authorization": f"Bearer {key['secret']}"}))
    answers.append(client.get("/auth/api-keys", headers=bearer))
    answers.append(client.get("/auth/sessions", headers=bearer))
    answers.append(client.get("/auth/factors", headers=bearer))
    # Mistakes must not come back with what was sent.
    wrong = canaries.plant("a wrong password")
    answers.append(client.post("/auth/login", json={"email": ada["email"], "password": wrong}))
    answers.append(client.post("/auth/login", json={"email": ada["email"], "password": [wrong]}))
    answers.append(client.post("/auth/login", content=f'{{"email": 1, "password": "{wrong}"'))
    answers.append(client.post("/auth/register", json={"email": "x", "password": wrong, "display_name": "X"}))
    answers.append(client.post("/auth/refresh", json={"refresh_token": canaries.plant("a wrong refresh token")}))
    answers.append(client.get("/auth/me", headers={"Authorization": f"Bearer {canaries.plant('a wrong token')}"}))
    answers.append(client.get("/auth/me", headers={"Cookie": f"pegboard_session={canaries.plant('a wrong cookie')}"}))
    answers.append(client.post("/auth/password/forgotten", json={"email": ada["email"]}))
    answers.append(
        client.post("/auth/password/reset", json={"token": canaries.plant("a wrong one-time token"), "password": wrong})
    )
    answers.append(
        client.post(
            "/auth/password/change",
            headers=bearer,
            json={"current_password": password, "password": canaries.plant("a new password")},
        )
    )
    # The administrator reads everything there is to read.
    admin = client.post(
        "/auth/login", json={"email": EMAIL, "password": env["PEGBOARD_ADMINISTRATOR__PASSWORD"]}
    ).json()
    canaries.add("administrator's access token", admin["access_token"])
    bearer = {"Authorization": f"Bearer {admin['access_token']}"}
    paths = client.get(f"{origin}/openapi.json").json()["paths"]
    for path, operations in paths.items():
        if "get" in operations and "{" not in path:
            answers.append(client.get(f"{origin}{path}", headers=bearer))
    answers.append(client.post("/admin/audit/exports", headers=bearer, json={}))
    return answers


@pytest.fixture(scope="module")
def outputs(up: Up, env: dict[str, str], canaries: Canaries) -> dict[str, str]:
    """Everything that left the platform, by where."""
    texts: dict[str, str] = {}
    secret = canaries.plant("a plugin's secret in the vault")
    texts["secrets set"] = command(up, env, "secrets", "set", "ai_providers.openai_api_key", stdin=secret)
    with httpx.Client(base_url=f"{up.url}/api/v1", timeout=20) as client:
        for answer in use(client, canaries, env):
            name = f"{answer.request.method} {answer.request.url.path} ({answer.status_code})"
            texts[name] = f"{texts.get(name, '')}\n{answer.text}\n{answer.headers}"
    # The mail could not be sent: its job has failed at least once.
    until(lambda: "kernel.send_mail" in up.log.read_text(errors="replace"))
    for arguments in (
        ("config", "show"),
        ("config", "check"),
        ("secrets", "list", "--json"),
        ("secrets", "status"),
        ("plugins", "list", "--json"),
        ("accounts", "list", "--json"),
        ("audit", "export"),
        ("jobs", "list", "--json"),
        ("events", "list", "--json"),
    ):
        texts[f"pegboard {' '.join(arguments)}"] = command(up, env, *arguments)
    for process in psutil.Process(up.process.pid).children(recursive=True):
        texts[f"the command line of {process.name()} {process.pid}"] = " ".join(process.cmdline())
    texts["the lines of pegboard up"] = "\n".join(up.lines)
    texts["the log"] = up.log.read_text(errors="replace")
    return texts


def test_no_secret_leaves_the_platform(outputs: dict[str, str], canaries: Canaries) -> None:
    found = [finding for where, output in outputs.items() for finding in canaries.found_in(where, output)]

    assert found == []


def test_the_search_looked_at_what_was_there(outputs: dict[str, str], canaries: Canaries) -> None:
    assert len(canaries.texts) >= 17
    assert 'username = "mailer"' in outputs["pegboard config show"]
    assert "ai_providers.openai_api_key" in outputs["pegboard secrets list --json"]
    assert '"action"' in outputs["pegboard audit export"]
    assert json.loads(outputs["the log"].splitlines()[-1])["event"]
    succeeded = [where for where in outputs if "(200)" in where]
    assert len(succeeded) >= 20, f"only {succeeded} were read"
