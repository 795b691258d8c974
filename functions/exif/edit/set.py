"""Exif fields set in a JPEG, WebP or TIFF; every other byte of the file is kept.

A block of the new fields alone is grafted onto the file's own structure: the new directories are appended and no old
value moves, so maker notes with offsets of their own stay readable. The result is read back before it is returned.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import product
from struct import pack, pack_into, unpack_from

from functions.exif.edit.blocks.layout import Layout
from functions.exif.edit.errors import Broken, Unsupported
from functions.exif.edit.fields import FRACTIONS_AND_OFFSETS, Fields, block
from functions.exif.edit.graft import graft
from functions.exif.edit.readback import confirm
from functions.exif.reading import read as read_metadata
from functions.exif.rows import Reading
from functions.exif.scan import scan
from functions.exif.strip import tiff, webp
from functions.exif.strip.segments import EXIF_IDENTIFIER, MPF_HEADER, Segment, read

FORMATS = ("JPEG", "MPO", "WebP", "TIFF")
"""Formats that can be written."""
MAX_SEGMENT = 65533
MAX_PREVIEWS, MAX_PATCHES = 16, 64
Patches = dict[int, tuple[str, int]]
EMPTY = b"II*\0\x08\0\0\0\0\0\0\0\0\0"


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
        Unsupported: a format that cannot be written safely; the text says why.
    """
    addition = block(fields)
    patched: Collection[int] = ()
    if data.startswith(b"\xff\xd8\xff"):
        (result, patched), media_type = _jpeg(data, fields, addition), "image/jpeg"
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        result, media_type = _webp(data, fields, addition), "image/webp"
    elif data[:4] in (b"II+\0", b"MM\0+"):
        raise Unsupported("readers, ExifTool among them, do not follow GPS in a BigTIFF")
    elif data[:4] in (b"II*\0", b"MM\0*"):
        tiff.refuse_raw(Layout(data))
        result, media_type = _graft(data, fields, addition), "image/tiff"
    else:
        raise Unsupported("only JPEG, WebP and TIFF can be written")
    found = scan(data)
    if found is None:
        raise Broken("it cannot be read")
    reading = read_metadata(found)
    confirm(data, reading, result, addition, fields, patched)
    return Written(result, media_type, _warnings(reading, fields))


def _graft(old: bytes, fields: Fields, addition: bytes) -> bytes:
    stale = FRACTIONS_AND_OFFSETS if fields.taken is not None else ()
    return graft(old, addition, fields.position is not None, stale)


def _jpeg(data: bytes, fields: Fields, addition: bytes) -> tuple[bytes, Collection[int]]:
    """The file, and the places in its Exif block of offsets that were corrected."""
    segments, end = read(data)
    found = [s for s in segments if s.marker == 0xE1 and EXIF_IDENTIFIER.match(s.body)]
    if len(found) > 1:
        raise Broken("its Exif spans several segments")
    identifier = EXIF_IDENTIFIER.match(found[0].body) if found else None
    head = identifier[0] if identifier else b"Exif\0\0"
    old = found[0].body[len(head) :] if found else EMPTY
    body = head + _graft(old, fields, addition)
    if len(body) > MAX_SEGMENT:
        raise Broken(f"its Exif would have {len(body):,} bytes; a segment holds {MAX_SEGMENT:,}")
    if found:
        place = found[0].position
        after = place + len(found[0].encode())
    else:
        place = 2
        while data[place : place + 2] == b"\xff\xe0":  # JFIF must come first
            place += 2 + unpack_from(">H", data, place + 2)[0]
        after = place
    grown = len(body) + 4 - (after - place)
    patched: Patches = {}
    if found and grown:
        patched = _previews(data, body[len(head) :], place + 4 + len(head), end)
        exif = bytearray(body)
        for at, (order, offset) in patched.items():
            pack_into(order + "I", exif, len(head) + at, offset + grown)
        body = bytes(exif)
    result = bytearray(data[:place] + Segment(0xE1, body).encode() + data[after:])
    if grown:
        _index(result, segments, place, grown)
    return bytes(result), frozenset(patched)


