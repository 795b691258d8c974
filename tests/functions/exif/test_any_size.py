"""Files larger than what the function holds of them: read from windows, with what was not received named."""

from __future__ import annotations

import http.client
import json
import random
import struct
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from functions.exif.answer import document, examine
from functions.kit.containers.windows import Windows
from tests.functions.exif import made
from tests.functions.exif.containers import CONTAINERS, EXIF, MAKE, chunk, png
from tests.functions.exif.tiffs import ascii_field, tiff
from tests.images import encoded, gradient
from tests.servers import FunctionServer

KIB, MIB = 2**10, 2**20
SMALL = {"EXIF_HEAD_BYTES": str(64 * KIB), "EXIF_TAIL_BYTES": str(16 * KIB), "EXIF_EDIT_BYTES": str(4 * MIB)}


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def windowed(data: bytes, head: int = 8 * KIB, tail: int = 4 * KIB) -> dict[str, Any]:
    windows = Windows(len(data), head, tail)
    for at in range(0, len(data), 5000):
        windows.feed(data[at : at + 5000])
    reading = examine(windows.source())
    assert reading is not None
    return document(reading)


def long_png() -> bytes:
    """A PNG of one zlib stream, most of it stored blocks without content."""
    empty, rows = b"\0\0\0\xff\xff" * (3 * MIB // 5), bytes(5 * 22)
    stream = b"\x78\1" + empty, empty + zlib.compress(rows, 0)[2:]
    first, second = (chunk(b"IDAT", part) for part in stream)
    return png(first + chunk(b"tEXt", b"Author\0Ada Byron") + second + chunk(b"eXIf", MAKE))


@pytest.fixture(scope="module")
def server() -> Iterator[FunctionServer]:
    server = FunctionServer("exif", SMALL)
    with server:
        yield server


def post(server: FunctionServer, pieces: Iterator[bytes], length: int, kind: str = "image/png") -> tuple[int, Any]:
    headers = {"Content-Length": str(length), "Content-Type": kind, "Accept": "application/json"}
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)) as connection:
        connection.request("POST", "/exif", body=pieces, headers=headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


@pytest.mark.parametrize("name", [*CONTAINERS, *(f"full {name}" for name in made.all_of_them())])
def test_a_small_file_in_windows_answers_as_in_memory(name: str) -> None:
    data = made.all_of_them()[name[5:]] if name.startswith("full ") else CONTAINERS[name]()
    reading = examine(data)
    assert reading is not None
    assert windowed(data, 2**20, 2**20) == document(reading)


def test_parts_beyond_the_windows_of_a_sequence_are_read() -> None:
    data = long_png()
    reading = examine(data)
    assert reading is not None
    assert windowed(data) == document(reading)


def test_a_directory_at_the_end_and_values_between_are_distinguished() -> None:
    block = tiff([ascii_field(0x010F, "Canon Incorporated"), (0x100, 4, 1, struct.pack("<I", 7))])
    far = struct.pack("<HHII", 0x0110, 2, 40, 2 * MIB)
    directory = struct.pack("<H", 2) + struct.pack("<HHII", 0x0100, 4, 1, 7) + far + bytes(4)
    data = (b"II*\0" + struct.pack("<I", 4 * MIB)).ljust(4 * MIB, b"\1") + directory
    result = windowed(data)
    assert result["width"] == 7
    assert "Model" not in result["groups"]["IFD0"]
    assert any("was not received" in warning or "were not received" in warning for warning in result["warnings"])
    missing = result["privacy"]["not_read"]
    assert any(part["offset"] <= 2 * MIB < part["offset"] + part["bytes"] for part in missing)
    assert result["privacy"]["grade"] in ("unknown", "narrows", "identifies", "hints")
    assert windowed(block.ljust(4 * MIB, b"\1"))["groups"]["IFD0"]["Make"]["value"] == "Canon Incorporated"


def test_a_segment_in_no_window_is_named() -> None:
    picture = encoded(gradient(), "JPEG", exif=EXIF)
    segments = b"".join(b"\xff\xe4" + struct.pack(">H", 60_002) + noise(60_000) for _ in range(200))
    result = windowed(picture[:2] + segments + picture[2:])
    assert (result["width"], result["height"]) == (gradient().width, gradient().height)
    assert any(part["kind"] == "not received" for part in result["privacy"]["not_read"])


def test_a_body_above_the_limit_of_copies_is_read(server: FunctionServer) -> None:
    data = long_png()
    status, answer = post(server, iter([data]), len(data))
    assert status == 200
    assert answer["groups"]["PNG"]["Author"]["value"] == "Ada Byron"
    assert answer["groups"]["IFD0"]["Make"]["value"] == "Canon Incorporated"
    assert [part["kind"] for part in answer["privacy"]["not_read"]] == []


def test_a_file_of_a_form_is_read_in_windows_too(server: FunctionServer) -> None:
    head = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
    data = head + long_png() + b"\r\n--B--\r\n"
    status, answer = post(server, iter([data]), len(data), "multipart/form-data; boundary=B")
    assert (status, answer["name"]) == (200, "a.png")
    assert answer["groups"]["PNG"]["Author"]["value"] == "Ada Byron"


def test_a_large_file_of_no_known_format_is_refused(server: FunctionServer) -> None:
    refused = ((b"%PDF-1.7" + bytes(6 * MIB), 415), (bytes(6 * MIB), 422), (b"BPG\xfb" + noise(6 * MIB), 415))
    for data, status in refused:
        assert post(server, iter([data]), len(data))[0] == status


def test_copies_keep_their_own_limit(server: FunctionServer) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        connection.request("POST", "/exif/strip", body=bytes(5 * MIB))
        answer = connection.getresponse()
        assert answer.status == 413
        assert b"EXIF_EDIT_BYTES" in answer.read()


@pytest.mark.slow
def test_two_gigabytes_are_read_within_40_mib() -> None:
    """Sent while they are made; the peak of the server's memory is compared with what it is after a small file."""
    server = FunctionServer("exif")
    piece = noise(MIB)
    half = 2**30 - 2 * MIB

    def pieces() -> Iterator[bytes]:
        yield png()[:33]
        for text in (b"one", b"two"):
            yield struct.pack(">I4s", half, b"IDAT")
            for _ in range(half // MIB):
                yield piece
            yield bytes(4) + chunk(b"tEXt", b"Author\0" + text)
        yield chunk(b"eXIf", MAKE) + chunk(b"IEND", b"")

    def peak() -> int:
        lines = Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii").splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])

    with server:
        small = CONTAINERS["PNG"]()
        assert post(server, iter([small]), len(small))[0] == 200
        before = peak()
        length = 33 + 2 * (8 + half + 4 + len(chunk(b"tEXt", b"Author\0one"))) + len(chunk(b"eXIf", MAKE)) + 12
        status, answer = post(server, pieces(), length)
        assert status == 200
        assert answer["groups"]["PNG"]["Author"]["value"] == "one"
        assert answer["groups"]["IFD0"]["Make"]["value"] == "Canon Incorporated"
        assert peak() - before <= 40 * 1024
