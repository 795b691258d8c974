"""A step for tests: it answers each event with an event whose id says which steps it passed."""

from __future__ import annotations

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Step(BaseHTTPRequestHandler):
    """One step; `$STEP` is its name."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        for name in ("specversion", "source", "type"):
            self.send_header(f"ce-{name}", self.headers[f"ce-{name}"])
        self.send_header("ce-id", f"{self.headers['ce-id']}>{os.environ['STEP']}")
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    """As many connections at once as the queue in front lets through."""

    request_queue_size = 128
    daemon_threads = True


if __name__ == "__main__":
    Server(("127.0.0.1", int(os.environ["PORT"])), Step).serve_forever()
