"""Routes and events of clean copies and of fields set; the editor is imported on the first request.

A cold start stays short: `functions.exif.editing` is not imported with this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from functions.exif.edit.names import KEEP, REMOVE
from functions.exif.media import SUFFIXES, ZIP
from functions.kit.http.function import JSON, AnyCall, EventRoute, Reply, Route
from functions.kit.http.options import Option, flag, integer, names, parsed, text
from functions.kit.jsontypes import JsonMapping

if TYPE_CHECKING:
    from datetime import datetime

LONGEST = 2000


def _strip(call: AnyCall) -> Reply | JsonMapping:
    from functions.exif import editing

    return editing.strip_files(call)


def _set(call: AnyCall) -> Reply:
    from functions.exif import editing

    return editing.set_fields(call)


def _clean_of_event(data: bytes, _settings: object) -> tuple[bytes, str]:
    """Return the clean copy of an event's image, and its media type."""
    from functions.exif import editing

    result = editing.clean(data)
    return result.data, result.media_type


def _date(given: str) -> datetime:
    from functions.exif.edit.fields import parse_date

    return parse_date(given)


def _position(given: str) -> tuple[float, float, float | None]:
    from functions.exif.edit.fields import parse_position

    return parse_position(given)


IMAGES = tuple(SUFFIXES)
ROUTES = (
    Route(
        "POST",
        "/strip",
        _strip,
        "The same picture without metadata, pixels bit for bit the same; several files come back as a ZIP archive.",
        options=(
            Option("keep", names("none", *KEEP), None, f"what stays, by comma: {', '.join(KEEP)}; or none"),
            Option("remove", names(*REMOVE), (), "only this goes, all else stays: gps"),
            Option("report", flag(), False, "a JSON list of what went, in place of the file"),
        ),
        takes="images",
        produces=(*IMAGES, ZIP, JSON),
        answers="Reports",
    ),
    Route(
        "POST",
        "/set",
        _set,
        "The same picture with fields of its Exif written: JPEG, PNG, WebP, TIFF, DNG, HEIC, AVIF and JPEG XL.",
        options=(
            Option("artist", text(LONGEST), None, "who made it"),
            Option("copyright", text(LONGEST), None, "the notice"),
            Option("description", text(LONGEST), None, "of the picture"),
            Option(
                "date",
                parsed(_date, r"^\d{4}[-:]\d\d[-:]\d\d[T ]\d\d:\d\d"),
                None,
                "when it was taken: 2024-05-03T14:12:00+02:00",
            ),
            Option("orientation", integer(1, 8), None, "as Exif counts: 1 upright, 6 turned right, …"),
            Option(
                "gps",
                parsed(_position, r"^(geo:)?[-+]?[\d.]+,[-+]?[\d.]+(,[-+]?[\d.]+)?([;?].*)?$"),
                None,
                "latitude,longitude[,altitude] in degrees and metres, or a geo: URI",
            ),
        ),
        takes="image",
        produces=IMAGES,
    ),
)
EVENTS = (
    EventRoute(
        type="dev.pixelamp.image.clean",
        reply="dev.pixelamp.image.cleaned",
        takes="image",
        handler=_clean_of_event,
    ),
)
