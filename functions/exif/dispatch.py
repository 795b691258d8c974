"""Blocks of other kinds than Exif: the reader of each is imported with the first block of its kind."""

from __future__ import annotations

from functools import partial

from functions.exif import accounting
from functions.exif.blocks import headers
from functions.exif.blocks.entries import (
    OFFSET,
    SIZE,
)
from functions.exif.blocks.ifd import walk
from functions.exif.blocks.values import binary, plain
from functions.exif.rows import Reading
from functions.exif.scan.result import Block


def _timed(reading: Reading, block: Block) -> None:
    from functions.exif import makernotes

    makernotes.read_timed(reading, block)


def thermal(reading: Reading, *blocks: Block) -> None:
    """Read the segments of a thermal picture, which are one file together."""
    from functions.exif.makernotes import segments

    _segment(reading, segments.flir(list(blocks)))


def _segment(reading: Reading, block: Block) -> None:
    """A segment of some maker or program: by a table, else it is not read."""
    from functions.exif.makernotes import segments

    if not segments.read(reading, block):
        reading.miss("segment", f"{block.where} {block.name}".strip(), block.offset, len(block.data))


def read(reading: Reading, kind: str, data: bytes, block: Block) -> None:
    """A block other than Exif: its reader is imported with the first one of its kind."""
    where, offset = block.where, block.offset

    def miss(place: str, start: int, size: int) -> None:
        reading.miss(kind, f"{where} {place}", offset + start if offset >= 0 else -1, size)

    if kind == "xmp":
        from functions.exif.blocks import xmp

        def lost(what: str, size: int) -> None:
            whole = what in ("xmp", "limit")
            reading.miss(what if whole else "xmp", where if whole else f"{where} {what}", offset if whole else -1, size)

        extras = xmp.read(data, reading.add, reading.warnings.append, lost)
        reading.unsided |= extras.unsided
        reading.encoded.update(extras.encoded)
    elif kind == "iptc":
        from functions.exif.blocks import iptc

        # Behind a picture is no usual place for them: ExifTool counts from 2 there.
        if where in ("AFCP", "FotoStation") and "iptc" not in reading.counts:
            reading.turn("iptc")
        iptc.read(data, partial(reading.add, f"IPTC{reading.turn('iptc')}"), reading.warnings.append, miss)
    elif kind == "icc":
        from functions.exif.blocks import icc

        icc.read(data, reading.turn("icc"), reading.add, reading.warnings.append, miss)
    elif kind == "mpf":
        _multi_picture(reading, block)
    elif kind == "jumbf":
        _boxes(reading, block)
    elif kind == "ctmd":
        _timed(reading, block)
    elif kind == "app":
        _segment(reading, block)
    elif kind != "photoshop":
        headers.block(block, reading)


def _boxes(reading: Reading, block: Block) -> None:
    """JUMBF boxes: content credentials, and the pictures in them."""
    from functions.exif.blocks import jumbf

    def place(at: int) -> int:
        return block.offset + at if block.offset >= 0 else -1

    def grade(group: str, name: str, grade: str) -> None:
        reading.grades[group, name] = grade

    reading.credentials += jumbf.read(
        block.data,
        reading.add,
        grade,
        lambda kind, where, at, size: reading.miss(kind, f"{block.where} {where}", place(at), size),
        lambda where, at, data: reading.scan.hold("picture", f"{block.where} {where}", place(at), data),
    )


def _multi_picture(reading: Reading, block: Block) -> None:
    """The index of further pictures: rows of its own names, and those of each picture."""
    from functions.exif.fields import mpf

    ifds = walk(block.data, "MPF0")
    reading.warnings += ifds.warnings
    if not reading.rows_only:
        accounting.account(reading, block, ifds)
    for ifd in ifds.ifds:
        for number, entry in ifd.entries.items():
            if number == mpf.LIST:
                body = block.data[entry[OFFSET] : entry[OFFSET] + entry[SIZE]]
                mpf.pictures(body, ifds.order, max(block.offset, 0), reading.scan.size, reading.add)
            elif number in mpf.NAMES:
                value = plain(entry)
                shown = binary(entry[SIZE]) if number == 0xB003 else value
                # The index and the attributes of a picture are of one group, as ExifTool has them.
                reading.groups.setdefault("MPF0", {})[mpf.NAMES[number]] = (
                    *(mpf.NAMES[number], shown, shown, number, entry),
                )
            else:
                reading.miss("value", f"{ifd.name} tag {number:#06x}", -1, entry[SIZE])
