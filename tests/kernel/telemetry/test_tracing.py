"""Traces: from the request through the outbox into the job, with the SDK's in-memory exporter."""

import subprocess
import sys
from collections.abc import Iterator
from uuid import UUID

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pegboard.telemetry.tracing import Tracing

from tests.support.platform import TestPlatform

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(scope="session")
def provider() -> InMemorySpanExporter:
    """OpenTelemetry takes one provider per process, and keeps it."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.fixture
def spans(provider: InMemorySpanExporter, platform: TestPlatform) -> Iterator[InMemorySpanExporter]:
    before = platform.runtime.tracing
    platform.runtime.tracing = Tracing()
    provider.clear()
    yield provider
    platform.runtime.tracing = before


async def test_a_trace_goes_from_the_request_into_the_job(
    platform: TestPlatform, tenant: UUID, spans: InMemorySpanExporter
):
    account = await platform.account(tenant)
    price = {"amount": 100, "currency": "EUR"}
    draft = await account.client.post(
        "/api/v1/creation_studio/gigs", json={"title": "Traced logo", "price": price, "delivery_days": 3}
    )
    path = f"/api/v1/creation_studio/gigs/{draft.json()['id']}/publish"
    published = await account.client.post(path, headers={"traceparent": PARENT})
    assert published.status_code == 200
    (request,) = [span for span in spans.get_finished_spans() if span.name.endswith("/publish")]
    assert request.name == "POST /api/v1/creation_studio/gigs/{gig_id}/publish"
    assert request.context is not None
    assert f"{request.context.trace_id:032x}" == PARENT.split("-")[1]
    assert request.parent is not None
    assert f"{request.parent.span_id:016x}" == PARENT.split("-")[2]
    assert request.attributes is not None
    assert request.attributes["http.response.status_code"] == 200
    assert request.attributes["pegboard.plugin"] == "creation_studio"
    async with platform.runtime.database.system_transaction() as connection:
        carried = await connection.fetchval(
            "SELECT trace FROM kernel_events WHERE tenant_id = $1 AND name = 'creation_studio.gig_published'", tenant
        )
    assert carried.split("-")[1] == PARENT.split("-")[1]
    assert carried.split("-")[2] == f"{request.context.span_id:016x}"


def test_without_a_provider_nothing_is_traced():
    code = "from pegboard.telemetry.tracing import Tracing, current_traceparent as now; print(Tracing().on, now())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False None"
