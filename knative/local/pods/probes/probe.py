"""A probe as a manifest declares it, and one attempt: HTTP, TCP, gRPC, or a command."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

ANSWER_BYTES = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Probe:
    """How to ask. Without path, grpc and command it is the TCP probe, Knative's default.

    Attributes:
        port: The port to ask, as the program listens on it; None for its own, where requests go.
        path: Path of an HTTP GET that must be answered 200–399.
        tls: Whether that request is made over TLS; the certificate is not verified, as the kubelet does not.
        headers: Headers of that request.
        grpc: The service whose health is asked by gRPC, empty for the server's; None for no gRPC.
        command: A command that must exit with 0, run beside the pod with its environment.
        initial_delay, period, timeout: Seconds. A period of 0 is Knative's: eagerly until the first success.
        success_threshold, failure_threshold: Answers in a row that change the verdict.
    """

    port: int | None = None
    path: str | None = None
    tls: bool = False
    grpc: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    command: tuple[str, ...] = ()
    initial_delay: float = 0.0
    period: float = 0.0
    timeout: float = 1.0
    success_threshold: int = 1
    failure_threshold: int = 3


def listening(port: int) -> bool:
    """Whether anything takes connections on a port of 127.0.0.1: 30 µs, cheap enough to ask all the time."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as sock:
        if sock.connect_ex(("127.0.0.1", port)) not in (0, errno.EINPROGRESS):
            return False
        # On loopback the handshake is over by now, one way or the other.
        try:
            sock.getpeername()
        except OSError:
            return False
        return True


# Arguments, variables and directory of a command that runs beside a pod's program.
Beside: TypeAlias = Callable[[Sequence[str]], tuple[list[str], Mapping[str, str], str]]


async def ask(probe: Probe, port: int, beside: Beside) -> str | None:
    """Ask once.

    Args:
        probe: How.
        port: Where the pod listens on 127.0.0.1.
        beside: Says how to run a command beside the pod's program.

    Returns:
        None if the answer is good, else what was wrong with it.
    """
    try:
        async with asyncio.timeout(probe.timeout):
            if probe.command:
                return await _run(probe.command, *beside(probe.command))
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=_unverified() if probe.tls else None)
            try:
                if probe.grpc is not None:
                    from knative.local.pods.probes import grpc

                    return await grpc.check(probe.grpc, port, reader, writer)
                if probe.path is None:
                    return None
                return await _get(probe, port, reader, writer)
            finally:
                writer.transport.abort()
    except TimeoutError:
        return f"no answer within {probe.timeout:g} s"
    except ssl.SSLError as error:
        return f"no TLS on port {port}: {(error.reason or 'handshake failed').lower().replace('_', ' ')}"
    except OSError as error:
        return error.strerror or type(error).__name__


@cache
def _unverified() -> ssl.SSLContext:
    """A context that verifies no certificate, as a kubelet's probes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _get(probe: Probe, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str | None:
    lines = [f"GET {probe.path or '/'} HTTP/1.1", f"host: 127.0.0.1:{port}", "connection: close"]
    named = {name.lower() for name, _ in probe.headers}
    if "user-agent" not in named:
        lines.append("user-agent: kube-probe/knative-local")
    lines.append("k-kubelet-probe: queue")
    lines += [f"{name}: {value}" for name, value in probe.headers if name.lower() != "host"]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace"))
    status = (await reader.readline()).split(b" ", 2)
    if len(status) < 2 or not status[0].startswith(b"HTTP/") or not status[1].strip().isdigit():
        return "the answer is not HTTP"
    code = int(status[1])
    if 200 <= code < 400:
        # Reading it to its end spares the server a broken pipe in its log.
        await reader.read(ANSWER_BYTES)
        return None
    return f"GET {probe.path} answered {code}"


async def _run(command: Sequence[str], argv: list[str], environment: Mapping[str, str], directory: str) -> str | None:
    process = await asyncio.create_subprocess_exec(
        *argv,
        env=dict(environment),
        cwd=directory,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        code = await process.wait()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    return None if code == 0 else f"{command[0]} exited with {code}"
