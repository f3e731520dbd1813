"""`vault:` references, asked of a server over HTTP that answers as Vault's and OpenBao's HTTP API says."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pegboard.config.errors import ConfigError
from pegboard.config.load import load_config
from pegboard.config.model import Config

TOKEN = "hvs.token-of-the-test"  # pragma: allowlist secret


class Engine:
    """A key-value engine, version 2, at `secret/`, and what was asked of it."""

    def __init__(self) -> None:
        self.secrets: dict[str, dict[str, Any] | None] = {}
        self.status = 200
        self.asked: list[tuple[str, str | None]] = []
        engine = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                engine.asked.append((self.path, self.headers.get("X-Vault-Namespace")))
                status, body = engine.answer(self.path, self.headers.get("X-Vault-Token"))
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: the requests are in `asked`."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, path: str, token: str | None) -> tuple[int, dict[str, Any]]:
        if self.status != 200:
            return self.status, {"errors": []}
        if token != TOKEN:
            return 403, {"errors": ["permission denied"]}
        if path == "/v1/old/data/redis":
            return 200, {"data": {"url": "redis://r.example"}}
        name = path.removeprefix("/v1/secret/data/").removeprefix("/v1/teams/a/data/")
        if name not in self.secrets:
            return 404, {"errors": []}
        return 200, {"data": {"data": self.secrets[name], "metadata": {"version": 3}}}


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine()
    engine.secrets["pegboard/redis"] = {"url": "redis://:of-the-vault@r.example", "port": 6379}
    engine.secrets["plain"] = {"value": "redis://plain.example"}
    thread = threading.Thread(target=engine.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield engine
    engine.server.shutdown()
    thread.join()
    engine.server.server_close()


def load(folder: Path, text: str, engine: Engine | None, **environ: str) -> Config:
    path = folder / "plugins.toml"
    path.write_text(text)
    there = {} if engine is None else {"VAULT_ADDR": engine.address, "VAULT_TOKEN": TOKEN}
    return load_config(path, there | environ)


def redis(reference: str) -> str:
    return f'[pegboard.redis]\nurl = "{reference}"\n'


def refusal(folder: Path, reference: str, engine: Engine | None, **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, redis(reference), engine, **environ)
    assert (caught.value.line, caught.value.key) == (2, "pegboard.redis.url")
    return caught.value.reason


def test_a_field_of_a_secret(tmp_path: Path, engine: Engine):
    config = load(tmp_path, redis("vault:secret/pegboard/redis#url"), engine)

    assert config.redis.url.reveal() == "redis://:of-the-vault@r.example"
    assert "of-the-vault" not in repr(config)


def test_the_field_is_value_unless_given_and_a_mount_may_be_deep(tmp_path: Path, engine: Engine):
    assert load(tmp_path, redis("vault:secret/plain"), engine).redis.url.reveal() == "redis://plain.example"
    assert load(tmp_path, redis("vault:teams/a//plain"), engine).redis.url.reveal() == "redis://plain.example"
    assert [path for path, _ in engine.asked] == ["/v1/secret/data/plain", "/v1/teams/a/data/plain"]


def test_a_secret_with_many_fields_is_asked_for_once(tmp_path: Path, engine: Engine):
    engine.secrets["db"] = {"owner": "postgresql://o@d/x", "app": "postgresql://a@d/x"}

    config = load(
        tmp_path,
        '[pegboard.database]\nurl = "vault:secret/db#owner"\napp_url = "vault:secret/db#app"\n',
        engine,
    )

    assert config.database.app_url.reveal() == "postgresql://a@d/x"
    assert len(engine.asked) == 1


def test_the_token_may_be_an_agents_file_and_the_namespace_is_sent(tmp_path: Path, engine: Engine):
    (tmp_path / "sink").write_text(f"{TOKEN}\n")

    config = load(
        tmp_path,
        redis("vault:secret/plain"),
        engine,
        VAULT_TOKEN="",
        VAULT_TOKEN_FILE=str(tmp_path / "sink"),
        VAULT_NAMESPACE="shop",
    )

    assert config.redis.url.reveal() == "redis://plain.example"
    assert engine.asked == [("/v1/secret/data/plain", "shop")]


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("vault:", "names no secret of a vault server: write vault:MOUNT/PATH#FIELD"),
        ("vault:secret", "names no secret of a vault server"),
        ("vault:secret/nowhere#url", "has no secret secret/nowhere, or its newest version was deleted"),
        ("vault:secret/pegboard/redis#user", "has no field user: it has port, url"),
        ("vault:secret/pegboard/redis#port", "#port is not text"),
        ("vault:old/redis#url", "did not answer as a key-value engine of version 2 does"),
    ],
)
def test_a_secret_that_is_not_there(tmp_path: Path, engine: Engine, reference: str, reason: str):
    assert reason in refusal(tmp_path, reference, engine)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (503, "is sealed or under maintenance"),
        (307, "is a vault server on standby (307)"),
        (500, "answered 500 for secret/plain"),
    ],
)
def test_a_server_that_does_not_answer_well(tmp_path: Path, engine: Engine, status: int, reason: str):
    engine.status = status

    assert reason in refusal(tmp_path, "vault:secret/plain", engine)


def test_a_token_that_is_not_known(tmp_path: Path, engine: Engine):
    said = refusal(tmp_path, "vault:secret/plain", engine, VAULT_TOKEN="hvs.another")

    assert "refused the token, or its policy does not let it read secret/plain" in said
    assert "hvs.another" not in said


def test_a_server_that_is_not_there(tmp_path: Path):
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as closed:
        address = f"http://127.0.0.1:{closed.server_address[1]}"

    said = refusal(tmp_path, "vault:secret/plain", None, VAULT_ADDR=address, VAULT_TOKEN=TOKEN)

    assert said.startswith(f"the vault server {address} can't be asked: ")


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        ({"VAULT_TOKEN": TOKEN}, "set VAULT_ADDR to its address"),
        ({"VAULT_ADDR": "vault.example", "VAULT_TOKEN": TOKEN}, "set VAULT_ADDR to its address"),
        ({"VAULT_ADDR": "http://vault.example:8200", "VAULT_TOKEN": TOKEN}, "would travel in clear: use https"),
        ({"VAULT_ADDR": "https://vault.example:8200"}, "set VAULT_TOKEN, or VAULT_TOKEN_FILE"),
        (
            {"VAULT_ADDR": "https://vault.example:8200", "VAULT_TOKEN_FILE": "nowhere"},
            "the file nowhere of VAULT_TOKEN_FILE can't be read",
        ),
        (
            {"VAULT_ADDR": "https://vault.example:8200", "VAULT_TOKEN": TOKEN, "VAULT_CACERT": "nowhere"},
            "the file nowhere of VAULT_CACERT can't be read: No such file or directory",
        ),
    ],
)
def test_where_the_server_is_must_be_said(tmp_path: Path, environ: dict[str, str], reason: str):
    assert reason in refusal(tmp_path, "vault:secret/plain", None, **environ)
