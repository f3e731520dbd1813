"""A run shows in the trace that began it, in one log line, and in the metrics."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pegboard.telemetry.metrics import Metrics
from pegboard_sdk import EventHandler, Job, UnitOfWork

from tests.kernel.jobs.lab import Lab, Ping, PingedView, leave_effect


async def leave(uow: UnitOfWork, ping: Ping) -> None:
    await leave_effect(uow, "ping", ping.n)


async def leave_event(uow: UnitOfWork, event: PingedView) -> None:
    await leave_effect(uow, "event", event.n)


async def fail(_: UnitOfWork, __: Ping) -> None:
    raise ZeroDivisionError("no luck")


PING = Job(name="probe.ping", payload=Ping, run=leave)
BROKEN = Job(name="probe.broken", payload=Ping, run=fail, max_attempts=2)
LISTEN = EventHandler(event="probe.pinged", name="listen", type=PingedView, handle=leave_event)


@pytest.fixture
def spans(lab: Lab) -> Iterator[tuple[Any, InMemorySpanExporter]]:
    """A tracer of a provider that only this test uses, and what it exported."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    tracing = lab.runtime.tracing
    before = tracing.on, tracing._tracer
    tracing.on, tracing._tracer = True, tracer
    yield tracer, exporter
    tracing.on, tracing._tracer = before


async def test_a_job_and_a_delivery_continue_the_trace_of_whoever_began_them(
    lab: Lab, home: UUID, spans: tuple[Any, InMemorySpanExporter]
):
    tracer, exporter = spans
    lab.install(PING, handlers=[LISTEN])
    with tracer.start_as_current_span("request") as request:
        await lab.enqueue(home, PING, 1)
        await lab.emit(home, 2)
    await lab.drain()
    context = request.get_span_context()
    found = {span.name: span for span in exporter.get_finished_spans()}
    for name in ("job probe.ping", "job probe.pinged/listen"):
        parent, attributes = found[name].parent, found[name].attributes
        assert parent is not None
        assert attributes is not None
        assert (parent.trace_id, parent.span_id) == (context.trace_id, context.span_id)
        assert attributes["pegboard.tenant_id"] == str(home)


async def test_a_job_of_nobody_who_traces_has_no_trace(lab: Lab, home: UUID):
    lab.install(PING)
    job_id = await lab.enqueue(home, PING, 1)
    assert (await lab.row(job_id))["trace"] is None


@pytest.fixture
def every_level() -> Iterator[None]:
    """Whatever level an earlier test's command has set for this process."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(0))
    yield
    structlog.configure(**before)


@pytest.mark.usefixtures("every_level")
async def test_each_run_is_one_line(lab: Lab, home: UUID):
    lab.install(PING, BROKEN)
    done, broken = await lab.enqueue(home, PING, 1), await lab.enqueue(home, BROKEN, 1)
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        await lab.drain(include_delayed=True)
    shown = [(line["event"], line["log_level"], line["job_id"], line["attempt"], line["tenant_id"]) for line in lines]
    assert sorted(shown) == [
        ("job.dead", "error", str(broken), 2, str(home)),
        ("job.retried", "warning", str(broken), 1, str(home)),
        ("job.succeeded", "info", str(done), 1, str(home)),
    ]


async def test_outcomes_are_counted(lab: Lab, home: UUID):
    before, lab.runtime.metrics = lab.runtime.metrics, Metrics()
    try:
        lab.install(PING, BROKEN)
        await lab.enqueue(home, PING, 1)
        await lab.enqueue(home, BROKEN, 1)
        await lab.drain(include_delayed=True)
        registry = lab.runtime.metrics.registry
        counted = {
            (job, outcome): registry.get_sample_value(
                "pegboard_jobs_total", {"plugin": "probe", "job": job, "outcome": outcome}
            )
            for job, outcome in (
                ("probe.ping", "succeeded"),
                ("probe.broken", "retried"),
                ("probe.broken", "dead"),
            )
        }
    finally:
        lab.runtime.metrics = before
    assert set(counted.values()) == {1.0}
