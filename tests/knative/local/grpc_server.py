"""A container for tests of the engine: a gRPC server of grpcio, whose messages are bytes.

`/echo.Echo/Unary`, `Download`, `Upload` and `Both` echo; `Fail` ends with a status and trailers. SERVICES names, comma
by comma, what the health service answers SERVING for; a file named SICK makes it answer NOT_SERVING. GOAWAY_MS is the
age at which a connection is sent GOAWAY.
"""

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"


def mark(context: grpc.ServicerContext) -> None:
    """Send metadata before and after the answer, with what the client's says."""
    received = dict(context.invocation_metadata())
    context.send_initial_metadata((("x-pod", os.environ.get("HOSTNAME", "")),))
    context.set_trailing_metadata((("x-seen", received.get("x-asked", "")), ("x-bin-bin", b"\x00\xff")))


def unary(request: bytes, context: grpc.ServicerContext) -> bytes:
    mark(context)
    return request


def download(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
    mark(context)
    count, _, size = request.partition(b"x")
    for number in range(int(count)):
        yield b"%d " % number + bytes(int(size or 0))


def upload(requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
    mark(context)
    sizes = [len(request) for request in requests]
    return b"%d messages, %d bytes" % (len(sizes), sum(sizes))


def both(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
    mark(context)
    yield from requests


def fail(request: bytes, context: grpc.ServicerContext) -> bytes:
    context.set_trailing_metadata((("x-why", "because"),))
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "no: ü\n")
    return b""


def check(request: bytes, context: grpc.ServicerContext) -> bytes:
    name = request[2 if len(request) < 130 else 3 :].decode()  # after the field's number and its length
    if name not in os.environ.get("SERVICES", "").split(","):
        context.abort(grpc.StatusCode.NOT_FOUND, f"unknown service {name}")
    return NOT_SERVING if Path(os.environ.get("SICK", "/nowhere")).exists() else SERVING


def main() -> None:
    age = os.environ.get("GOAWAY_MS")
    options = [("grpc.max_connection_age_ms", int(age)), ("grpc.max_connection_age_grace_ms", 60_000)] if age else []
    server = grpc.server(ThreadPoolExecutor(16), options=options)
    echo = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Download": grpc.unary_stream_rpc_method_handler(download),
        "Upload": grpc.stream_unary_rpc_method_handler(upload),
        "Both": grpc.stream_stream_rpc_method_handler(both),
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
    }
    health = {"Check": grpc.unary_unary_rpc_method_handler(check)}
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler("echo.Echo", echo),
            grpc.method_handlers_generic_handler("grpc.health.v1.Health", health),
        )
    )
    server.add_insecure_port(f"127.0.0.1:{os.environ['PORT']}")
    server.start()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    ended.wait()
    server.stop(5).wait()


if __name__ == "__main__":
    main()
