"""A container for tests of the engine that ignores PORT: it listens on the port FIXED of the address BIND.

With CERTIFICATE, a file of a key and its certificate, it speaks TLS alone.
"""

import http.server
import os


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers every GET."""

    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # head and body in one packet: in two, each answer waits 40 ms for an acknowledgement

    def do_GET(self) -> None:
        """Answer with the value of PORT."""
        body = os.environ["PORT"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


address = (os.environ.get("BIND", "127.0.0.1"), int(os.environ["FIXED"]))
server = http.server.ThreadingHTTPServer(address, Handler)
if "CERTIFICATE" in os.environ:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.environ["CERTIFICATE"])
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
