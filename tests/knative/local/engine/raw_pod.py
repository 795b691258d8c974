"""A container for tests of the engine that writes the bytes its request names, whatever HTTP they make.

The path ends in base64url pieces joined by `,`; each is written after a pause. `?early=1` answers before the body is
read; a path that ends in `/file` is answered with the file ANSWER. The connection stays open.
"""

import base64
import os
import socket
import threading
import time
from pathlib import Path

PAUSE = 0.05


def receive(connection: socket.socket) -> bytes | None:
    """The headers of a request, after its body has been read unless it asks for an early answer."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    while len(body) < length and b"early=1" not in head:
        body += connection.recv(65536)
    return head


def serve(connection: socket.socket) -> None:
    """Answer the requests of one connection."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        while (head := receive(connection)) is not None:
            target = head.split(b" ")[1].split(b"?")[0]
            if target.endswith(b"/file"):
                connection.sendall(Path(os.environ["ANSWER"]).read_bytes())
                continue
            for piece in target.rsplit(b"/", 1)[-1].split(b","):
                connection.sendall(base64.urlsafe_b64decode(piece))
                time.sleep(PAUSE)
    except OSError:
        pass


listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
