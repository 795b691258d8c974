"""Our gunicorn application: `python -m functions.kit.server histogram`.

The framework's own CLI serves the same function but closes idle connections after 2 s (queue-proxy reuses them for
90 s and would answer 502) and cuts a drain at 30 s. Everything here is chosen for a container behind queue-proxy.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import struct
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication
from gunicorn.workers.gthread import ThreadWorker

from functions.kit.service import NO_CONTENT_POLICY, Service, start
from functions.kit.settings import SettingsError

if TYPE_CHECKING:
    from flask import Flask, Response

# queue-proxy and the activator reuse idle connections for 90 s: closing later than they do leaves no race.
KEEPALIVE_SECONDS = 100
# Field sizes as large as the ingress lets through (Envoy: 60 KiB in all), so that a long trace context passes.
HEADER_BYTES = 16380
EXIT_CONFIGURATION = 2


class Worker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's threads, with readiness that turns false before the drain and a bound on silent clients."""

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM: not ready any more; requests in flight finish."""
        self.app.service.draining = True
        super().handle_exit(sig, frame)

    def enqueue_req(self, conn: Any) -> None:
        """Give a connection to a thread; a client that falls silent in its headers may not keep that thread."""
        import socket

        seconds = struct.pack("ll", int(self.app.service.settings.body_seconds) or 1, 0)
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, seconds)
        super().enqueue_req(conn)


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
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """The WSGI application, made before the workers are forked."""
        return self.app


def build(name: str) -> tuple[Flask, Service]:
    """The Flask application of a function, as the framework makes it, and its service.

    Args:
        name: of the function; its module is `functions/<name>/main.py`.

    Raises:
        SettingsError: the environment holds values that are not allowed.
        ModuleNotFoundError: there is no such function, or its extra is not installed.
    """
    import functions_framework

    source = Path(__file__).parents[1] / name / "main.py"
    if not source.is_file():
        raise ModuleNotFoundError(f"there is no function {name!r} here")
    app: Flask = functions_framework.create_app(name, str(source), "http")  # type: ignore[no-untyped-call]
    # The framework runs the file as a module of its own, named `main`: this is the one that will be called.
    service = start(sys.modules["main"].FUNCTION, os.environ)
    app.after_request(_harden)
    return app, service


def _harden(response: Response) -> Response:
    """The framework's own answers (/favicon.ico, /robots.txt) get the headers of all others."""
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Content-Security-Policy", NO_CONTENT_POLICY)
    return response


def main(argv: list[str] | None = None) -> int:
    """Serve one function until SIGTERM.

    Returns:
        0 after a drain, 2 where the settings or arguments are wrong.
    """
    parser = argparse.ArgumentParser(prog="python -m functions.kit.server", description=__doc__.splitlines()[0])
    parser.add_argument("function", help="histogram, exif or stress")
    parser.add_argument("--host", default="0.0.0.0", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", default=os.environ.get("PORT", "8080"), help="default: $PORT, else 8080")
    arguments = parser.parse_args(argv)
    name = arguments.function
    if not (arguments.port.isdigit() and 0 < int(arguments.port) < 65536):
        parser.error(f"invalid port {arguments.port!r}: expected 1 to 65535")
    try:
        app, service = build(name)
    except ModuleNotFoundError as error:
        parser.error(str(error))
    except SettingsError as error:
        for mistake in error.mistakes:
            print(mistake, file=sys.stderr)  # noqa: T201
        return EXIT_CONFIGURATION
    if service.settings.workers > 1 and "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        # Counters of several processes meet in files; the library reads the variable when it is imported.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="pixelamp-metrics-")
    # What exists now lives as long as the process: collected never, and shared with the workers.
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    Application(app, service, f"{arguments.host}:{arguments.port}").run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
