"""A container for tests of the engine: calls the URL that its query names, as any program of the standard library does.

`?url=…` answers the status and body of a GET there; `?connect=host:port` opens a tunnel through the proxy of the
environment and answers what comes back for `&send=…`; any other request answers the variables.
"""

import base64
import json
import os
import socket
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit


def call(url: str) -> dict[str, object]:
    try:
        with urllib.request.urlopen(url, timeout=20) as response:
            return {"status": response.status, "body": response.read().decode()}
    except urllib.error.HTTPError as error:
        return {"status": error.code, "body": error.read().decode()}
    except OSError as error:
        return {"status": 0, "body": str(error)}


def tunnel(target: str, send: str) -> dict[str, object]:
    proxy = urlsplit(os.environ["http_proxy"])
    credential = base64.b64encode(f"{proxy.username}:{proxy.password}".encode()).decode()
    with socket.create_connection((proxy.hostname or "", proxy.port or 0), timeout=20) as sock:
        sock.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n".encode())
        sock.sendall(f"Proxy-Authorization: Basic {credential}\r\n\r\n".encode())
        head = sock.recv(65536)
        sock.sendall(send.encode())
        body = b""
        while chunk := sock.recv(65536):
            body += chunk
    return {"head": head.decode(), "body": body.decode("latin-1")}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        query = dict(parse_qsl(urlsplit(self.path).query))
        if "url" in query:
            told = call(query["url"])
        elif "connect" in query:
            told = tunnel(query["connect"], query.get("send", ""))
        else:
            told = dict(os.environ)
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
