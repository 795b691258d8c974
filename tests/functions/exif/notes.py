"""Pictures with maker notes written by hand from the tables: each known tag with bytes of a fixed pattern."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from functions.exif.tags.tables import table
from tests.functions.exif.tiffs import Field, ascii_field, directory, jpeg_of, long


class Note(NamedTuple):
    """How a maker's note begins: the table of its directory, what is before it, and whether offsets count from it."""

    make: str
    model: str
    tags: str
    head: bytes = b""
    own: bool = False
    order: str = "<"


NOTES = (
    Note("Apple", "iPhone 14", "Apple.Main", b"Apple iOS\0\0\1MM", own=True, order=">"),
    Note("Canon", "Canon EOS 7D", "Canon.Main"),
    Note("Canon", "Canon EOS-1D Mark IV", "Canon.Main"),
    Note("CASIO", "QV-3000EX", "Casio.Main"),
    Note("CASIO COMPUTER CO.,LTD.", "EX-Z750", "Casio.Type2", b"QVC\0\0\0", order=">"),
    Note("DJI", "FC220", "DJI.Main"),
    Note("FLIR Systems AB", "FLIR E60", "FLIR.Main"),
    Note("FUJIFILM", "X-T3", "FujiFilm.Main", b"FUJIFILM\x0c\0\0\0", own=True),
    Note("KONICA MINOLTA", "DYNAX 7D", "Minolta.Main", order=">"),
    Note("Minolta Co., Ltd.", "DiMAGE 7", "Minolta.Main", order=">"),
    Note("NIKON CORPORATION", "NIKON D90", "Nikon.Main", b"Nikon\0\2\x10\0\0II*\0\x08\0\0\0", own=True),
    Note("NIKON CORPORATION", "NIKON Z 9", "Nikon.Main", b"Nikon\0\2\x10\0\0II*\0\x08\0\0\0", own=True),
    Note("NIKON", "E990", "Nikon.Type2", b"Nikon\0\1\0"),
    Note("OLYMPUS IMAGING CORP.", "E-M1", "Olympus.Main", b"OLYMPUS\0II\3\0", own=True),
    Note("OLYMPUS OPTICAL CO.,LTD", "C4040Z", "Olympus.Main", b"OLYMP\0\1\0"),
    Note("Panasonic", "DMC-GH4", "Panasonic.Main", b"Panasonic\0\0\0"),
    Note("LEICA CAMERA AG", "LEICA X1", "Panasonic.Leica5", b"LEICA\0\1\0", own=True),
    Note("PENTAX", "PENTAX K-5", "Pentax.Main", b"PENTAX \0II", own=True),
    Note("PENTAX Corporation", "PENTAX K10D", "Pentax.Main", b"AOC\0II"),
    Note("RICOH", "GR II", "Ricoh.Main", b"Ricoh\0\0\0"),
    Note("SAMSUNG", "NX1", "Samsung.Type2"),
    Note("SANYO Electric Co.,Ltd.", "VPC-CG10", "Sanyo.Main", b"SANYO\0\1\0"),
    Note("SIGMA", "SIGMA DP2", "Sigma.Main", b"SIGMA\0\0\0\1\0"),
    Note("SONY", "ILCE-7M3", "Sony.Main", b"SONY DSC \0\0\0"),
    Note("SONY", "SLT-A77V", "Sony.Main"),
    Note("Motorola", "moto g", "Motorola.Main", b"MOT\0\0\0\0\0", own=True),
)
# Binary notes, which have no directory.
RECORDS = (
    ("EASTMAN KODAK COMPANY", "DC4800", b"KDK INFO", 400),
    ("RECONYX", "HyperFire", b"\x01\xf1\x03\0", 200),
    ("RECONYX", "UltraFire", b"RECONYXUF\0", 200),
    ("Phase One", "P 45+", b"IIII\1waR\0\x0c\0\0\0", 600),
    ("Google", "Pixel 6", b"HDRP\3", 300),
    ("RICOH", "Caplio RR30", b"Rev0113;Rg0100;", 100),
    ("JVC", "GR-DV", b"VER:0100QTY:0001", 64),
    ("DJI", "FC6310", b"[ae_dbg_info:1][wb_dbg_info:2]", 64),
    ("Hewlett-Packard", "HP PhotoSmart E427", b"610\1DATE:20010101", 200),
)


def picture(make: str, model: str, note: Callable[[int], bytes], *more: Field) -> bytes:
    """A JPEG with a maker note, which is given its place in the block."""
    first = 8
    pointer = len(directory([ascii_field(0x10F, make), ascii_field(0x110, model), long(0x8769, 0)], first)) + first
    ifd0 = directory([ascii_field(0x10F, make), ascii_field(0x110, model), long(0x8769, pointer)], first)
    size = len(note(0))
    fields = sorted([*more, (0x927C, 7, size, bytes(size))])
    # The note is where its bytes are in a directory that is written twice.
    marked = directory([(tag, kind, n, b"\xa5" * n if tag == 0x927C else v) for tag, kind, n, v in fields], pointer)
    at = pointer + marked.index(b"\xa5" * size)
    fields = [(tag, kind, n, note(at) if tag == 0x927C else value) for tag, kind, n, value in fields]
    return jpeg_of(b"II*\0\x08\0\0\0" + ifd0 + directory(fields, pointer))


def pattern(number: int, size: int) -> bytes:
    """Bytes that differ by tag: small numbers, text and large numbers in turn."""
    turns = (bytes((number * 7 + index) % 64 for index in range(size)), b"0100" * (size // 4 + 1), b"\xff\x7f" * size)
    return turns[number % 3][:size]


def big(fields: list[Field], offset: int) -> bytes:
    """A directory in the larger-first order, whose values are bytes."""
    head = struct.pack(">H", len(fields))
    data_at = offset + 2 + 12 * len(fields) + 4
    body, rest = b"", b""
    for tag, kind, count, value in fields:
        if len(value) <= 4:
            body += struct.pack(">HHI", tag, kind, count) + value.ljust(4, b"\0")
        else:
            body += struct.pack(">HHII", tag, kind, count, data_at + len(rest))
            rest += value + b"\0" * (len(value) & 1)
    return head + body + b"\0\0\0\0" + rest


def written(note: Note, size: int = 96) -> bytes:
    """A picture whose note has every tag of its table."""
    numbers = sorted(number for number in table(note.tags).rows if isinstance(number, int) and 0 <= number < 65536)
    fields: list[Field] = [(number, 7, size, pattern(number, size)) for number in numbers]
    if note.tags == "Nikon.Main":
        keys = {0x1D: ascii_field(0x1D, "6012345"), 0xA7: long(0xA7, 4711)}
        fields = [keys.get(field[0], field) for field in fields]

    def made(at: int) -> bytes:
        start = 8 if note.head.endswith(b"II*\0\x08\0\0\0") else len(note.head) + (0 if note.own else at)
        build = directory if note.order == "<" else big
        return note.head + build(fields, start)

    return picture(note.make, note.model, made)


def all_written() -> Iterator[bytes]:
    """A picture for each maker."""
    yield from map(written, NOTES)
    for make, model, head, size in RECORDS:
        body = head + pattern(1, size)
        yield picture(make, model, lambda _, body=body: body)
