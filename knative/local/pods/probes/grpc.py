"""The health check of gRPC, `grpc.health.v1.Health/Check`, as the kubelet's probe makes it."""

from __future__ import annotations

import asyncio

from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.exceptions import ProtocolError

_OK, _NOT_FOUND, _UNIMPLEMENTED = "0", "5", "12"
_SERVING = 1
_STATES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
_NO_HTTP2 = "the server does not answer in HTTP/2"
_READ_BYTES = 64 * 1024


async def check(service: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str | None:
    """Ask a server once; None if the service is serving, else what is wrong."""
    connection = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
    connection.initiate_connection()
    headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", f"127.0.0.1:{port}"),
        (":path", "/grpc.health.v1.Health/Check"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("user-agent", "kube-probe/knative-local"),
    ]
    connection.send_headers(1, headers)
    connection.send_data(1, _message(service), end_stream=True)
    fields: dict[str, str] = {}
    body = b""
    try:
        while True:
            writer.write(connection.data_to_send())
            data = await reader.read(_READ_BYTES)
            if not data:
                return _NO_HTTP2
            for event in connection.receive_data(data):
                if isinstance(event, events.ResponseReceived | events.TrailersReceived):
                    fields.update({str(name): str(value) for name, value in event.headers})
                elif isinstance(event, events.DataReceived):
                    body = (body + event.data)[:_READ_BYTES]
                elif isinstance(event, events.StreamReset | events.ConnectionTerminated):
                    return "the server broke the call off"
                elif isinstance(event, events.StreamEnded):
                    return _verdict(fields, body)
    except (ProtocolError, ConnectionError):
        return _NO_HTTP2


def _message(service: str) -> bytes:
    """A HealthCheckRequest: one field of text, left out where it is empty."""
    text = service.encode()
    length, prefix = len(text), b"\x0a"
    while length >= 0x80:
        prefix += bytes([length & 0x7F | 0x80])
        length >>= 7
    content = prefix + bytes([length]) + text if text else b""
    return b"\x00" + len(content).to_bytes(4, "big") + content


def _verdict(fields: dict[str, str], body: bytes) -> str | None:
    status = fields.get("grpc-status", "")
    if status == _UNIMPLEMENTED:
        return "the server does not implement grpc.health.v1.Health"
    if status != _OK:
        reason = fields.get("grpc-message") or f"HTTP status {fields.get(':status')}"
        return f"the health check failed: {reason}"
    message = body[5:]
    state = message[1] if len(message) >= 2 and message[0] == 0x08 else 0
    return None if state == _SERVING else f"the service is {_STATES.get(state, str(state))}"
