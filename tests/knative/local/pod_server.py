"""A container for tests of the engine: a small HTTP/1.1 server of the standard library that does what its query says.

`?sleep=0.5` waits, `?status=418` answers that, `?size=1000` sends a body of so many bytes, `?chunks=3` sends lines one
by one, `?events=3` sends server-sent events, `?die=1` ends the process, `?partial=1` breaks off within the body,
`?id=x` writes x to the file LEDGER once it is answered, `?gone=1` writes "gone" there if the client leaves first,
`?work=1` waits WORK_SECONDS with nothing else at work.
An Upgrade to websocket is accepted and frames are echoed as raw bytes; trailers are listed among the headers.
START_SECONDS delays the listening; a file named UNREADY makes `/ready` answer 503; IDLE_SECONDS closes idle
connections. After SIGTERM the file AT_THE_END says how many connections its clients still keep a second later.

A thread for each connection, since tests start hundreds of these: without asyncio it is up in a quarter of the time.
"""

import _thread
import json
import os
import select
import signal
import socket
import struct
import sys
import time

WORK = _thread.allocate_lock()
OPEN: set[socket.socket] = set()
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
IDLE = float(os.environ.get("IDLE_SECONDS", "90"))


def write(line: str) -> None:
    """One line of the ledger, whole or not at all."""
    path = os.environ.get("LEDGER")
    if path:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, f"{line}\n".encode())
        os.close(descriptor)


class Connection:
    """One connection: requests one after another."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.reader = sock.makefile("rb")
        self.send = sock.sendall

    def serve(self) -> None:
        """Answer until the connection is over."""
        try:
            while self.answer():
                pass
        except (OSError, ValueError):  # a reset, an idle connection, or one that ended within a request
            pass
        finally:
            OPEN.discard(self.sock)
            self.reader.close()
            self.sock.close()

    def exactly(self, size: int) -> bytes:
        """So many bytes."""
        data = self.reader.read(size)
        if len(data) < size:
            raise OSError("the client left")
        return data

    def read_body(self, headers: dict[str, str]) -> bytes:
        """The whole body."""
        if headers.get("transfer-encoding") != "chunked":
            return self.exactly(int(headers.get("content-length", 0)))
        body = b""
        while size := int(self.reader.readline().split(b";")[0], 16):
            body += self.exactly(size)
            self.reader.readline()
        for name, value in self.fields():
            headers[f"trailer {name}"] = value
        return body

    def fields(self) -> list[tuple[str, str]]:
        """Header fields, or those after the body."""
        found = []
        while (field := self.reader.readline()).strip():
            name, _, value = field.decode("latin-1").partition(":")
            found.append((name.lower(), value.strip()))
        return found

    def tunnel(self, headers: dict[str, str]) -> None:
        """Accept a websocket and echo its bytes."""
        import base64
        import hashlib

        accept = base64.b64encode(hashlib.sha1(headers["sec-websocket-key"].encode() + GUID).digest())
        head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        self.send(head + b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        while data := self.reader.read1(65536):
            self.send(data)

    def wait(self, seconds: float, watch: bool) -> bool:
        """Sleep; False if the client left meanwhile."""
        if watch:
            return not select.select([self.sock], [], [], seconds)[0]
        time.sleep(seconds)
        return True

    def stream(self, count: int, events: bool) -> None:
        """Send lines or events one by one, 20 ms apart."""
        kind = b"text/event-stream" if events else b"text/plain"
        self.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: " + kind + b"\r\n\r\n")
        for number in range(count):
            line = b"data: %d\n\n" % number if events else b"%d\n" % number
            self.send(b"%x\r\n%s\r\n" % (len(line), line))
            time.sleep(0.02)
        self.send(b"0\r\n\r\n")

    def answer(self) -> bool:
        """One request; False once the connection is over."""
        self.sock.settimeout(IDLE)
        line = self.reader.readline()
        self.sock.settimeout(None)
        if not line:
            return False
        method, target, _ = line.decode("latin-1").split(" ", 2)
        headers = dict(self.fields())
        if headers.get("upgrade") == "websocket":
            self.tunnel(headers)
            return False
        if headers.get("expect") == "100-continue":
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = self.read_body(headers)
        path, _, text = target.partition("?")
        query = dict(pair.partition("=")[::2] for pair in text.split("&")) if text else {}
        if "die" in query:
            os.kill(os.getpid(), signal.SIGKILL)
        if "sleep" in query and not self.wait(float(query["sleep"]), "gone" in query):
            write("gone")
            return False
        if "work" in query:
            with WORK:
                time.sleep(float(os.environ["WORK_SECONDS"]))
        if "chunks" in query or "events" in query:
            self.stream(int(query.get("chunks") or query.get("events") or 0), "events" in query)
            return True
        unready = path == "/ready" and os.path.exists(os.environ.get("UNREADY", "/nowhere"))  # noqa: PTH110
        content = (
            b"x" * int(query["size"]) if "size" in query else json.dumps(told(line, headers, body, query)).encode()
        )
        head = b"HTTP/1.1 %d Status\r\nContent-Length: %d\r\nContent-Type: application/json\r\n\r\n"
        head %= (503 if unready else int(query.get("status", 200)), len(content))
        if "partial" in query:
            self.send(head + content[: len(content) // 2])
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
            return False
        self.send(head if method == "HEAD" else head + content)
        if "id" in query:
            write(query["id"])
        return True


def told(line: bytes, headers: dict[str, str], body: bytes, query: dict[str, str]) -> dict[str, object]:
    """What the answer says of the request and of the pod."""
    if "brief" in query:
        return {"pod": os.environ.get("HOSTNAME"), "id": query.get("id")}
    import hashlib

    method, target, _ = line.decode("latin-1").split(" ", 2)
    return {
        "method": method,
        "target": target,
        "headers": headers,
        "bytes": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "pod": os.environ.get("HOSTNAME"),
        "environment": {name: value for name, value in os.environ.items() if name not in {"PATH", "HOME"}},
        "arguments": sys.argv[1:],
    }


def listen() -> socket.socket:
    """The listening socket, and what ends the process at SIGTERM."""
    time.sleep(float(os.environ.get("START_SECONDS", "0")))
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", int(os.environ["PORT"])))
    server.listen(512)

    def end(*_: object) -> None:
        server.close()
        if "AT_THE_END" in os.environ:
            deadline = time.monotonic() + 1
            while OPEN and time.monotonic() < deadline:
                time.sleep(0.01)
            with open(os.environ["AT_THE_END"], "w") as file:  # noqa: PTH123
                file.write(f"{len(OPEN)}")
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    print("listening", flush=True)
    return server


def main() -> None:
    """Accept connections until SIGTERM."""
    server = listen()
    while True:
        sock, _ = server.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        OPEN.add(sock)
        _thread.start_new_thread(Connection(sock).serve, ())


main()
