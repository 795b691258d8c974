"""Location records that makers put beside Exif: FLIR's segments and Samsung's trailer, overwritten where they stand."""

from __future__ import annotations

from struct import error, pack_into, unpack_from

from functions.exif.edit.blocks.layout import Span
from functions.kit.containers.source import Buffer

# FLIR: record types of the FFF format, a directory of 32 bytes an entry.
FFF_GPS, FFF_ENTRY = 0x2B, 32
MAX_RECORDS = 4096
# Samsung: the mobile country code.
SAMSUNG_COUNTRY = 0x0AA1
MARKS = (b"GPS", b"atitude", b"ongitude", b"location")


def flir(record: bytes) -> tuple[bytes, int] | None:
    """A FLIR file format structure without its GPS records.

    Returns:
        The structure, of the same length, and the number of records that were cleared; None where it cannot be read.
    """
    if record[:4] not in (b"FFF\0", b"AFF\0"):
        return None
    out = bytearray(record)
    try:
        order = "<" if 100 <= unpack_from("<I", record, 0x14)[0] < 200 else ">"
        start, count = unpack_from(order + "II", record, 0x18)
        cleared = 0
        for at in range(start, start + FFF_ENTRY * min(count, MAX_RECORDS), FFF_ENTRY):
            (kind,) = unpack_from(order + "H", record, at)
            place, size = unpack_from(order + "II", record, at + 12)
            if kind == FFF_GPS and place + size <= len(record):
                out[place : place + size] = bytes(size)
                pack_into(order + "H", out, at, 0)  # free
                cleared += 1
    except error:
        return None
    return bytes(out), cleared


def samsung(data: Buffer) -> list[Span] | None:
    """Places of location records in a Samsung trailer at the end of a file; None where there is no such trailer."""
    if data[-4:] != b"SEFT" or len(data) < 24:
        return None
    (size,) = unpack_from("<I", data, len(data) - 8)
    head = len(data) - 8 - size
    if head < 0 or data[head : head + 4] != b"SEFH":
        return None
    (count,) = unpack_from("<I", data, head + 8)
    spans: list[Span] = []
    for at in range(head + 12, min(head + 12 + 12 * min(count, MAX_RECORDS), len(data) - 19), 12):
        kind, offset, length = unpack_from("<2xHII", data, at)
        start = head - offset
        if start < 0 or length < 8 or start + length > head:
            return None
        (name,) = unpack_from("<I", data, start + 4)
        body = min(start + 8 + name, start + length)
        value = data[body : start + length]
        picture = value.startswith(b"\xff\xd8\xff") or value[4:8] == b"ftyp"
        if kind == SAMSUNG_COUNTRY or (not picture and any(mark in value for mark in MARKS)):
            spans.append((body, start + length))
    return spans
