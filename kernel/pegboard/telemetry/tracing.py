"""OpenTelemetry: the API in code, the SDK only where it is installed and switched on."""

import os
from collections.abc import Mapping
from typing import Any

from opentelemetry import propagate, trace

__all__ = ("Tracing", "configure_tracing", "current_traceparent")


def configure_tracing(service: str) -> bool:
    """Install the SDK's provider where `OTEL_EXPORTER_OTLP_ENDPOINT` is set (extra `pegboard[otel]`). Whether spans are
    recorded.

    Raises:
        ModuleNotFoundError: the endpoint is set and the extra is not installed.
    """
    if not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return Tracing.active()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return True


class Tracing:
    """Spans of requests and jobs. Without a provider nothing is called: even no-op spans cost microseconds."""

    def __init__(self) -> None:
        self.on = self.active()
        self._tracer = trace.get_tracer("pegboard")

    @staticmethod
    def active() -> bool:
        """Whether a real provider is installed."""
        return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider | trace.NoOpTracerProvider)

    def span(self, name: str, *, kind: trace.SpanKind, carrier: Mapping[str, str], attributes: dict[str, Any]) -> Any:
        """A context manager: the span of a request or job, continuing the trace that `carrier` holds (W3C trace
        context).
        """
        return self._tracer.start_as_current_span(
            name, context=propagate.extract(dict(carrier)), kind=kind, attributes=attributes
        )


def current_traceparent() -> str | None:
    """The current span's `traceparent`, to be carried through the outbox; None where there is no span."""
    if not trace.get_current_span().get_span_context().is_valid:
        return None
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier.get("traceparent")
