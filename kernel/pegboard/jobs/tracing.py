"""The W3C trace context of whoever enqueues, kept on the row and restored around the run."""

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

__all__ = ("current_traceparent", "restored")


def current_traceparent() -> str | None:
    """The `traceparent` of the running span; None where nothing traces."""
    if not trace.get_current_span().get_span_context().is_valid:
        return None
    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent")


def restored(traceparent: str | None) -> Context:
    """The context in which a span becomes a child of the span that `traceparent` names."""
    return TraceContextTextMapPropagator().extract({"traceparent": traceparent} if traceparent else {})
