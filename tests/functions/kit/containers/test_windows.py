"""Files that are held in part: what is kept of them, what is read of that, and what is named as missing."""

from __future__ import annotations

import random
import struct

import pytest

from functions.kit.containers import Document, Kind, read
from functions.kit.containers.windows import Windows
from tests.functions.exif.containers import CONTAINERS, EXIF, MAKE, box, chunk, png
from tests.functions.kit.containers.test_parts import SAMPLES, blocks
from tests.images import encoded, gradient

MIB = 2**20


def windowed(data: bytes, head: int = 4096, tail: int = 1024, piece: int = 1000) -> Document:
    windows = Windows(len(data), head, tail)
    for at in range(0, len(data), piece):
        windows.feed(data[at : at + piece])
    document = read(windows.source())
    assert document is not None
    assert sum(part.end - part.start for part in document.parts) == len(data)
    return document


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def scan_of(size: int) -> bytes:
    """Entropy-coded data without a marker."""
    return noise(size).replace(b"\xff", b"\xfe")


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("piece", [1, 997])
def test_a_file_in_pieces_is_the_file(name: str, piece: int):
    data = SAMPLES[name]
    if piece == 1 and len(data) > 20_000:
        return
    document, whole = windowed(data, 2**20, 2**20, piece), read(data)
    assert whole is not None
    assert document.parts == whole.parts
    assert document.not_held() == []


def test_a_chunk_behind_the_pixels_is_read():
    pixels = b"".join(chunk(b"IDAT", noise(700_000)) for _ in range(5))
    text = chunk(b"tEXt", b"Author\0Ada")
    data = png(pixels + text + chunk(b"IDAT", noise(2 * MIB)) + chunk(b"eXIf", MAKE))
    document = windowed(data)
    whole = read(data)
    assert whole is not None
    assert blocks(document) == blocks(whole)
    assert document.source.holes
    assert document.not_held() == []


def test_a_segment_behind_a_long_scan_is_read():
    picture = encoded(gradient(), "JPEG", exif=EXIF)
    head = picture[: picture.index(b"\xff\xda") + 14]
    comment = b"\xff\xfe" + struct.pack(">H", 9) + b"by Ada!"
    scan = picture[picture.index(b"\xff\xda") : picture.index(b"\xff\xda") + 14]
    data = head + scan_of(3 * MIB) + comment + scan + scan_of(2 * MIB) + b"\xff\xd9"
    for piece in (4096, 999_983):
        document = windowed(data, piece=piece)
        assert [document.content(part) for part in document.parts if part.kind in (Kind.EXIF, Kind.COMMENT)] == [
            MAKE,
            b"by Ada!",
        ]
        assert (document.broken, document.not_held()) == ("", [])


def test_a_box_behind_the_data_is_read():
    data = CONTAINERS["JXL"]() + box(b"jxlp", b"\x80\0\0\1" + noise(3 * MIB)) + box(b"xml ", b"<x:xmpmeta/>")
    data += box(b"jxlp", noise(2 * MIB))
    document = windowed(data)
    assert [document.content(part) for part in document.parts if part.kind is Kind.XMP] == [b"<x:xmpmeta/>"]
    assert document.not_held() == []


def test_a_comment_behind_the_frames_of_a_gif_is_read():
    data = encoded(gradient("P", size=(700, 500)), "GIF")
    frame = data[data.index(b",") : -1]
    data = data[:-1] + frame * 20 + b"!\xfe\x03Ada\0" + frame * 20 + b";"
    document = windowed(data)
    assert [document.content(part) for part in document.parts if part.kind is Kind.COMMENT] == [b"Ada"]
    assert document.frames == 41


def test_what_lies_in_no_window_is_named():
    value = noise(100_000)
    entries = [(0x100, 4, 1, 7), (0x101, 4, 1, 5), (0xBEEF, 7, len(value), 3 * MIB), (0xBEF0, 7, 4000, 100)]
    table = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    data = (b"II*\0\x08\0\0\0" + struct.pack("<H", 4) + table + bytes(4)).ljust(3 * MIB, b"\1") + value
    data = data.ljust(6 * MIB, b"\2")
    document = windowed(data, head=8192, tail=8192)
    assert document.width == 7
    missing = {(part.kind, part.start, part.end) for part in document.not_held()}
    assert (Kind.TAG, 3 * MIB, 3 * MIB + len(value)) in missing
    assert sum(end - start for _, start, end in missing) >= 6 * MIB - 2 * 8192 - 2 * MIB
    assert document.content(next(part for part in document.parts if part.key == 0xBEEF)) == b""
    assert document.content(next(part for part in document.parts if part.key == 0xBEF0)) == data[100:4100]


def test_a_directory_in_no_window_is_noted_as_missing():
    data = b"II*\0" + struct.pack("<I", 3 * MIB) + bytes(6 * MIB)
    document = windowed(data, head=8192, tail=8192)
    assert (3 * MIB, 3 * MIB + 2) in [tuple(span) for span in document.source.missing]


def test_many_small_chunks_end_the_walk_and_not_the_file():
    data = png(b"".join(chunk(b"teXt", b"") for _ in range(500_000)))
    windows = Windows(len(data), 4096, 1024, between=64 * 1024)
    for at in range(0, len(data), MIB):
        windows.feed(data[at : at + MIB])
    assert len(windows.kept) <= 10_000
    document = read(windows.source())
    assert document is not None
    assert document.not_held()


def test_more_than_was_announced_is_refused():
    windows = Windows(10)
    with pytest.raises(ValueError, match="announced"):
        windows.feed(bytes(11))


@pytest.mark.slow
def test_two_gigabytes_take_the_memory_of_the_windows():
    """In a process of its own: a PNG of 2 GiB with a chunk behind the first, and the memory that it took at most."""
    import subprocess
    import sys

    program = """
import resource, struct, zlib
from functions.kit.containers import read, Kind
from functions.kit.containers.windows import Windows
from tests.functions.exif.containers import MAKE, chunk
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
piece = bytes(range(256)) * 4096
size = 2**30 - 2**20
windows = Windows(2**31)
windows.feed(b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 7, 5, 8, 2, 0, 0, 0)))
for text in (b"one", b"two"):
    windows.feed(struct.pack(">I4s", size, b"IDAT"))
    for _ in range(size // 2**20):
        windows.feed(piece)
    windows.feed(bytes(4) + chunk(b"tEXt", b"Title\\0" + text))
windows.feed(chunk(b"eXIf", MAKE) + chunk(b"IEND", b""))
document = read(windows.source())
found = [document.content(part) for part in document.parts if part.kind in (Kind.TEXT, Kind.EXIF)]
assert found == [b"one", b"two", MAKE]
assert document.not_held() == []
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=True)
    assert int(done.stdout) <= 40 * 1024
