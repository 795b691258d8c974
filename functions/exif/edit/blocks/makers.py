"""Location records that makers put beside Exif: FLIR's segments and Samsung's trailer, overwritten where they stand."""

from __future__ import annotations

from struct import error, pack_into, unpack_from

from functions.exif.edit.blocks.layout import Span
from functions.kit.containers import sef
from functions.kit.containers.source import Buffer

# FLIR: record types of the FFF format, a directory of 32 bytes an entry.
FFF_GPS, FFF_ENTRY = 0x2B, 32
# Of a segment, before its piece of the structure.
FLIR_HEAD = 8
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


def flir_segments(segments: list[bytes]) -> tuple[list[bytes], int] | None:
    """The segments of one FLIR structure, in any order, without GPS records, and the number of these."""
    order = sorted(range(len(segments)), key=lambda index: segments[index][6:7])
    found = flir(b"".join(segments[index][FLIR_HEAD:] for index in order))
    if found is None:
        return None
    record, cleared = found
    result, at = segments.copy(), 0
    for index in order:
        size = len(segments[index]) - FLIR_HEAD
        result[index] = segments[index][:FLIR_HEAD] + record[at : at + size]
        at += size
    return result, cleared


def samsung(data: Buffer) -> list[Span] | None:
    """Places of location records in a Samsung trailer at the end of a file; None where there is no such trailer."""
    found = sef.records(data, 0, len(data))
    if found is None or any(record.start < 0 for record in found[1]):
        return None
    spans: list[Span] = []
    for record in found[1]:
        value = data[record.body : record.end]
        picture = value.startswith(b"\xff\xd8\xff") or value[4:8] == b"ftyp"
        if record.kind == SAMSUNG_COUNTRY or (not picture and any(mark in value for mark in MARKS)):
            spans.append((record.body, record.end))
    return spans
