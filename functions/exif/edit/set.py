"""Exif fields set in a picture; every other byte of the file is kept.

A block of the new fields alone is grafted onto the file's own structure: the new directories are appended and no old
value moves, so maker notes with offsets of their own stay readable. The result is read back before it is returned.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import product
from struct import pack, pack_into, unpack
from typing import Any

from functions.exif.edit import tiff
from functions.exif.edit.blocks.exif import head_of
from functions.exif.edit.blocks.layout import EXIF, Layout
from functions.exif.edit.errors import Broken, Unsupported
from functions.exif.edit.fields import FRACTIONS_AND_OFFSETS, Fields, Required, block
from functions.exif.edit.graft import graft
from functions.exif.edit.names import MEDIA_TYPES
from functions.exif.edit.readback import confirm
from functions.exif.reading import read as read_metadata
from functions.exif.rows import Reading
from functions.exif.scan.files import scan
from functions.kit import containers
from functions.kit.containers import ContainerError, Document, Kind, Part

FORMATS = ("JPEG", "MPO", "PNG", "APNG", "WebP", "TIFF", "DNG", "HEIC", "HEIF", "AVIF", "JXL")
"""Formats that can be written."""
MAX_PREVIEWS, MAX_PATCHES = 16, 64
PLACED = frozenset((1, 4, 7, 13))  # types of values that offsets are in
Patches = dict[int, tuple[str, int]]
EMPTY = b"II*\0\x08\0\0\0\0\0\0\0\0\0"
DNG_VERSION, UNCALIBRATED = 0xC612, 0xFFFF


@dataclass(frozen=True, slots=True)
class Written:
    """A file with its fields set.

    Args:
        data: the file.
        media_type: of the file.
        warnings: for the receiver.
    """

    data: bytes
    media_type: str
    warnings: tuple[str, ...]


def write(data: bytes, fields: Fields) -> Written:
    """Set fields of a file's Exif and return the file; its pixels are the same bytes.

    Args:
        data: the file; its bytes decide the format.
        fields: the values.

    Raises:
        Broken: a structure that cannot be followed, no room for more, or a result that lacks an old or a new tag.
        Unsupported: a format that cannot be written safely; the message gives the reason.
    """
    document = containers.read(data)
    if document is None or document.format not in FORMATS:
        raise Unsupported(_reason(document))
    addition = block(fields, _required(document, fields))
    patched: Collection[int] = ()
    if document.reader == "tiff":
        layout = Layout(data)
        if not (layout.images and layout.images[0].find(DNG_VERSION)):
            tiff.refuse_raw(layout)
        result = _graft(data, fields, addition)
    else:
        try:
            result, patched = _block(document, fields, addition)
        except ContainerError as error:
            raise Broken(str(error)) from None
    found = scan(data)
    if found is None:
        raise Broken("it cannot be read")
    reading = read_metadata(found)
    confirm(document, reading, result, addition, fields, patched)
    return Written(result, MEDIA_TYPES[document.format], _warnings(reading, fields))


def _required(document: Document, fields: Fields) -> Required:
    """The entries that a new Exif directory has to have (CIPA DC-008, 4.6.5), and a new block of a JPEG (4.6.4)."""
    if document.reader == "tiff":
        part, old = None, document.source.data
    else:
        part = _exif(document)
        content = document.content(part) if part is not None else None
        old = content[len(head_of(content)) :] if content else EMPTY
    layout = Layout(old)
    jpeg = document.reader == "jpeg"
    first: dict[int, Any] = {}
    if part is None and jpeg:
        jfif = next((document.raw(other) for other in document.parts if other.kind is Kind.JFIF), b"")
        unit, x, y = unpack(">BHH", jfif[2:7]) if len(jfif) >= 7 else (0, 0, 0)
        stated = unit in (1, 2) and x and y
        first = (
            {0x11A: (x, 1), 0x11B: (y, 1), 0x128: unit + 1} if stated else {0x11A: (72, 1), 0x11B: (72, 1), 0x128: 2}
        )
        first[0x213] = 1  # centred, as JFIF has them
    there = layout.images and any(entry.tag == EXIF for entry in layout.images[0].entries)
    if there or fields.taken is None:
        return first, {}
    exif: dict[int, Any] = {0x9000: b"0232", 0xA000: b"0100", 0xA001: UNCALIBRATED}
    if jpeg:
        exif |= {0x9101: b"\1\2\3\0", 0xA002: document.width or 0, 0xA003: document.height or 0}
    return first, exif


def _reason(document: Document | None) -> str:
    if document is not None and document.format == "BigTIFF":
        return "readers, ExifTool among them, do not follow GPS in a BigTIFF"
    return f"only {', '.join(FORMATS)} can be written"


def _graft(old: bytes, fields: Fields, addition: bytes) -> bytes:
    stale = FRACTIONS_AND_OFFSETS if fields.taken is not None else ()
    return graft(old, addition, fields.position is not None, stale)


def _block(document: Document, fields: Fields, addition: bytes) -> tuple[bytes, Collection[int]]:
    """The file with a new Exif block, and the places in the block of offsets that were corrected."""
    part = _exif(document)
    if part is None:
        new = _graft(EMPTY, fields, addition)
        return containers.write(document, {}, {Kind.EXIF: new}), ()
    old = document.content(part)
    if old is None:
        raise Broken("its Exif cannot be read")
    head = head_of(old)
    new = _graft(old[len(head) :], fields, addition)
    if document.reader == "jpeg":
        new, patched = _patched(document, part, new, len(new) - len(old))
        return containers.write(document, {part: new}), patched
    return containers.write(document, {part: head + new}), ()


def _exif(document: Document) -> Part | None:
    """The Exif block that readers show: the only one of a JPEG, the first of another file.

    Raises:
        Broken: a JPEG has several.
    """
    found = [part for part in document.parts if part.kind is Kind.EXIF and part.lead < 0]
    # Of several items that of the primary picture.
    found.sort(key=lambda part: part.name.startswith("of item"))
    if len(found) > 1 and document.reader in ("jpeg", "webp", "jxl"):
        raise Broken("it has several Exif blocks")
    return found[0] if found else None


def _patched(document: Document, part: Part, block: bytes, grown: int) -> tuple[bytes, Collection[int]]:
    """Correct offsets of pictures behind the end of a JPEG, which move with it, in an Exif block.

    Maker notes count them from the block's header or from the start of the file, and no table has all of these tags:
    a 32-bit number in a value that leads to the first byte of a JPEG in the trailer is taken for one.
    """
    found: Patches = {}
    entries = [entry for directory in Layout(block).walk() for entry in directory.entries] if grown else []
    values = [entry.span for entry in entries if entry.start >= 0 and entry.type in PLACED]
    pictures = [other.start for other in document.parts if other.kind is Kind.PICTURE][:MAX_PREVIEWS]
    for at in pictures if grown else ():
        for offset, order in product((at, at - part.body), "<>"):
            wanted = pack(order + "I", offset)
            place = block.find(wanted)
            while place >= 0 and len(found) < MAX_PATCHES:
                if any(start <= place and place + 4 <= end for start, end in values):
                    found[place] = order, offset
                place = block.find(wanted, place + 4)
    out = bytearray(block)
    for place, (order, offset) in found.items():
        pack_into(order + "I", out, place, offset + grown)
    return bytes(out), frozenset(found)


# Other tags that state the same, by the names of `Fields`: readers that prefer them show their values.
ELSEWHERE = {
    "artist": ("XMP-dc:Creator", "XMP-tiff:Artist", "IPTC:By-line", "IFD0:XPAuthor"),
    "copyright": ("XMP-dc:Rights", "XMP-tiff:Copyright", "IPTC:CopyrightNotice"),
    "description": (
        "XMP-dc:Description",
        "XMP-dc:Title",
        "XMP-tiff:ImageDescription",
        "IPTC:Caption-Abstract",
        "IFD0:XPTitle",
        "IFD0:XPComment",
    ),
    "orientation": ("XMP-tiff:Orientation",),
    "taken": (
        "XMP-exif:DateTimeOriginal",
        "XMP-exif:DateTimeDigitized",
        "XMP-photoshop:DateCreated",
        "XMP-xmp:CreateDate",
        "IPTC:DateCreated",
        "IPTC:TimeCreated",
    ),
    "position": (
        "XMP-exif:GPSLatitude",
        "XMP-exif:GPSLongitude",
        "XMP-iptcExt:LocationShown",
        "XMP-iptcExt:LocationCreated",
        "XMP-photoshop:City",
        "IPTC:City",
        "IPTC:Sub-location",
    ),
}


def _warnings(reading: Reading, fields: Fields) -> tuple[str, ...]:
    """Tags elsewhere in the file that state what was set, and were left unchanged."""
    others = [tag for name in fields.names() for tag in ELSEWHERE[name] if reading.text(*tag.split(":")).strip()]
    warnings = [f"left as it was, and may say otherwise: {', '.join(others)}"] if others else []
    if any(block.kind == "jumbf" for block in reading.scan.blocks):
        warnings.append("content credentials (C2PA) in the file do not hold for the changed file")
    return tuple(warnings)
