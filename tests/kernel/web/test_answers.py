"""What every answer carries, and the kernel's own pages."""

import json
import re
from uuid import UUID

import httpx
import pytest
from pegboard.config.model import Config
from pegboard.telemetry.lines import LineBuffer
from pegboard.telemetry.logging import AccessLog
from pegboard.web.entry import Entry

from tests.support.platform import TestPlatform
from tests.support.servers import make_config


async def test_every_answer_carries_the_security_headers(platform: TestPlatform):
    for path in ("/health/live", "/nothing", "/"):
        headers = (await platform.client().get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert len(headers["x-request-id"]) == 32


async def test_head_is_get_without_a_body(platform: TestPlatform):
    response = await platform.client().head("/health/live")
    assert response.status_code == 200
    assert response.content == b""
    assert int(response.headers["content-length"]) > 0


async def test_the_front_page_tells_a_person_what_runs_here(platform: TestPlatform):
    response = await platform.client().get("/")
    assert response.headers["content-type"].startswith("text/html")
    for text in ("Pegboard", "healthy", "/docs", "/openapi.json", "/api/v1/finance", "/api/v1/admin"):
        assert text in response.text


async def test_the_docs_page_loads_nothing_from_elsewhere(platform: TestPlatform):
    client = platform.client()
    page = await client.get("/docs")
    assert "http://" not in page.text
    assert "https://" not in page.text
    for asset in ("swagger-ui.css", "swagger-ui-bundle.js", "start.js"):
        assert asset in page.text
        assert len((await client.get(f"/docs/assets/{asset}")).content) > 50
    assert (await client.get("/docs/assets/index.js")).status_code == 404


async def test_ready_names_what_was_checked(platform: TestPlatform):
    response = await platform.client().get("/health/ready")
    assert response.status_code == 200
    health = response.json()
    assert health["status"] == "ready"
    assert {check["name"] for check in health["checks"]} == {"postgresql", "redis"}


async def test_plugin_health_and_metrics_need_a_permission(platform: TestPlatform, tenant: UUID):
    member = await platform.account(tenant)
    operator = await platform.account(tenant, ("member", "operator"))
    for path in ("/health/plugins", "/metrics"):
        assert (await platform.anonymous(tenant).get(path)).status_code == 401
        assert (await member.client.get(path)).status_code == 403
        assert (await operator.client.get(path)).status_code == 200


async def test_requests_are_counted_by_route_and_plugin(platform: TestPlatform, tenant: UUID):
    operator = await platform.account(tenant, ("member", "operator"))
    await platform.anonymous(tenant).get("/api/v1/creation_studio/gigs/00000000-0000-7000-8000-00000000dead")
    metrics = (await operator.client.get("/metrics")).text
    counted = [line for line in metrics.splitlines() if line.startswith("pegboard_http_requests_total{")]
    labels = ('plugin="creation_studio"', 'route="/api/v1/creation_studio/gigs/{gig_id}"', 'status="404"')
    assert any(all(label in line for label in labels) for line in counted), counted
    assert 'pegboard_plugins{state="enabled"} 5.0' in metrics


async def test_schemas_have_names_that_a_client_can_show(platform: TestPlatform):
    document = (await platform.client().get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    assert [name for name in schemas if not name.isalnum()] == []
    assert {"GigSummaryPage", "IntegrationsDelivery", "CreationStudioDelivery"} <= schemas.keys()
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert references <= schemas.keys()


async def test_the_document_describes_every_operation(platform: TestPlatform):
    document = (await platform.client().get("/openapi.json")).json()
    operations = [
        op
        for item in document["paths"].values()
        for m, op in item.items()
        if m in ("get", "post", "put", "patch", "delete")
    ]
    assert len(operations) > 30
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    for operation in operations:
        assert operation.get("description") or operation.get("summary"), operation["operationId"]
        assert operation["responses"]["default"]["content"]["application/problem+json"]


async def test_reads_are_named_alike(platform: TestPlatform):
    """`read_` one, `list_` or `search_` many; `export_` a file, `explain_` a decision, and `receive_` what a provider
    sends a browser back with.
    """
    document = (await platform.client().get("/openapi.json")).json()
    names = [item["get"]["operationId"] for item in document["paths"].values() if "get" in item]
    assert [name for name in names if not re.search("_(read|list|search|export|explain|receive)_", name)] == []


async def test_every_list_is_an_object(platform: TestPlatform):
    """`{items, next_cursor}`: an array could never get a second page."""
    document = (await platform.client().get("/openapi.json")).json()
    bare = [
        operation["operationId"]
        for item in document["paths"].values()
        for operation in item.values()
        for status, response in operation["responses"].items()
        for content in response.get("content", {}).values()
        if status.startswith("2") and content.get("schema", {}).get("type") == "array"
    ]
    assert bare == []


@pytest.fixture
def small_config(tmp_path, config: Config) -> Config:
    return make_config(
        tmp_path,
        config.database.url.reveal(),
        config.redis.url.reveal(),
        PEGBOARD_HTTP__ALLOWED_ORIGINS="https://shop.example",
        PEGBOARD_HTTP__ALLOWED_HOSTS="platform.test",
        PEGBOARD_HTTP__RATE_PER_IP="5",
        PEGBOARD_HTTP__PUBLIC_URL="https://api.example",
    )


@pytest.fixture
async def small(small_config: Config):
    entry = Entry(small_config, AccessLog(LineBuffer(), as_json=True, enabled=False))
    await entry.platform.start()
    yield entry
    await entry.platform.stop()


def client_of(entry: Entry, address: str, base_url: str = "http://platform.test") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=entry, client=(address, 1))  # type: ignore[arg-type]  # ASGI types differ in name only
    return httpx.AsyncClient(transport=transport, base_url=base_url)


async def test_perimeter(small: Entry):
    """Allowed origins and hosts, HSTS and the rate of one address, on a platform that sets them."""
    async with client_of(small, "203.0.113.1") as client:
        preflight = {"origin": "https://shop.example", "access-control-request-method": "POST"}
        allowed = await client.options("/api/v1/auth/login", headers=preflight)
        assert allowed.status_code == 204
        assert allowed.headers["access-control-allow-origin"] == "https://shop.example"
        assert "idempotency-key" in allowed.headers["access-control-allow-headers"].lower()
        evil = await client.options("/api/v1/auth/login", headers={**preflight, "origin": "https://shop.example.evil"})
        assert evil.status_code == 403
        assert "access-control-allow-origin" not in evil.headers
        simple = await client.get("/health/live", headers={"origin": "https://shop.example"})
        assert simple.headers["access-control-allow-origin"] == "https://shop.example"
        assert "ETag" in simple.headers["access-control-expose-headers"]
        assert simple.headers["strict-transport-security"].startswith("max-age=")
        other = await client.get("/health/live", headers={"origin": "null"})
        assert "access-control-allow-origin" not in other.headers
        await client.get("/health/live")
        limited = await client.get("/health/live", headers={"origin": "https://shop.example"})
        assert limited.status_code == 429
        assert limited.json()["code"] == "too_many_requests"
        assert int(limited.headers["retry-after"]) >= 1
        assert limited.headers["access-control-allow-origin"] == "https://shop.example"
    async with client_of(small, "203.0.113.2", "http://elsewhere.test") as client:
        assert (await client.get("/health/live")).status_code == 421
