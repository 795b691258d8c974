"""Our gunicorn application: threads, keep-alive and drain as a container behind queue-proxy needs them.

The framework's own CLI serves the same function but closes idle connections after 2 s (queue-proxy reuses them for
90 s and would answer 502) and cuts a drain at 30 s.
"""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import functions_framework
from gunicorn.app.base import BaseApplication

from functions.kit.http.function import names_in
from functions.kit.http.service import Service, start
from functions.kit.server.gunicorn_worker import PatientWorker
from functions.kit.telemetry.reporting import request_id

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from flask import Flask, Response
    from gunicorn.arbiter import Arbiter

# queue-proxy and the activator reuse idle connections for 90 s: closing later than they do leaves no race.
KEEPALIVE_SECONDS = 100
# Field sizes as large as the ingress lets through (Envoy: 60 KiB in all), so that a long trace context passes.
HEADER_BYTES = 16380


class Worker(PatientWorker):
    """gunicorn's threads, with readiness that turns false before the drain."""

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM: not ready any more; requests in flight finish."""
        self.app.service.draining = True
        super().handle_exit(sig, frame)

    def murder_pending(self) -> None:
        """Close connections that never sent a request once they are late, or at once in a drain.

        A browser opens connections in advance; gunicorn would let them hold up a drain for its whole grace.
        """
        if not self.alive:
            for conn in self.pending_conns:
                if not getattr(conn, "lingers", False):
                    conn.timeout = 0.0
        super().murder_pending()


class Application(BaseApplication):  # type: ignore[misc]
    """One function under gunicorn.

    Args:
        app: the Flask application of the function.
        service: its settings and state.
        bind: address and port.
    """

    def __init__(self, app: Flask, service: Service, bind: str) -> None:
        self.app = app
        self.service = service
        self._bind = bind
        super().__init__()

    def load_config(self) -> None:
        """Everything gunicorn is told, with its reason where it is not obvious."""
        settings = self.service.settings
        options = {
            "bind": self._bind,
            "worker_class": Worker,
            "workers": settings.workers,
            # Two beyond the concurrency that queue-proxy admits: health and metrics answer while all others work.
            "threads": settings.concurrency + 2,
            # Idle connections wait in the poller, at a few kilobytes each: gunicorn's thousand would be soon taken.
            "worker_connections": 10_000,
            "timeout": 0,
            "graceful_timeout": max(settings.timeout_seconds - 10, 1),
            "keepalive": KEEPALIVE_SECONDS,
            "limit_request_field_size": HEADER_BYTES,
            "control_socket_disable": True,
            # The heartbeat file: in memory, so that a read-only root works.
            "worker_tmp_dir": "/dev/shm" if Path("/dev/shm").is_dir() else None,  # noqa: S108
            "loglevel": "warning",
            "proc_name": f"pixelamp-{self.service.function.name}",
        }
        if self.service.function.exit_code is not None:
            options["child_exit"] = self._follow
        for name, value in options.items():
            self.cfg.set(name, value)

    def _follow(self, arbiter: Arbiter, _worker: Any) -> None:
        """End the server with the code that the function states, where it states one."""
        code = self.service.function.exit_code(self.service.settings) if self.service.function.exit_code else None
        if code is not None:
            arbiter.kill_workers(signal.SIGKILL)
            os._exit(code)

    def load(self) -> WSGIApplication:
        """The WSGI application, made before the workers are forked."""
        return partial(_identified, self.app)


def build(name: str) -> tuple[Flask, Service]:
    """The Flask application of a function, as the framework makes it, and its service.

    Args:
        name: of the function; its module is `functions/<name>/main.py`.

    Raises:
        SettingsError: the environment holds values that are not allowed.
        FileNotFoundError: there is no such function.
        ModuleNotFoundError: its extra is not installed.
    """
    folder = Path(__file__).parents[2]
    source = folder / name / "main.py"
    if not source.is_file():
        raise FileNotFoundError(f"no function {name!r}; the functions are {', '.join(names_in(folder))}")
    app: Flask = functions_framework.create_app(name, str(source), "http")  # type: ignore[no-untyped-call]
    # The framework runs the file as a module of its own, named `main`: this is the one that will be called.
    service = start(sys.modules["main"].FUNCTION, os.environ)
    # Every path is the function's: two the framework answers by itself, some it finds no rule for, some it redirects.
    app.register_error_handler(404, partial(_run, app))
    app.url_map.merge_slashes = False
    return app, service


def _run(app: Flask, _error: Exception) -> Response:
    return app.view_functions["run"](path="")  # type: ignore[return-value] # our function's, which the framework wraps


def _identified(app: Flask, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer under one id: the framework would make up a second for its own log, a character at a time."""
    identifier = request_id(environ.get("HTTP_X_REQUEST_ID"))
    environ["HTTP_X_REQUEST_ID"] = identifier
    environ.setdefault("HTTP_FUNCTION_EXECUTION_ID", identifier)
    return app(environ, start_response)
