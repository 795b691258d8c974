"""A container for tests of the engine: a small HTTP/1.1 server of the standard library that does what its query asks.

`?sleep=0.5` waits, `?status=418` answers that, `?size=1000` sends a body of so many bytes, `?chunks=3` sends lines one
by one, `?events=3` sends server-sent events, `?die=1` ends the process, `?partial=1` breaks off within the body,
`?id=x` writes x to the file LEDGER once it is answered, `?gone=1` writes "gone" there if the client leaves first,
`?work=1` waits WORK_SECONDS with nothing else at work.
An Upgrade to websocket is accepted and frames are echoed as raw bytes; trailers are told among the headers.
START_SECONDS delays the listening; a file named UNREADY makes `/ready` answer 503; IDLE_SECONDS closes idle
connections. After SIGTERM the file AT_THE_END says how many connections its clients still keep a second later.
"""

import asyncio
import base64
import hashlib
import json
import os
import signal
import sys
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

WORK = asyncio.Lock()
OPEN: set[asyncio.StreamWriter] = set()
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def write(line: str) -> None:
    """One line of the ledger, whole or not at all."""
    path = os.environ.get("LEDGER")
    if path:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, f"{line}\n".encode())
        os.close(descriptor)


async def read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    """The whole body."""
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int((await reader.readline()).split(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readline()
        while (field := await reader.readline()).strip():
            name, _, value = field.decode("latin-1").partition(":")
            headers[f"trailer {name.lower()}"] = value.strip()
        return body
    return await reader.readexactly(int(headers.get("content-length", 0)))


async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, headers: dict[str, str]) -> None:
    """Accept a websocket and echo its bytes."""
    accept = base64.b64encode(hashlib.sha1(headers["sec-websocket-key"].encode() + GUID).digest())
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    writer.write(head + b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def wait(seconds: float, reader: asyncio.StreamReader, watch: bool) -> bool:
    """Sleep; False if the client left meanwhile."""
    if not watch:
        await asyncio.sleep(seconds)
        return True
    gone = asyncio.ensure_future(reader.read(1))
    done, _ = await asyncio.wait([gone], timeout=seconds)
    gone.cancel()
    return not done


async def stream(writer: asyncio.StreamWriter, count: int, events: bool) -> None:
    """Send lines or events one by one, 20 ms apart."""
    kind = b"text/event-stream" if events else b"text/plain"
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: " + kind + b"\r\n\r\n")
    for number in range(count):
        line = b"data: %d\n\n" % number if events else b"%d\n" % number
        writer.write(b"%x\r\n%s\r\n" % (len(line), line))
        await writer.drain()
        await asyncio.sleep(0.02)
    writer.write(b"0\r\n\r\n")


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """One request; False once the connection is over."""
    idle = float(os.environ.get("IDLE_SECONDS", "90"))
    line = await asyncio.wait_for(reader.readline(), idle)
    if not line:
        return False
    method, target, _ = line.decode("latin-1").split(" ", 2)
    headers: dict[str, str] = {}
    while (field := await reader.readline()).strip():
        name, _, value = field.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    if headers.get("upgrade") == "websocket":
        await tunnel(reader, writer, headers)
        return False
    if headers.get("expect") == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = await read_body(reader, headers)
    query = dict(parse_qsl(urlsplit(target).query))
    if "die" in query:
        os.kill(os.getpid(), signal.SIGKILL)
    if "sleep" in query and not await wait(float(query["sleep"]), reader, "gone" in query):
        write("gone")
        return False
    if "work" in query:
        async with WORK:
            await asyncio.sleep(float(os.environ["WORK_SECONDS"]))
    if "chunks" in query or "events" in query:
        await stream(writer, int(query.get("chunks") or query.get("events") or 0), "events" in query)
        return True
    status = int(query.get("status", 200))
    if urlsplit(target).path == "/ready" and Path(os.environ.get("UNREADY", "/nowhere")).exists():
        status = 503
    told = {
        "method": method,
        "target": target,
        "headers": headers,
        "bytes": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "pod": os.environ.get("HOSTNAME"),
        "environment": {name: value for name, value in os.environ.items() if name not in {"PATH", "HOME"}},
        "arguments": sys.argv[1:],
    }
    if "brief" in query:
        told = {"pod": told["pod"], "id": query.get("id")}
    content = b"x" * int(query["size"]) if "size" in query else json.dumps(told).encode()
    head = b"HTTP/1.1 %d Status\r\nContent-Length: %d\r\nContent-Type: application/json\r\n\r\n"
    writer.write(head % (status, len(content)))
    if "partial" in query:
        writer.write(content[: len(content) // 2])
        await writer.drain()
        writer.transport.abort()
        return False
    if method != "HEAD":
        writer.write(content)
    if "id" in query:
        write(query["id"])
    return True


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection."""
    OPEN.add(writer)
    try:
        while await answer(reader, writer):
            await writer.drain()
    except (ConnectionError, TimeoutError, asyncio.IncompleteReadError):
        pass
    finally:
        OPEN.discard(writer)
        writer.close()


async def main() -> None:
    """Listen until SIGTERM, then let what is under way finish."""
    await asyncio.sleep(float(os.environ.get("START_SECONDS", "0")))
    server = await asyncio.start_server(serve, "127.0.0.1", int(os.environ["PORT"]), backlog=512)
    print("listening", flush=True)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    server.close()
    if "AT_THE_END" in os.environ:
        for _ in range(100):
            if OPEN:
                await asyncio.sleep(0.01)
        Path(os.environ["AT_THE_END"]).write_text(f"{len(OPEN)}")


asyncio.run(main())
