"""A plugin that Pegboard doesn't know: built, installed and enabled as its README says, used over HTTP, turned off."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from tests.support.processes import until
from tests.support.scratch import ROOT, build_wheel, make_environment
from tests.support.up import Up, environment

GREETINGS = "/api/v1/hello/greetings"
GIGS = "/api/v1/creation_studio/gigs"
CONFIG = """\
# A marketplace with a plugin of our own, and a model on the same machine.
[pegboard.outbound]
private_hosts = { ai_providers = ["127.0.0.1"] }

[plugins.creation_studio]
enabled = true

[plugins.finance]
enabled = true

[plugins.ai_providers]
enabled = true

# Ours.
[plugins.hello]
enabled = true  # since today
congratulation = "Well done!"
"""
PASSWORD = "correct horse battery staple"
# A bounded load must not run into the limits.
ENVIRONMENT = {"PEGBOARD_HTTP__RATE_PER_IP": "100000", "PEGBOARD_HTTP__RATE_PER_PRINCIPAL": "100000"}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that every user may enter: the servers run as one of their own when the tests are root's."""
    path = Path(tempfile.mkdtemp(prefix="pegboard-thirdparty-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def python(folder: Path) -> Path:
    """The interpreter of an environment in which Pegboard and the plugin are installed from their wheels."""
    pegboard = build_wheel(ROOT, folder / "pegboard")
    hello = build_wheel(ROOT / "tests" / "contracts" / "thirdparty", folder / "hello")
    return make_environment(folder / "environment", pegboard, hello)


@pytest.fixture(scope="module")
def up(folder: Path, python: Path) -> Iterator[Up]:
    """The platform, running."""
    (folder / "platform").mkdir()
    config = folder / "platform" / "plugins.toml"
    config.write_text(CONFIG)
    with Up(config, python=(str(python),), env=ENVIRONMENT) as running:
        yield running


@pytest.fixture(scope="module")
def administrator(up: Up) -> tuple[str, str]:
    """The first administrator's address and password, as they were printed."""
    told = next(line for line in up.lines if "First administrator" in line)
    match = re.search(r"First administrator: (\S+) password (\S+) ", told)
    assert match
    return match[1], match[2]


@pytest.fixture(scope="module")
def operator(up: Up, administrator: tuple[str, str]) -> Iterator[httpx.Client]:
    """The first administrator, who runs the platform."""
    with logged_in(up, *administrator) as client:
        yield client


@pytest.fixture(scope="module")
def provider(up: Up) -> Iterator[httpx.Client]:
    """Somebody who offers something."""
    registration = {"email": "ada@example.com", "password": PASSWORD, "display_name": "Ada"}
    assert httpx.post(f"{up.url}/api/v1/auth/register", json=registration).status_code == 201
    with logged_in(up, "ada@example.com", PASSWORD) as client:
        yield client


def logged_in(up: Up, email: str, password: str) -> httpx.Client:
    answer = httpx.post(f"{up.url}/api/v1/auth/login", json={"email": email, "password": password})
    assert answer.status_code == 200, answer.text
    token = answer.json()["access_token"]
    return httpx.Client(base_url=up.url, headers={"Authorization": f"Bearer {token}"}, timeout=30)


def publish_gig(provider: httpx.Client, title: str) -> str:
    gig = {"title": title, "price": {"amount": 5000, "currency": "EUR"}, "delivery_days": 3}
    drafted = provider.post(GIGS, json=gig)
    assert drafted.status_code == 201, drafted.text
    gig_id = drafted.json()["id"]
    published = provider.post(f"{GIGS}/{gig_id}/publish", headers={"If-Match": drafted.headers["ETag"]})
    assert published.status_code == 200, published.text
    return gig_id


def greeting_of(provider: httpx.Client, gig_id: str) -> dict[str, Any] | None:
    """The delivered greeting for a gig, once it is there."""
    items = provider.get(GREETINGS).json()["items"]
    return next((item for item in items if item["gig_id"] == gig_id and item["delivered_at"]), None)


def pegboard(up: Up, python: Path, *arguments: str) -> dict[str, Any]:
    """What a command of the installed Pegboard answers."""
    result = subprocess.run(
        [str(python), "-P", "-m", "pegboard", *arguments, "--json"],
        env=environment(up.config, {}),
        cwd=up.config.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


class Load:
    """Requests in threads, until the end of the block; `statuses` counts the answers of each path."""

    def __init__(self, client: httpx.Client, *paths: str) -> None:
        self.statuses: dict[str, dict[int, int]] = {path: {} for path in paths}
        self.broken: list[Exception] = []
        self._client = client
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(path,)) for path in paths for _ in range(2)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _run(self, path: str) -> None:
        counts = self.statuses[path]
        while not self._end.is_set():
            try:
                status = self._client.get(path).status_code
            except httpx.HTTPError as error:
                self.broken.append(error)
            else:
                counts[status] = counts.get(status, 0) + 1


def own_tests(python: Path, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the plugin's own tests in its environment, in a copy of its project outside of the checkout."""
    project = folder / "project"
    if not project.exists():
        shutil.copytree(ROOT / "tests" / "contracts" / "thirdparty", project)
    return subprocess.run(
        [str(python), "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
        env={name: value for name, value in os.environ.items() if not name.startswith(("PEGBOARD_", "PYTEST_"))},
        cwd=project,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_its_own_tests_pass_on_the_kernel_that_the_fixture_starts(python: Path, folder: Path) -> None:
    done = own_tests(python, folder, "-n", "2")

    assert "3 passed" in done.stdout, done.stdout + done.stderr


def test_tests_without_the_loop_of_the_session_are_told_what_to_set(python: Path, folder: Path) -> None:
    done = own_tests(python, folder, "-o", "asyncio_default_test_loop_scope=function")

    assert done.returncode == 1
    assert 'asyncio_default_test_loop_scope = "session"' in done.stdout


def test_a_plugin_that_can_not_be_used_is_named_with_the_reason(python: Path, folder: Path) -> None:
    broken = folder / "project" / "broken"
    broken.mkdir()
    (broken / "conftest.py").write_text(
        "from pegboard_sdk.testing import kernel_fixture\n"
        'kernel = kernel_fixture("hello", settings={"hello": {"congratulations": "x"}})\n'
    )
    (broken / "test_broken.py").write_text("async def test_it(kernel): ...\n")

    done = own_tests(python, folder, "broken")

    assert "the plugin hello can't be used: its settings are wrong" in done.stdout, done.stdout


def test_what_runs_is_what_was_installed(up: Up, python: Path) -> None:
    where = subprocess.run(
        [str(python), "-P", "-c", "import pegboard, pegboard_hello; print(pegboard.__file__, pegboard_hello.__file__)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert all(path.startswith(str(python.parents[1])) for path in where)
    (hello,) = [one for one in pegboard(up, python, "plugins", "list")["plugins"] if one["name"] == "hello"]
    assert (hello["state"], hello["distribution"]) == ("enabled", "pegboard-hello 1.0.0")
    assert hello["listens_to"] == ["creation_studio.gig_published"]


def test_its_command_is_there(up: Up, python: Path) -> None:
    said = subprocess.run(
        [str(python), "-P", "-m", "pegboard", "hello", "preview"],
        env=environment(up.config, {}),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said == "Well done!\n"


def test_its_health_is_shown(operator: httpx.Client) -> None:
    health = {one["plugin"]: one for one in operator.get("/health/plugins").json()["items"]}
    assert [(check["name"], check["ok"]) for check in health["hello"]["checks"]] == [("words", True)]


def test_a_published_gig_reaches_the_plugin_and_shows_on_its_route(up: Up, provider: httpx.Client) -> None:
    gig_id = publish_gig(provider, "I will draw your logo")

    until(lambda: greeting_of(provider, gig_id) is not None)
    greeting = greeting_of(provider, gig_id)
    assert greeting is not None
    assert greeting["text"] == "Well done!"


def test_its_routes_keep_its_rules(up: Up, provider: httpx.Client, operator: httpx.Client) -> None:
    assert httpx.get(f"{up.url}{GREETINGS}").status_code == 401
    me = provider.get("/api/v1/auth/me").json()["id"]
    assert provider.post(GREETINGS, json={"account_id": me, "text": "Hi"}).json()["code"] == "hello.greeting_to_self"
    assert operator.post(GREETINGS, json={"account_id": me, "text": "Welcome!"}).status_code == 201
    until(lambda: any(item["text"] == "Welcome!" for item in provider.get(GREETINGS).json()["items"]))
    assert f"{GREETINGS}" in httpx.get(f"{up.url}/openapi.json").json()["paths"]


def test_it_has_a_model_word_a_greeting_and_the_quota_of_who_asks_pays(
    up: Up, python: Path, provider: httpx.Client
) -> None:
    draft = {"occasion": "the first gig"}
    refused = provider.post(f"{GREETINGS}/drafts", json=draft)
    assert (refused.status_code, refused.json()["code"]) == (503, "ai_providers.provider_not_set_up")
    with ThreadingHTTPServer(("127.0.0.1", 0), Model) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/v1"
        set_up = subprocess.run(
            [str(python), "-P", "-m", "pegboard", "secrets", "set", "ai_providers.openai_base_url"],
            env=environment(up.config, {}),
            cwd=up.config.parent,
            input=address,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert set_up.returncode == 0, set_up.stderr
        answer = provider.post(f"{GREETINGS}/drafts", json=draft)
        server.shutdown()
    assert (answer.status_code, answer.json()) == (200, {"text": "Congratulations!"}), answer.text
    assert provider.get("/api/v1/ai_providers/quota").json()["used"] == 12


class Model(BaseHTTPRequestHandler):
    """A language model that knows one word."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        choice = {"message": {"content": "Congratulations!\n"}, "finish_reason": "stop"}
        body = json.dumps({"choices": [choice], "usage": {"prompt_tokens": 10, "completion_tokens": 2}}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing to say."""


def test_turning_it_off_takes_its_routes_away_and_drops_no_request(
    up: Up, provider: httpx.Client, operator: httpx.Client
) -> None:
    processes = up.run
    with Load(provider, GIGS, GREETINGS) as load:
        until(lambda: load.statuses[GREETINGS].get(200, 0) > 20)
        answer = operator.post("/api/v1/admin/plugins/hello/disable")
        assert answer.status_code == 202, answer.text
        until(lambda: load.statuses[GREETINGS].get(404, 0) > 20)

    assert load.broken == []
    assert set(load.statuses[GIGS]) == {200}
    assert set(load.statuses[GREETINGS]) == {200, 404}
    problem = provider.get(GREETINGS)
    assert (problem.status_code, problem.headers["content-type"]) == (404, "application/problem+json")
    assert GREETINGS not in httpx.get(f"{up.url}/openapi.json").json()["paths"]
    assert up.config.read_text() == CONFIG.replace("enabled = true  # since today", "enabled = false  # since today")
    assert up.run == processes
    # In every process: the API, the worker and the scheduler.
    until(lambda: up.log.read_text().count("hello.stopped") == 3)


def test_turning_it_on_again_finds_its_data(up: Up, python: Path, provider: httpx.Client) -> None:
    answer = pegboard(up, python, "plugins", "enable", "hello")

    assert (answer["state"], answer["enabled"]) == ("active", True)
    assert {item["text"] for item in provider.get(GREETINGS).json()["items"]} == {"Well done!", "Welcome!"}
    assert up.config.read_text() == CONFIG


def test_purged_and_removed_it_leaves_nothing_and_can_be_installed_again(
    up: Up, python: Path, provider: httpx.Client, folder: Path
) -> None:
    pegboard(up, python, "plugins", "disable", "hello")
    data = folder / "greetings"

    answer = pegboard(up, python, "plugins", "uninstall", "hello", "--export", str(data), "--purge", "--yes")

    exported, purged = (one["receipt"] for one in answer["receipts"])
    assert "public.hello_greetings" in purged["dropped"]["table"]
    lines = [json.loads(line) for line in (data / "data" / "hello_greetings.ndjson").read_text().splitlines()]
    assert {"Well done!", "Welcome!"} <= {line["text"] for line in lines}
    assert exported["tables"] == purged["tables"] == {"hello_greetings": len(lines)}
    assert pegboard(up, python, "plugins", "verify-receipt", str(data / "purge-receipt.json"))["problems"] == []

    assert answer["package"]["pip"] == "pip uninstall pegboard-hello"
    uv(python, "uninstall", "pegboard-hello")
    listed = pegboard(up, python, "plugins", "list")["plugins"]
    assert "hello" not in {one["name"] for one in listed if one["state"] == "enabled"}

    (wheel,) = (folder / "hello").glob("*.whl")
    uv(python, "install", "--no-index", "--no-deps", "--offline", str(wheel))
    assert pegboard(up, python, "plugins", "enable", "hello")["state"] == "active"
    assert provider.get(GREETINGS).json()["items"] == []
    gig_id = publish_gig(provider, "I will draw your second logo")
    until(lambda: greeting_of(provider, gig_id) is not None)


def uv(python: Path, command: str, *arguments: str) -> None:
    """Install into the environment, or take something out of it."""
    subprocess.run(
        [sys.executable, "-m", "uv", "pip", command, "--python", str(python), *arguments], check=True, timeout=60
    )
