"""Exif written into JPEG, WebP and TIFF: a few fields set, everything else where it was.

piexif builds a block of the new fields alone, from values that were checked here; it never reads a file. The fields
are then grafted onto the file's own structure: new directories stand at its end, and no old value moves, so maker
notes with offsets of their own stay readable. Pixels are not touched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from struct import pack_into, unpack_from
from typing import Any

from functions.exif.grafting import graft
from functions.exif.reading import read as read_metadata
from functions.exif.scan import scan
from functions.exif.strip import tiff, webp
from functions.exif.strip.edit import Unsupported
from functions.exif.strip.layout import Broken, Layout
from functions.exif.strip.segments import EXIF_HEADER, Segment, read

# The fractions and offsets of DateTimeOriginal and Digitized: another date's are not those of the new one.
FRACTIONS_AND_OFFSETS = (0x9291, 0x9292, 0x9011, 0x9012)
ARTIST, COPYRIGHT, DESCRIPTION, ORIENTATION = 0x013B, 0x8298, 0x010E, 0x0112
FORMATS = ("JPEG", "MPO", "WebP", "TIFF")
"""What can be written."""
MAX_SEGMENT = 65533
EMPTY = b"II*\0\x08\0\0\0\0\0\0\0\0\0"
_POSITION = re.compile(
    r"(?:geo:)?([-+]?\d{1,3}(?:\.\d{1,12})?),([-+]?\d{1,3}(?:\.\d{1,12})?)(?:,([-+]?\d{1,5}(?:\.\d{1,6})?))?"
    # RFC 5870: a coordinate system, an uncertainty and others may follow; maps add a query.
    r"(?P<parameters>(?:;[\w-]{1,40}(?:=[\w.%-]{1,40})?){0,8})(?:\?[\w=&.,-]{0,80})?",
    re.IGNORECASE | re.ASCII,
)
# In a query, the plus sign of an offset that was typed as it stands is a space.
_SPACED_OFFSET = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?) (\d\d:?\d\d)")
_EXIF_DATE = re.compile(r"(\d{4}):(\d\d):(\d\d) ")


@dataclass(frozen=True, kw_only=True)
class Fields:
    """What is to be written; None leaves a field as it is.

    Args:
        artist: who made it.
        copyright: the notice.
        description: of the picture.
        orientation: 1 to 8, as Exif counts.
        taken: when, with its offset from UTC where known.
        position: latitude and longitude in degrees (WGS 84), and altitude in metres or None.
    """

    artist: str | None = None
    copyright: str | None = None
    description: str | None = None
    orientation: int | None = None
    taken: datetime | None = None
    position: tuple[float, float, float | None] | None = None

    def names(self) -> list[str]:
        """The fields that are set."""
        return [name for name, value in vars(self).items() if value is not None]


@dataclass(frozen=True, slots=True)
class Written:
    """A file with its fields set.

    Args:
        data: the file.
        media_type: of the file.
        warnings: what the receiver should know.
    """

    data: bytes
    media_type: str
    warnings: tuple[str, ...]


def parse_date(text: str) -> datetime:
    """A date of ISO 8601 or Exif's form, with seconds, and an offset from UTC where it has one.

    Raises:
        ValueError: it is neither.
    """
    said = _EXIF_DATE.sub(r"\1-\2-\3 ", text)
    if spaced := _SPACED_OFFSET.fullmatch(said):
        said = f"{spaced[1]}+{spaced[2]}"
    if len(said) < 16:
        raise ValueError("expected a date and time such as 2024-05-03T14:12:00+02:00")
    try:
        return datetime.fromisoformat(said)
    except ValueError:
        raise ValueError("expected a date and time such as 2024-05-03T14:12:00+02:00") from None


def parse_position(text: str) -> tuple[float, float, float | None]:
    """`latitude,longitude[,altitude]` in degrees and metres, or a `geo:` URI of it (RFC 5870).

    Raises:
        ValueError: it is none, or out of range.
    """
    match = _POSITION.fullmatch(text.replace(" ", ""))
    if not match:
        raise ValueError("expected latitude,longitude[,altitude] in degrees and metres, such as 48.1372,11.5756,520")
    systems = re.findall(r";crs=([^;]*)", match["parameters"].lower())
    if systems not in ([], ["wgs84"]):
        raise ValueError(f"expected the coordinate system wgs84, not {systems[0]!r}")
    latitude, longitude = float(match[1]), float(match[2])
    if abs(latitude) > 90 or abs(longitude) > 180:
        raise ValueError("expected a latitude from -90 to 90 and a longitude from -180 to 180")
    return latitude, longitude, None if match[3] is None else float(match[3])


def write(data: bytes, fields: Fields) -> Written:
    """A file with some fields of its Exif set, its pixels the same bytes.

    Args:
        data: the file; its bytes decide the format.
        fields: what to set.

    Raises:
        Broken: a structure that cannot be followed, or no room for more.
        Unsupported: a format that cannot be written safely; the text says why.
    """
    if data.startswith(b"\xff\xd8\xff"):
        return Written(_jpeg(data, fields), "image/jpeg", _warnings(data, fields))
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return Written(_webp(data, fields), "image/webp", _warnings(data, fields))
    if data[:4] in (b"II+\0", b"MM\0+"):
        raise Unsupported("readers, ExifTool among them, do not follow GPS in a BigTIFF")
    if data[:4] in (b"II*\0", b"MM\0*"):
        tiff.refuse_raw(Layout(data))
        return Written(_graft(data, fields), "image/tiff", _warnings(data, fields))
    raise Unsupported("only JPEG, WebP and TIFF can be written")


def _graft(old: bytes, fields: Fields) -> bytes:
    stale = FRACTIONS_AND_OFFSETS if fields.taken is not None else ()
    return graft(old, block(fields), fields.position is not None, stale)


def block(fields: Fields) -> bytes:
    """A TIFF structure of the fields alone, big-endian, built by piexif."""
    import piexif

    first: dict[int, Any] = {}
    for tag, text in ((ARTIST, fields.artist), (COPYRIGHT, fields.copyright), (DESCRIPTION, fields.description)):
        if text is not None:
            first[tag] = text.encode()
    if fields.orientation is not None:
        first[ORIENTATION] = fields.orientation
    dump: dict[str, Any] = {"0th": first, "Exif": {}, "GPS": {}}
    if fields.taken is not None:
        dump["Exif"] = _date(fields.taken)
    if fields.position is not None:
        dump["GPS"] = _place(*fields.position)
    return bytes(piexif.dump(dump)[6:])


def _date(taken: datetime) -> dict[int, bytes]:
    """DateTimeOriginal and Digitized with their fractions and offsets (CIPA DC-008, 4.6.6)."""
    values = {}
    for date, fraction, offset in ((0x9003, 0x9291, 0x9011), (0x9004, 0x9292, 0x9012)):
        values[date] = f"{taken:%Y:%m:%d %H:%M:%S}".rjust(19, "0").encode()
        if taken.microsecond:
            values[fraction] = f"{taken.microsecond:06d}".rstrip("0").encode()
        said = f"{taken:%z}"
        if said:
            values[offset] = f"{said[:3]}:{said[3:5]}".encode()
    return values


def _place(latitude: float, longitude: float, altitude: float | None) -> dict[int, Any]:
    values: dict[int, Any] = {
        0: (2, 3, 0, 0),
        1: b"S" if latitude < 0 else b"N",
        2: _sexagesimal(latitude),
        3: b"W" if longitude < 0 else b"E",
        4: _sexagesimal(longitude),
        18: b"WGS-84",
    }
    if altitude is not None:
        values[5] = 1 if altitude < 0 else 0
        values[6] = (round(abs(altitude) * 1000), 1000)
    return values


def _sexagesimal(degrees: float) -> tuple[tuple[int, int], ...]:
    """Degrees, minutes and seconds as rationals; seconds to a hundred-thousandth, which is 0.3 mm."""
    total = round(abs(degrees) * 3600 * 100_000)
    minutes, seconds = divmod(total, 60 * 100_000)
    return (minutes // 60, 1), (minutes % 60, 1), (seconds, 100_000)


def _jpeg(data: bytes, fields: Fields) -> bytes:
    segments, end = read(data)
    blocks = [s for s in segments if s.marker == 0xE1 and s.body.startswith(EXIF_HEADER)]
    if len(blocks) > 1:
        raise Unsupported("its Exif spans several segments")
    old = blocks[0].body[6:] if blocks else EMPTY
    body = b"Exif\0\0" + _graft(old, fields)
    if len(body) > MAX_SEGMENT:
        raise Broken(f"its Exif would have {len(body):,} bytes; a segment holds {MAX_SEGMENT:,}")
    new = Segment(0xE1, body).encode()
    if blocks:
        place = data.find(blocks[0].encode())
        before, after = data[:place], data[place + len(blocks[0].encode()) :]
    else:
        place = 2
        while data[place : place + 2] == b"\xff\xe0":  # JFIF wants to be first
            place += 2 + unpack_from(">H", data, place + 2)[0]
        before, after = data[:place], data[place:]
    result = bytearray(before + new + after)
    _index(result, len(result) - len(data), place, end)
    return bytes(result)


def _index(result: bytearray, grown: int, place: int, end: int) -> None:
    """Mend the index of a Multi-Picture file: the first picture has grown, and the others moved with it.

    Places count from the index's own header (CIPA DC-007, 5.2.3.3): they change only if that stands before the edit.
    """
    at = bytes(result[: end + grown]).find(b"MPF\0")
    if at < 4 or not grown:
        return
    base = at + 4
    try:
        layout = Layout(bytes(result[base:]), chain=False)
    except Broken:
        return
    entry = layout.images[0].find(0xB002) if layout.images else None
    if entry is None:
        return
    for number in range(entry.size // 16):
        spot = base + entry.start + 16 * number
        _, size, offset = unpack_from(layout.order + "III", result, spot)
        if number == 0:
            pack_into(layout.order + "I", result, spot + 4, size + grown)
        elif offset and at < place:
            pack_into(layout.order + "I", result, spot + 8, offset + grown)


def _webp(data: bytes, fields: Fields) -> bytes:
    (size,) = unpack_from("<I", data, 4)
    if 8 + size > len(data):
        raise Broken("the file ends before its last chunk")
    found, _ = webp.chunks(data, 12, 8 + size)
    chunks = dict(found)
    old = chunks.get(b"EXIF", EMPTY)
    head = b"Exif\0\0" if old.startswith(b"Exif\0\0") else b""
    body = head + _graft(old[len(head) :], fields)
    if b"VP8X" not in chunks:
        found.insert(0, (b"VP8X", _canvas(data, found)))
    rest = [(kind, part) for kind, part in found if kind != b"EXIF"]
    # The metadata follow the picture, Exif before XMP (RFC 9649, 2.7).
    at = next((index for index, (kind, _) in enumerate(rest) if kind in (b"XMP ", b"XMP\0")), len(rest))
    rest.insert(at, (b"EXIF", body))
    if len(dict(rest)[b"VP8X"]) < 10:
        raise Broken("its header is cut off")
    return webp.riff(
        [(kind, bytes((part[0] | webp.EXIF_FLAG,)) + part[1:] if kind == b"VP8X" else part) for kind, part in rest]
    )


def _canvas(data: bytes, found: list[webp.Chunk]) -> bytes:
    """A VP8X chunk for a file that had none: the size of its picture, and whether it has transparency."""
    head = scan(data)
    if head is None or not head.width or not head.height:
        raise Broken("no picture in it")
    alpha = any(kind == b"VP8L" and len(part) >= 5 and part[4] & 0x10 for kind, part in found)
    size = (head.width - 1).to_bytes(3, "little") + (head.height - 1).to_bytes(3, "little")
    return bytes((0x10 if alpha else 0, 0, 0, 0)) + size


# Where else a field may be said: readers that prefer those places will show what they say. By the names of `Fields`.
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


def _warnings(data: bytes, fields: Fields) -> tuple[str, ...]:
    """What else in the file says what was set, and was left as it is."""
    found = scan(data)
    if found is None:
        return ()
    reading = read_metadata(found)
    said = [tag for name in fields.names() for tag in ELSEWHERE[name] if reading.text(*tag.split(":")).strip()]
    warnings = [f"left as it was, and may say otherwise: {', '.join(said)}"] if said else []
    if any(block.kind == "jumbf" for block in found.blocks):
        warnings.append("content credentials (C2PA) in the file do not hold for the changed file")
    return tuple(warnings)