def _index(result: bytearray, segments: list[Segment], place: int, grown: int) -> None:
    """Correct the index of a Multi-Picture file: the first picture has grown, and the others have moved with it.

    Offsets count from the index's own header (CIPA DC-007, 5.2.3.3): they change only where it precedes the edit.
    """
    for segment in segments:
        if segment.marker != 0xE2 or not segment.body.startswith(MPF_HEADER):
            continue
        base = segment.position + 4 + len(MPF_HEADER)
        ahead = base < place
        base += 0 if ahead else grown
        try:
            layout = Layout(segment.body[len(MPF_HEADER) :], chain=False)
        except Broken:
            return
        entry = layout.images[0].find(0xB002) if layout.images else None
        for number in range(entry.size // 16 if entry else 0):
            spot = base + (entry.start if entry else 0) + 16 * number
            _, size, offset = unpack_from(layout.order + "III", result, spot)
            if not offset:
                pack_into(layout.order + "I", result, spot + 4, size + grown)
            elif ahead:
                pack_into(layout.order + "I", result, spot + 8, offset + grown)
        return


def _previews(data: bytes, block: bytes, start: int, end: int) -> Patches:
    """Find offsets of pictures behind the end of the image, which move with it, in an Exif block.

    Maker notes count them from the block's header or from the start of the file, and no table has all of these tags:
    a 32-bit number that leads to the first byte of a JPEG in the trailer is taken for one.

    Args:
        data: the file.
        block: the new block.
        start: of the block's header in the file.
        end: of the image.

    Returns:
        Byte order and offset of each, by its place in the block.
    """
    found: Patches = {}
    at = data.find(b"\xff\xd8\xff", end)
    for _ in range(MAX_PREVIEWS):
        if at < 0:
            break
        for offset, order in product((at, at - start), "<>"):
            wanted = pack(order + "I", offset)
            place = block.find(wanted)
            while place >= 0 and len(found) < MAX_PATCHES:
                found[place] = order, offset
                place = block.find(wanted, place + 4)
        at = data.find(b"\xff\xd8\xff", at + 3)
    return found


def _webp(data: bytes, fields: Fields, addition: bytes) -> bytes:
    (size,) = unpack_from("<I", data, 4)
    end = 8 + size
    if end > len(data):
        raise Broken("the file ends before its last chunk")
    found, stop = webp.chunks(data, 12, end)
    if sum(kind == b"EXIF" for kind, _ in found) > 1:
        raise Broken("it has several Exif chunks")
    chunks = dict(found)
    old = chunks.get(b"EXIF", EMPTY)
    head = b"Exif\0\0" if old.startswith(b"Exif\0\0") else b""
    body = head + _graft(old[len(head) :], fields, addition)
    if b"VP8X" not in chunks:
        found.insert(0, (b"VP8X", _canvas(data, found)))
    if b"EXIF" in chunks:
        found = [(kind, body if kind == b"EXIF" else part) for kind, part in found]
    else:
        # The metadata follow the picture, Exif before XMP (RFC 9649, 2.7).
        at = next((index for index, (kind, _) in enumerate(found) if kind in (b"XMP ", b"XMP\0")), len(found))
        found.insert(at, (b"EXIF", body))
    if len(dict(found)[b"VP8X"]) < 10:
        raise Broken("its header is cut off")
    flagged = [
        (kind, bytes((part[0] | webp.EXIF_FLAG,)) + part[1:] if kind == b"VP8X" else part) for kind, part in found
    ]
    return webp.riff(flagged) + data[max(stop, end) :]


def _canvas(data: bytes, found: list[webp.Chunk]) -> bytes:
    """A VP8X chunk for a file without one: the size of its picture, and whether it has transparency."""
    head = scan(data)
    if head is None or not head.width or not head.height:
        raise Broken("no picture in it")
    alpha = any(kind == b"VP8L" and len(part) >= 5 and part[4] & 0x10 for kind, part in found)
    size = (head.width - 1).to_bytes(3, "little") + (head.height - 1).to_bytes(3, "little")
    return bytes((0x10 if alpha else 0, 0, 0, 0)) + size


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
