"""Segments of JPEGs and raws of their own form, made by hand."""

from __future__ import annotations

import struct

from tests.functions.exif import cases


def segment(number: int, body: bytes) -> bytes:
    return b"\xff" + bytes((0xE0 + number,)) + struct.pack(">H", len(body) + 2) + body


def ducky() -> bytes:
    text = "Hé".encode("utf-16-be")
    return b"Ducky" + struct.pack(">HHI", 1, 4, 84) + struct.pack(">HHI", 2, 4 + len(text), 2) + text + b"\0\0"


def spiff() -> bytes:
    return b"SPIFF\0" + struct.pack(">BBBBxxIIBBBBII", 1, 2, 1, 3, 4500, 3000, 1, 8, 5, 1, 300, 300)


def gpmf() -> bytes:
    serial = b"C3221324657219\0\0"
    zoom, unique = b"DZOMc\1\0\1Y\0\0\0", b"MUIDL\4\0\2" + struct.pack(">II", 0x491B313C, 5)
    inner = b"CASNc\1" + struct.pack(">H", 14) + serial + zoom + unique
    return b"GoPro\0DEVC\0\1" + struct.pack(">H", len(inner)) + inner


def thermal() -> bytes:
    camera = bytearray(1200)
    struct.pack_into(">Hxxff", camera, 0, 2, 0, 0)
    struct.pack_into(">f", camera, 32, 0.95)
    struct.pack_into(">f", camera, 40, 293.15)
    camera[260:269] = b"470023842"
    head = bytearray(64)
    head[:20] = b"FFF\0ATAU_RBFF\0\0\0\0\0\0\0"
    struct.pack_into(">III", head, 20, 101, 64, 1)
    entry = struct.pack(">HHIIIIIII", 0x20, 0, 0, 0, 96, len(camera), 0, 0, 0)
    return b"FLIR\0\1\0\0" + bytes(head) + entry.ljust(32, b"\0") + bytes(camera)


def minolta() -> bytes:
    prd = b"27730001" + struct.pack(">HHHHBBBxxxxB", 1936, 2608, 1920, 2560, 16, 12, 82, 1)
    wbg = bytes((3, 3, 3, 3)) + struct.pack(">4H", 438, 256, 256, 509)
    rif = bytearray(62)
    rif[4], rif[6], rif[60] = 1, 56, 55
    blocks = b"".join(
        name + struct.pack(">I", len(body)) + body
        for name, body in ((b"\0PRD", prd), (b"\0WBG", wbg), (b"\0RIF", bytes(rif)))
    )
    return b"\0MRM" + struct.pack(">I", len(blocks)) + blocks + bytes(64)


def sigma() -> bytes:
    header = struct.pack("<4sHH", b"FOVb", 0, 2) + bytes(16) + struct.pack("<IIII", 0, 2268, 1512, 90)
    pairs = (("CAMSERIAL", "0012345"), ("SHUTTER", "0.005"), ("FOCUS", "NO LOCK"), ("LENSMODEL", "103"))
    text, entries = "", b""
    for key, stated in pairs:
        entries += struct.pack("<II", len(text), len(text) + len(key) + 1)
        text += f"{key}\0{stated}\0"
    section = b"SECp\0\0\2\0" + struct.pack("<IIII", len(pairs), 0, 0, len(text)) + entries + text.encode("utf-16-le")
    start = len(header)
    directory = b"SECd\0\0\2\0" + struct.pack("<I", 1) + struct.pack("<II4s", start, len(section), b"PROP")
    return header + section + directory + struct.pack("<I", start + len(section))


def fujifilm() -> bytes:
    picture = cases.jpeg()
    fields = (
        (0x0111, struct.pack(">HH", 1424, 4256)),
        (0x0131, bytes((1, 1, 0, 1, 1, 2) * 6)),
        (0x2FF0, struct.pack(">4H", 384, 601, 384, 515)),
    )
    table = struct.pack(">I", len(fields)) + b"".join(
        struct.pack(">HH", number, len(body)) + body for number, body in fields
    )
    start = 160
    head = b"FUJIFILMCCD-RAW 0201FF383501X-T1".ljust(60, b"\0") + b"0201"
    head = head.ljust(84, b"\0") + struct.pack(">IIII", start, len(picture), start + len(picture), len(table))
    return head.ljust(start, b"\0") + picture + table


def canon() -> bytes:
    """A heap of three records, one of them in its entry, as Canon's first digital cameras write it."""
    model = b"Canon\0Canon PowerShot G6\0"
    image = struct.pack("<IIfiIII", 3072, 2304, 1.0, 90, 8, 24, 1)
    heap = model + image
    entries = [
        struct.pack("<HII", 0x080A, len(model), 0),
        struct.pack("<HII", 0x1810, len(image), len(model)),
        struct.pack("<HHxxxxxx", 0x500A, 1),
    ]
    directory = struct.pack("<H", len(entries)) + b"".join(entries)
    return b"II" + struct.pack("<I", 26) + b"HEAPCCDR" + bytes(12) + heap + directory + struct.pack("<I", len(heap))
