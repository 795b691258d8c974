"""Log lines, request and trace ids, Prometheus metrics and Server-Timing of a function.

Logs contain nothing of an image: no bytes, no file name, no metadata.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import sys
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from functions.kit.deferred import deferred

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry

REQUEST_ID = re.compile(r"[A-Za-z0-9._~:+/=@-]{1,128}")
# https://www.w3.org/TR/trace-context/#traceparent-header: version ff and ids of all zeros are invalid.
TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def request_id(received: str | None) -> str:
    """The id from the request if it is valid, else a new one of 128 random bits in hexadecimal."""
    if received and REQUEST_ID.fullmatch(received):
        return received
    return secrets.token_hex(16)


def trace_id(traceparent: str | None) -> str | None:
    """The trace id of a traceparent header; None if it is absent or invalid."""
    match = TRACEPARENT.fullmatch(traceparent) if traceparent else None
    return match[1] if match else None


@dataclass(frozen=True)
class Identity:
    """Function, pod and revision that answer; outside Knative the pod has a generated name."""

    function: str
    pod: str
    revision: str

    @classmethod
    def of(cls, function: str) -> Identity:
        """Read the identity from the variables that Knative and the local engine set."""
        pod = os.environ.get("HOSTNAME") or f"{function}-{os.getpid()}"
        return cls(function, pod, os.environ.get("K_REVISION") or "local")


class Log:
    """Write one line per request to a stream: JSON, or text on a terminal."""

    def __init__(self, identity: Identity, form: str = "auto", stream: TextIO | None = None) -> None:
        self._identity = identity
        self._stream = stream or sys.stdout
        self._text = form == "text" or (form == "auto" and self._stream.isatty())

    def write(self, level: str, message: str, **fields: object) -> None:
        """Write one line; fields of None are left out."""
        fields = {name: value for name, value in fields.items() if value is not None}
        now = datetime.now(UTC)
        if self._text:
            text = " ".join(f"{name}={value}" for name, value in fields.items())
            line = f"{now:%H:%M:%S} {level:<7} {message} {text}"
        else:
            line = json.dumps(
                {
                    "time": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                    "level": level,
                    "message": message,
                    "function": self._identity.function,
                    "pod": self._identity.pod,
                    "revision": self._identity.revision,
                    **fields,
                },
                ensure_ascii=False,
            )
        # One write per line, so that lines of concurrent threads do not mix.
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            # A closed or full log must not fail the request.
            pass


@cache
def project_version() -> str:
    """The version of the installed distribution, or of the sources where only their requirements are installed.

    It is part of the name of a directory: importlib.metadata would be a twentieth of a cold start.
    """
    for entry in sys.path:
        for directory in Path(entry).glob("pixelamp-*.dist-info"):
            return directory.name.removesuffix(".dist-info").partition("-")[2]
    return _source_version()


def _source_version() -> str:
    import tomllib

    try:
        text = (Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8")
    except OSError:
        return "unknown"
    return str(tomllib.loads(text)["project"]["version"])


# The library's variable: a folder of files in which processes share counters.
MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"


class Metrics:
    """Prometheus metrics of a function.

    The client library is imported when metrics are requested, or once EARLY changes were kept for it: the first
    requests of a pod do not wait for the import. Several processes, which share counters in files, import it at once.
    """

    EARLY = 64

    SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
    BYTES = (1e3, 1e4, 1e5, 1e6, 3e6, 1e7, 3e7, 1e8)

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._lock = threading.Lock()
        self._registry: CollectorRegistry | None = None
        self._early: list[Callable[[], None]] = []

    def _load(self) -> None:
        with self._lock:
            if self._registry is not None:
                return
            # Its exposition has an HTTP server and client, which take longer to import than all the rest of it.
            with deferred("prometheus_client.exposition"):
                from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

            registry = CollectorRegistry()
            labels = ["function"]
            self._requests = Counter(
                "pixelamp_requests", "Requests answered.", [*labels, "operation", "status"], registry=registry
            )
            self._seconds = Histogram(
                "pixelamp_request_seconds",
                "Time from the request's headers to the end of its response.",
                [*labels, "operation"],
                buckets=self.SECONDS,
                registry=registry,
            )
            self._bytes = Histogram(
                "pixelamp_request_bytes",
                "Bytes of request bodies.",
                labels,
                buckets=self.BYTES,
                registry=registry,
            ).labels(self._identity.function)
            self._in_flight = Gauge(
                "pixelamp_requests_in_flight",
                "Requests in flight.",
                labels,
                registry=registry,
                multiprocess_mode="livesum",
            ).labels(self._identity.function)
            info = Gauge(
                "pixelamp_build_info",
                "Always 1.",
                [*labels, "version", "revision"],
                registry=registry,
                multiprocess_mode="livemax",
            )
            info.labels(self._identity.function, project_version(), self._identity.revision).set(1)
            for change in self._early:
                change()
            self._early.clear()
            self._registry = registry

    def _change(self, change: Callable[[], None]) -> None:
        """Apply a change, or keep it for the library."""
        if self._registry is None:
            with self._lock:
                if self._registry is None and len(self._early) < self.EARLY and MULTIPROCESS not in os.environ:
                    self._early.append(change)
                    return
            self._load()
        change()

    def started(self) -> None:
        """Count a request that has begun."""
        self._change(self._started)

    def finished(self, operation: str, status: int, seconds: float, bytes_in: int) -> None:
        """Count a request whose response has ended."""
        self._change(lambda: self._finished(operation, status, seconds, bytes_in))

    def _started(self) -> None:
        self._in_flight.inc()

    def _finished(self, operation: str, status: int, seconds: float, bytes_in: int) -> None:
        function = self._identity.function
        self._in_flight.dec()
        self._requests.labels(function, operation, str(status)).inc()
        self._seconds.labels(function, operation).observe(seconds)
        self._bytes.observe(bytes_in)

    def exposition(self) -> tuple[bytes, str]:
        """The metrics in Prometheus' text format, and its media type."""
        self._load()
        from prometheus_client import CollectorRegistry
        from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

        registry = self._registry
        if os.environ.get(MULTIPROCESS):
            from prometheus_client.multiprocess import MultiProcessCollector

            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        assert registry is not None
        return generate_latest(registry), CONTENT_TYPE_LATEST


class Timing:
    """Phases of a request for `Server-Timing`, in milliseconds."""

    def __init__(self) -> None:
        self.start = time.perf_counter()
        self.phases: list[tuple[str, float, float]] = []  # name, seconds, and when it ended since the start

    def add(self, name: str, seconds: float) -> None:
        """Add a phase that ends now; one of the same name adds to its time."""
        self.phases.append((name, seconds, self.elapsed()))

    def elapsed(self) -> float:
        """Seconds since the request began."""
        return time.perf_counter() - self.start

    def header(self) -> str:
        """https://www.w3.org/TR/server-timing/ with the total last."""
        phases: dict[str, float] = {}
        for name, seconds, _ in self.phases:
            phases[name] = phases.get(name, 0.0) + seconds
        phases["total"] = self.elapsed()
        return ", ".join(f"{name};dur={seconds * 1000:.2f}" for name, seconds in phases.items())
