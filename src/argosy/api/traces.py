"""Traces: spans of requests, looks and jobs, sent by OpenTelemetry where the extra `otel` is installed and asked for.

A request goes on with the caller's trace (`traceparent`); a job is below the request that submitted it, a run below its
job, its start and its work below the run. They are told when the job ends, from the store. Spans are sent in the
background: a receiver that is slow or away costs spans, never time. Without it `Traces` does nothing and costs nothing.
The library is imported when an endpoint is given, by nobody else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

from argosy.errors import BadInput, OutsideError, Problem
from argosy.model.job import JOB_ENDS, Job, Run
from argosy.store import Store

T = TypeVar("T")
MOST_SUBMITTED = 10_000
PAGE = 1000
SEND_SECONDS = 2
"""How long a receiver may take; what it does not take in that time is dropped."""
GATHER_SECONDS = 1.0
_log = logging.getLogger("argosy.api")


class Traces:
    """Makes spans."""

    def __init__(self, tracer: Any = None, provider: Any = None) -> None:
        self.tracer, self.provider = tracer, provider
        self.submitted: dict[str, Any] = {}
        """Job to the context of the request that it came with, for the newest jobs."""

    @contextmanager
    def span(self, name: str, caller: str | None = None, **attributes: str | int | float | bool) -> Iterator[Any]:
        """One span around what is done inside; None without a tracer. `caller` is a traceparent to go on with."""
        if self.tracer is None:
            yield None
            return
        context = _extract({"traceparent": caller}) if caller is not None else None
        with self.tracer.start_as_current_span(name, context=context, attributes=attributes) as span:
            yield span

    def came(self, jobs: Iterable[str]) -> None:
        """Remember that jobs came with the present request."""
        if self.tracer is None:
            return
        context = _current()
        for job in jobs:
            self.submitted[job] = context
        while len(self.submitted) > MOST_SUBMITTED:
            del self.submitted[next(iter(self.submitted))]

    def ended(self, job: Job, runs: Sequence[Run]) -> None:
        """Tell of a job that ended and of its runs."""
        if self.tracer is None or job.finished_at is None:
            return
        told = {"argosy.job": job.id, "argosy.project": job.project, "argosy.name": job.name}
        with self._past(
            "job", self.submitted.pop(job.id, None), job.created_at, job.finished_at,
            told | {"argosy.status": job.status, "argosy.reason": job.reason},
        ) as below:  # fmt: skip
            for run in runs:
                end = run.finished_at or job.finished_at
                place = {"argosy.pool": run.pool, "argosy.vendor": run.vendor, "argosy.region": run.region}
                told = {"argosy.run": run.id, "argosy.status": run.status, "argosy.reason": run.reason, **place}
                with self._past("run", below, run.created_at, end, told) as inside:
                    with self._past("start", inside, run.created_at, run.started_at or end, {}):
                        pass
                    if run.started_at is not None:
                        with self._past("work", inside, run.started_at, end, {}):
                            pass

    @contextmanager
    def _past(self, name: str, above: Any, begin: datetime, end: datetime, told: Mapping[str, str]) -> Iterator[Any]:
        """A span of what has been, with the context for what is below it."""
        span = self.tracer.start_span(name, context=above, start_time=_nanoseconds(begin), attributes=told)
        try:
            yield _within(span, above)
        finally:
            span.end(_nanoseconds(max(begin, end)))

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
    exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=SEND_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=int(1000 * GATHER_SECONDS)))
    # A receiver that is away would be told on the terminal with every batch.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    return Traces(provider.get_tracer("argosy", version), provider)


class JobSpans:
    """Tells of the jobs that end from now on: a position in the log of events, read after each look."""

    def __init__(self, traces: Traces, store: Store) -> None:
        self.traces, self.store = traces, store
        self.number = store.last_event()

    def after(self, look: Callable[[], T], leads: Callable[[], bool]) -> Callable[[], T]:
        """The look, and then what ended; of several replicas the one that leads tells it."""

        def told() -> T:
            done = look()
            try:
                self.tell(quiet=not leads())
            except OutsideError as error:
                _log.warning("spans of jobs were not read", extra={"error": str(error)})
            return done

        return told

    def tell(self, *, quiet: bool = False) -> None:
        """Read on; `quiet` only moves the position."""
        while page := self.store.events(after=self.number, limit=PAGE):
            self.number = page[-1].number
            ends = {e.job for e in page if e.job is not None and (e.body.get("job") or {}).get("status") in JOB_ENDS}
            if not quiet and ends:
                for name, job in self.store.jobs_named(sorted(ends)).items():
                    self.traces.ended(job, self.store.runs(name))


def _nanoseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000) * 1000


def _current() -> Any:
    from opentelemetry.context import get_current  # noqa: PLC0415

    return get_current()


def _within(span: Any, above: Any) -> Any:
    from opentelemetry.trace import set_span_in_context  # noqa: PLC0415

    return set_span_in_context(span, above)


def _extract(headers: Mapping[str, str]) -> Any:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

    return TraceContextTextMapPropagator().extract(headers)
