"""Files in the spool are cleaned and changed there: as in memory, without their pixels in memory."""

from __future__ import annotations

import gc
import hashlib
import http.client
import random
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from functions.exif.edit.fields import Fields
from functions.exif.edit.set import write
from functions.exif.edit.strip import strip
from functions.exif.main import ExifSettings
from functions.kit.http import spool
from functions.kit.http.spool import Store
from tests.functions.exif.containers import EXIF, MAKE, box, chunk, png
from tests.functions.exif.tiffs import ascii_field, long, short, tiff
from tests.images import encoded, gradient
from tests.servers import FunctionServer

MIB = 2**20
SIZE = 8 * MIB
PIXELS = random.Random(3).randbytes(MIB).replace(b"\xff", b"\xfe") * (SIZE // MIB)
FIELDS = Fields(artist="Bob", position=(48.1, 11.5, None))


def large_jpeg() -> bytes:
    whole = encoded(gradient(), "JPEG", exif=EXIF, comment=b"made by Ada")
    start = whole.rindex(b"\xff\xda")
    (length,) = struct.unpack_from(">H", whole, start + 2)
    return whole[: start + 2 + length] + PIXELS + b"\xff\xd9"


def large_tiff() -> bytes:
    rows = SIZE // 4096
    head = tiff(
        [
            *(long(0x100, 4096), long(0x101, rows), short(0x102, 8), short(0x103, 1), short(0x106, 1)),
            *(ascii_field(0x10F, "Canon Incorporated"), long(0x111, 1024), short(0x115, 1), long(0x116, rows)),
            *(long(0x117, SIZE), ascii_field(0x13B, "Ada Lovelace")),
        ]
    )
    return head.ljust(1024, b"\0") + PIXELS


def large_heic() -> bytes:
    """A HEIC whose Exif stands before its picture, which moves when that goes."""
    block = bytes(4) + MAKE
    names = b"".join(
        box(b"infe", b"\2\0\0\0" + struct.pack(">HH", item, 0) + kind)
        for item, kind in ((1, b"hvc1\0"), (2, b"Exif\0"))
    )
    head = box(b"ftyp", b"heic" + bytes(4) + b"mif1heic")

    def meta(start: int) -> bytes:
        places = b"\x44\0" + struct.pack(">H", 2)
        places += struct.pack(">HHHII", 1, 0, 1, start + len(block), SIZE)
        places += struct.pack(">HHHII", 2, 0, 1, start, len(block))
        sizes = box(b"ispe", bytes(4) + struct.pack(">II", 64, 48))
        ipma = box(b"ipma", bytes(4) + struct.pack(">IHBB", 1, 1, 1, 1))
        parts = box(b"pitm", bytes(4) + struct.pack(">H", 1)) + box(b"iinf", bytes(4) + struct.pack(">H", 2) + names)
        parts += box(b"iref", bytes(4) + box(b"cdsc", struct.pack(">HHH", 2, 1, 1)))
        parts += box(b"iprp", box(b"ipco", sizes) + ipma)
        return box(b"meta", bytes(4) + parts + box(b"iloc", bytes(4) + places))

    return head + meta(len(head) + len(meta(0)) + 8) + box(b"mdat", block + PIXELS)


FILES = {
    "JPEG": large_jpeg,
    "TIFF": large_tiff,
    "PNG": lambda: png(chunk(b"eXIf", MAKE) + chunk(b"IDAT", PIXELS)),
    "HEIC": large_heic,
}
WORKS: dict[str, Callable[[bytes], bytes]] = {
    "strip": lambda data: strip(data).data,
    "location": lambda data: strip(data, (), ("gps",)).data,
    "set": lambda data: write(data, FIELDS).data,
}


def spooled(data: bytes) -> bytes:
    store = Store(ExifSettings(function="exif"), len(data), room=0)
    store.write(data)
    return store.filled()


@pytest.mark.parametrize("work", WORKS)
@pytest.mark.parametrize("name", FILES)
def test_a_file_in_the_spool_is_changed_as_in_memory(name: str, work: str):
    data = FILES[name]()
    expected = WORKS[work](data)
    held = spooled(data)
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        found = WORKS[work](held)
        _, peak = tracemalloc.get_traced_memory()
        assert spool.mapped(found) is not None
        assert found[:] == expected
        assert held[:] == data
        assert peak < SIZE / 2
        del found, held
        assert spool.used() == 0, "a cycle holds a file until the next collection"
    finally:
        tracemalloc.stop()
        gc.enable()


@pytest.fixture(scope="module")
def server() -> Iterator[FunctionServer]:
    limits = {"EXIF_EDIT_BYTES": str(50 * MIB), "EXIF_SPOOL_BYTES": str(80 * MIB)}
    with FunctionServer("exif", limits) as server:
        yield server


def post(server: FunctionServer, path: str, data: bytes) -> tuple[http.client.HTTPResponse, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)) as connection:
        connection.request("POST", path, body=data, headers={"Content-Type": "image/png", "Accept": "*/*"})
        answer = connection.getresponse()
        return answer, answer.read()


def long_png(size: int) -> bytes:
    return png(chunk(b"eXIf", MAKE) + chunk(b"IDAT", PIXELS) * (size // SIZE))


def test_a_file_above_32_mib_is_cleaned(server: FunctionServer):
    data = long_png(36 * MIB)
    answer, body = post(server, "/exif/strip", data)
    assert (answer.status, answer.getheader("X-Removed")) == (200, "exif")
    expected = strip(data).data
    assert len(body) == len(expected) < len(data)
    assert hashlib.sha256(body).digest() == hashlib.sha256(expected).digest()
    assert int(answer.getheader("Content-Length") or 0) == len(body)


def test_a_file_above_the_limit_is_refused_and_names_it(server: FunctionServer):
    answer, body = post(server, "/exif/strip", long_png(60 * MIB))
    assert answer.status == 413
    assert b"EXIF_EDIT_BYTES" in body


def test_a_copy_beyond_the_budget_is_503_with_a_time_to_wait(server: FunctionServer):
    answer, body = post(server, "/exif/set?artist=Bob", long_png(48 * MIB))
    assert answer.status == 503
    assert int(answer.getheader("Retry-After") or 0) > 0
    assert b"EXIF_SPOOL_BYTES" in body
    # What the failed request held is free again.
    answer, _ = post(server, "/exif/strip", long_png(36 * MIB))
    assert answer.status == 200
