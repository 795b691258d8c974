"""A file's metadata as rows: from the scan and the walk to names, values and prints, group by group.

Groups are named as ExifTool's family 1 names them: `IFD0`, `ExifIFD`, `GPS`, `XMP-dc`, `IPTC`, `ICC-header`, …
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from functions.exif import directories, dispatch
from functions.exif.blocks import headers
from functions.exif.fields import file
from functions.exif.rows import Reading
from functions.exif.scan.result import BEYOND_READING, BROKEN, Block, Scan

# Blocks of raws of their own form.
RECORDS = frozenset(("ciff", "x3f", "mrw", "raf"))


def read(scan: Scan, *, exif_only: bool = False, inside: bool = False, rows_only: bool = False) -> Reading:
    """Read all blocks of a scan, or those of Exif alone. Never raises.

    Args:
        scan: of the container.
        exif_only: leave out XMP, IPTC, ICC, maker notes and the container's own fields, which costs half the time.
        inside: whether the file is one inside another: then the files inside it are not read.
        rows_only: leave out the files inside the file, and which bytes of its Exif were not read.
    """
    reading = Reading(scan, exif_only=exif_only, rows_only=rows_only)
    for block in scan.blocks:
        if block.kind == "exif":
            _guarded(directories.read, reading, block)
    if not exif_only:
        _rest(reading)
        if not inside and not rows_only:
            _guarded_embedded(reading)
    elif reading.maker is not None and reading.maker.is_text():
        _guarded(_maker_note, reading)
    reading.warnings[:0] = scan.warnings
    return reading


def _guarded(part: Callable[..., None], reading: Reading, *given: Any) -> None:
    """Read a part of a file. The readers check what they read; this is for what they overlook."""
    try:
        part(reading, *given)
    except BEYOND_READING as error:
        what = given[0].where if given else "the maker note"
        reading.warnings.append(f"{what} is {BROKEN}: {type(error).__name__}")
        size = len(given[0].data) if given else reading.maker.size if reading.maker else 0
        reading.miss(given[0].kind if given else "maker note", what, -1, size)


def _guarded_embedded(reading: Reading) -> None:
    if reading.scan.inner or reading.previews:
        from functions.exif import embedded

        embedded.read(reading, read)


def _rest(reading: Reading) -> None:
    records: list[Block] = []
    thermal: list[Block] = []
    for block in reading.scan.blocks:
        if block.kind in RECORDS:
            records.append(block)
        elif block.kind == "app" and block.data.startswith(b"FLIR\0"):
            thermal.append(block)
        elif block.kind != "exif":
            _guarded(_block, reading, block)
    if records:
        _guarded(_records, reading, *records)
    if thermal:
        _guarded(dispatch.thermal, reading, *thermal)
    file.add(reading.scan, reading.order, reading.add)
    headers.container(reading.scan, reading.add)
    for row in reading.scan.rows:
        reading.add(*row)
    if reading.maker is not None:
        _guarded(_maker_note, reading)
        note = reading.note
        if note is None or not note.tags:
            reading.miss("maker note", note.maker if note and note.maker else "MakerNote", -1, reading.maker.size)
    if "GeoTiffDirectory" in reading.groups.get("IFD0", ()):
        _guarded(_earth, reading)
    if "XMP-GCamera" in reading.groups:
        _guarded(_packet_note, reading)
    _lens(reading)
    _guarded(_composite, reading)


def _records(reading: Reading, *blocks: Block) -> None:
    from functions.exif.makernotes import raws

    raws.read(reading, list(blocks))


def _composite(reading: Reading) -> None:
    from functions.exif.report import composite

    composite.add(reading)


def _block(reading: Reading, block: Block) -> None:
    dispatch.read(reading, block.kind, block.data, block)


def _lens(reading: Reading) -> None:
    """What ExifTool calls the lens where no number says so: the model, if it reads like one."""
    if "Composite" in reading.groups:
        return
    if "XMP-aux" in reading.groups and "LensID" in reading.groups["XMP-aux"]:
        from functions.exif.lenses import mounts

        mounts.from_xmp(reading)
        return
    for group, name in (("ExifIFD", "LensModel"), ("XMP-exifEX", "LensModel"), ("XMP-aux", "Lens")):
        rows = reading.groups.get(group)
        if rows is not None and name in rows:
            model = reading.text(group, name)
            if "mm" in model or _SLASHED.search(model):
                shown = _SPACED.sub(r"\1mm", _SLASHED.sub(r"\1mm F", model, count=1).replace("mmF", "mm F", 1), count=1)
                reading.add("Composite", "LensID", model, shown.replace(" - ", "-", 1))
                return


_SLASHED, _SPACED = re.compile(r"(\d)/F"), re.compile(r"(\d) mm")


def _maker_note(reading: Reading) -> None:
    from functions.exif import makernotes

    makernotes.read(reading)


def _earth(reading: Reading) -> None:
    from functions.exif.fields import geotiff

    geotiff.add(reading, reading.groups["IFD0"])


def _packet_note(reading: Reading) -> None:
    from functions.exif import makernotes

    makernotes.read_packet(reading)
