"""The API keeps to its own document: Schemathesis sends what it allows, and what it doesn't, to every operation."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pegboard.database.tenants import DEFAULT_TENANT
from pegboard_sdk.ids import new_id
from schemathesis.checks import CheckContext
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.benchmarks.load import free_port
from tests.support.platform import TestPlatform
from tests.support.servers import MASTER_KEY, TEMPLATE, create_database, make_config

SHARDS = 6
EXAMPLES = int(os.environ.get("CONTRACT_EXAMPLES", "10"))
ROLES = ("member", "administrator", "operator")


@pytest.fixture(scope="module")
async def own_database(postgres_url: str) -> str:
    """A migrated database for this alone: who tries everything also turns maintenance on, and suspends tenants."""
    return await create_database(postgres_url, f"pegboard_contract_{new_id().hex}", template=TEMPLATE)


@pytest.fixture(scope="module")
async def tokens(tmp_path_factory: pytest.TempPathFactory, own_database: str, redis_url: str) -> list[str]:
    """Access tokens of somebody who may do everything: logging out ends only one of them."""
    platform = TestPlatform(make_config(tmp_path_factory.mktemp("tokens"), own_database, redis_url))
    await platform.start()
    try:
        return [(await platform.account(DEFAULT_TENANT, ROLES)).token for _ in range(60)]
    finally:
        await platform.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, own_database: str, redis_url: str) -> Iterator[str]:
    """`pegboard serve` on that database."""
    folder: Path = tmp_path_factory.mktemp("contract")
    make_config(folder, own_database, redis_url)
    port = free_port()
    env = {
        **os.environ,
        "PEGBOARD_CONFIG": str(folder / "plugins.toml"),
        "PEGBOARD_DATABASE__URL": own_database,
        "PEGBOARD_REDIS__URL": redis_url,
        "PEGBOARD_SECRETS__MASTER_KEY": os.environ[MASTER_KEY],
        "PEGBOARD_HTTP__RATE_PER_IP": "1000000",
        "PEGBOARD_HTTP__RATE_PER_PRINCIPAL": "1000000",
        "PEGBOARD_HTTP__RATE_GUESSABLE": "1000000",
    }
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "pegboard", "serve", "--port", str(port)], env=env, stdout=output, stderr=output
        )
    base = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(process, base, log)
        yield base
    finally:
        process.terminate()
        process.wait(60)


def wait_until_ready(process: subprocess.Popen[bytes], base: str, log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            if httpx.get(f"{base}/health/ready", timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            pass  # not listening yet
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"the API did not start: {log.read_text()[-3000:]}")


@pytest.fixture(scope="module")
def schema(server: str) -> Any:
    """The document, without the `default` answers that would allow any status."""
    document = httpx.get(f"{server}/openapi.json").json()
    for item in document["paths"].values():
        for operation in item.values():
            operation["responses"].pop("default")
    return schemathesis.openapi.from_dict(document)


def no_fault_of_ours(_context: CheckContext, response: Response, case: schemathesis.Case) -> bool | None:
    """No 500; and another 5xx only as a problem that the operation names."""
    if response.status_code == 500:
        raise AssertionError(f"{case.operation.label} answered 500: {response.text}")
    if response.status_code > 500:
        named = case.operation.definition.raw["responses"].get(str(response.status_code), {}).get("description", "")
        code = response.json()["code"]
        if code not in named and code != "service_missing":
            raise AssertionError(
                f"{case.operation.label} answered {response.status_code} {code}, which it does not name"
            )
    return None


CHECKS = [
    no_fault_of_ours,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.mark.parametrize("shard", range(SHARDS))
def test_every_operation_keeps_to_the_document(schema: Any, server: str, tokens: list[str], shard: int):
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) > 60
    with httpx.Client(base_url=server) as client:
        for number, operation in enumerate(operations):
            if number % SHARDS == shard:
                exercise(operation, server, client, tokens)


def exercise(operation: Any, server: str, client: httpx.Client, tokens: list[str]) -> None:
    ends_session = operation.label.endswith("/logout")

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
    @given(st.data())
    def check(data: st.DataObject) -> None:
        mode = data.draw(st.sampled_from([schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE]))
        case = data.draw(operation.as_strategy(generation_mode=mode))
        token = tokens.pop() if ends_session and len(tokens) > 1 else tokens[0]
        case.headers = {k: v for k, v in (case.headers or {}).items() if k.lower() not in ("authorization", "x-tenant")}
        case.call_and_validate(base_url=server, headers={"Authorization": f"Bearer {token}"}, checks=CHECKS)

    check()


async def test_the_document_of_the_running_plugins_is_complete(platform: TestPlatform):
    """Every operation says what success is, and names its problems."""
    document = (await platform.client().get("/openapi.json")).json()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            statuses = set(operation["responses"])
            # A provider's answer sends the browser on, whatever becomes of it.
            assert any(status[0] in "23" for status in statuses), (path, method)
            assert {"400", "429", "503", "default"} <= statuses, (path, method)
            if operation.get("security"):
                assert {"401", "403"} <= statuses, (path, method)
