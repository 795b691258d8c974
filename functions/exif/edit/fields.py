"""The fields that `/exif/set` writes: parsed from text, and built as a TIFF structure of their own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from functions.kit.jsontypes import JsonObject

# The fractions and offsets of DateTimeOriginal and Digitized belong to the old date.
FRACTIONS_AND_OFFSETS = (0x9291, 0x9292, 0x9011, 0x9012)
ARTIST, COPYRIGHT, DESCRIPTION, ORIENTATION = 0x013B, 0x8298, 0x010E, 0x0112
_POSITION = re.compile(
    r"(?:geo:)?([-+]?\d{1,3}(?:\.\d{1,12})?),([-+]?\d{1,3}(?:\.\d{1,12})?)(?:,([-+]?\d{1,5}(?:\.\d{1,6})?))?"
    # RFC 5870: a coordinate system, an uncertainty and others may follow; maps add a query.
    r"(?P<parameters>(?:;[\w-]{1,40}(?:=[\w.%-]{1,40})?){0,8})(?:\?[\w=&.,-]{0,80})?",
    re.IGNORECASE | re.ASCII,
)
# The plus sign of an offset is decoded as a space when the query was not percent-encoded.
_SPACED_OFFSET = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?) (\d\d:?\d\d)")
_EXIF_DATE = re.compile(r"(\d{4}):(\d\d):(\d\d) ")


@dataclass(frozen=True, kw_only=True)
class Fields:
    """The values to write; None leaves a field unchanged.

    Args:
        artist: the photographer.
        copyright: the notice.
        description: of the picture.
        orientation: 1 to 8, as in Exif.
        taken: date and time, with the offset from UTC where known.
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


def parse_date(text: str) -> datetime:
    """Parse a date and time in the form of ISO 8601 or Exif, with an optional offset from UTC.

    Raises:
        ValueError: the text has neither form.
    """
    normal = _EXIF_DATE.sub(r"\1-\2-\3 ", text)
    if spaced := _SPACED_OFFSET.fullmatch(normal):
        normal = f"{spaced[1]}+{spaced[2]}"
    if len(normal) < 16:
        raise ValueError("expected a date and time such as 2024-05-03T14:12:00+02:00")
    try:
        return datetime.fromisoformat(normal)
    except ValueError:
        raise ValueError("expected a date and time such as 2024-05-03T14:12:00+02:00") from None


def parse_position(text: str) -> tuple[float, float, float | None]:
    """Parse `latitude,longitude[,altitude]` in degrees and metres, or a `geo:` URI (RFC 5870).

    Raises:
        ValueError: the text has another form, or a value is out of range.
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


Required = tuple[dict[int, Any], dict[int, Any]]
"""Further entries of the first directory and of the Exif directory, by tag."""


def block(fields: Fields, required: Required = ({}, {})) -> bytes:
    """Build a big-endian TIFF structure of the fields and of required entries alone, with piexif."""
    import piexif

    first: dict[int, Any] = dict(required[0])
    for tag, text in ((ARTIST, fields.artist), (COPYRIGHT, fields.copyright), (DESCRIPTION, fields.description)):
        if text is not None:
            first[tag] = text.encode()
    if fields.orientation is not None:
        first[ORIENTATION] = fields.orientation
    dump: JsonObject = {"0th": first, "Exif": {}, "GPS": {}}
    if fields.taken is not None:
        dump["Exif"] = _date(fields.taken) | required[1]
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
        zone = f"{taken:%z}"
        if zone:
            values[offset] = f"{zone[:3]}:{zone[3:5]}".encode()
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
