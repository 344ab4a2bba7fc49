"""Traces: spans of requests and of looks, sent by OpenTelemetry where the extra `otel` is installed and asked for.

Without it `Traces` does nothing and costs nothing. The library is imported when an endpoint is given, by nobody else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from argosy.errors import BadInput, Problem

T = TypeVar("T")


class Traces:
    """Makes spans."""

    def __init__(self, tracer: Any = None, provider: Any = None) -> None:
        self.tracer, self.provider = tracer, provider

    @contextmanager
    def span(self, name: str, **attributes: str | int | float | bool) -> Iterator[Any]:
        """One span around what is done inside; None without a tracer."""
        if self.tracer is None:
            yield None
            return
        with self.tracer.start_as_current_span(name, attributes=attributes) as span:
            yield span

    def around(self, name: str, call: Callable[[], T]) -> Callable[[], T]:
        """The call with a span around it."""
        if self.tracer is None:
            return call

        def traced() -> T:
            with self.span(name):
                return call()

        return traced

    def close(self) -> None:
        """Send what is left."""
        if self.provider is not None:
            self.provider.shutdown()


def to_endpoint(endpoint: str | None, version: str) -> Traces:
    """Traces to an OTLP endpoint over HTTP, for example http://127.0.0.1:4318. BadInput without the extra `otel`."""
    if endpoint is None:
        return Traces()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        message = "traces need the extra `otel`: install argosy[otel]"
        raise BadInput([Problem("--traces", 0, 0, "option.extra", "", message)]) from error
    provider = TracerProvider(resource=Resource.create({"service.name": "argosy", "service.version": version}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces")))
    return Traces(provider.get_tracer("argosy", version), provider)
