"""OpenTelemetry: a server span for each request, with a child span for each phase of its work.

Imported only where OTEL_EXPORTER_OTLP_ENDPOINT is set; needs the extra `otel`. The SDK reads its own variables, such as
OTEL_TRACES_SAMPLER and OTEL_EXPORTER_OTLP_HEADERS.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from functions.kit.telemetry.reporting import Identity, Timing, project_version

if TYPE_CHECKING:
    from flask import Request

FAILED = 500
_PROPAGATOR = TraceContextTextMapPropagator()


class Tracing:
    """The tracer of one process.

    Args:
        identity: function, pod and revision, which become resource attributes.
        environ: K_SERVICE, as Knative sets it; the SDK reads its own variables from the process.
        exporter: where spans go; None for the OTLP exporter over HTTP.
    """

    def __init__(
        self, identity: Identity, environ: Mapping[str, str], exporter: OTLPSpanExporter | None = None
    ) -> None:
        resource = Resource.create(
            {
                "service.name": environ.get("K_SERVICE") or identity.function,
                "service.version": project_version(),
                "service.instance.id": identity.pod,
                "k8s.pod.name": identity.pod,
                "knative.revision": identity.revision,
            }
        )
        self._provider = TracerProvider(resource=resource)
        # Its thread is started again in each worker: the SDK follows forks.
        self._provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("pixelamp")

    def begin(self, request: Request) -> Span:
        """The server span of a request, the child of its traceparent; the request then carries the span's own.

        What continues the trace (the log line, the reply of an event) reads it from the request's headers.
        """
        headers = {name.lower(): value for name, value in request.headers.items()}
        span = self._tracer.start_span(
            request.method, context=_PROPAGATOR.extract(headers), kind=SpanKind.SERVER, start_time=time.time_ns()
        )
        carried: dict[str, str] = {}
        _PROPAGATOR.inject(carried, set_span_in_context(span))
        for name, value in carried.items():
            request.environ[f"HTTP_{name.upper()}"] = value
        return span

    def end(self, span: Span, request: Request, operation: str, status: int, outcome: str, timing: Timing) -> None:
        """End a server span after the last byte of its response; the phases become its children."""
        now = time.time_ns()
        began = now - int(timing.elapsed() * 1e9)
        context = set_span_in_context(span)
        for name, seconds, ended in timing.phases:
            until = began + int(ended * 1e9)
            child = self._tracer.start_span(name, context=context, start_time=until - int(seconds * 1e9))
            child.end(until)
        span.update_name(f"{request.method} {operation}")
        span.set_attributes(
            {
                "http.request.method": request.method,
                "http.response.status_code": status,
                "url.path": request.path,
                "faas.name": operation,
                "pixelamp.outcome": outcome,
            }
        )
        if status >= FAILED:
            span.set_status(Status(StatusCode.ERROR, outcome))
        span.end(now)

    def shutdown(self) -> None:
        """Send what is left; the SDK also does it when the process exits."""
        self._provider.shutdown()
