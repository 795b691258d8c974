"""The gunicorn application: threads, keep-alive and drain for a container behind queue-proxy.

The framework's own CLI serves the same function, but closes idle connections after 2 s (queue-proxy reuses them for
90 s and would answer 502) and ends a drain after 30 s.
"""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from functions.kit.deferred import deferred

# Templates, form parser, command line, development server and SDK: a quarter of a cold start, used by no request.
with deferred(
    "click",
    "cloudevents.http",
    "cloudevents.http.event",
    "flask.cli",
    "flask.templating",
    "importlib.metadata",
    "jinja2",
    "logging.config",
    "werkzeug.formparser",
    "werkzeug.serving",
    "werkzeug.test",
):
    import functions_framework
    from gunicorn.app.base import BaseApplication

from functions.kit.http.function import names_in
from functions.kit.http.service import Service, start
from functions.kit.server.gunicorn_worker import FIELD_BYTES, FIELDS, LINE_BYTES, PollingWorker

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from flask import Flask
    from gunicorn.arbiter import Arbiter

# queue-proxy and the activator reuse idle connections for 90 s: closing later than they do avoids a race.
KEEPALIVE_SECONDS = 100


class Worker(PollingWorker):
    """The worker of a function: not ready from the start of a drain."""

    def handle_exit(self, sig: int, frame: object) -> None:
        """On SIGTERM: turn readiness false and finish the requests in flight."""
        self.app.service.draining = True
        super().handle_exit(sig, frame)

    def murder_pending(self) -> None:
        """Close connections without a request after their timeout, or at once in a drain.

        Browsers open connections in advance, and gunicorn lets them delay a drain for its whole grace period.
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
        """Set gunicorn's configuration."""
        settings = self.service.settings
        options = {
            "bind": self._bind,
            "worker_class": Worker,
            "workers": settings.workers,
            # Two above the concurrency that queue-proxy admits, for health and metrics.
            "threads": settings.concurrency + 2,
            # Idle connections wait in the poller, at a few kilobytes each; gunicorn's default is 1,000.
            "worker_connections": 10_000,
            "timeout": 0,
            "graceful_timeout": max(settings.timeout_seconds - 10, 1),
            "keepalive": KEEPALIVE_SECONDS,
            "limit_request_line": LINE_BYTES,
            "limit_request_fields": FIELDS,
            "limit_request_field_size": FIELD_BYTES,
            "control_socket_disable": True,
            # The heartbeat file is in memory, so that a read-only root works.
            "worker_tmp_dir": "/dev/shm" if Path("/dev/shm").is_dir() else None,  # noqa: S108
            "loglevel": "warning",
            "proc_name": f"pixelamp-{self.service.function.name}",
        }
        if self.service.function.exit_code is not None:
            options["child_exit"] = self._follow
        for name, value in options.items():
            self.cfg.set(name, value)

    def _follow(self, arbiter: Arbiter, _worker: object) -> None:
        """End the server with the code that the function states, where it states one."""
        code = self.service.function.exit_code(self.service.settings) if self.service.function.exit_code else None
        if code is not None:
            arbiter.kill_workers(signal.SIGKILL)
            os._exit(code)

    def load(self) -> WSGIApplication:
        """Return the WSGI application, created before the workers are forked."""
        return partial(_answer, self.app, self.service)


def build(name: str) -> tuple[Flask, Service]:
    """Create the Flask application of a function with the framework, and its service.

    Args:
        name: name of the function; its module is `functions/<name>/main.py`.

    Raises:
        SettingsError: the environment holds values that are not allowed.
        FileNotFoundError: unknown function.
        ModuleNotFoundError: its extra is not installed.
    """
    folder = Path(__file__).parents[2]
    source = folder / name / "main.py"
    if not source.is_file():
        raise FileNotFoundError(f"no function {name!r}; the functions are {', '.join(names_in(folder))}")
    app: Flask = functions_framework.create_app(name, str(source), "http")  # type: ignore[no-untyped-call]
    # The framework runs the file as the module `main`: that one will be called.
    service = start(sys.modules["main"].FUNCTION, os.environ)
    return app, service


def _answer(app: Flask, service: Service, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer a request as the framework does, without its routes and Flask's contexts, which cost more than parsing it.

    The framework has two paths of its own and redirects others: here all belong to the function.
    """
    return service.answer(app.request_class(environ))(environ, start_response)
