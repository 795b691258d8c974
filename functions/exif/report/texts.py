"""Free texts of a file that no other rule of the privacy report covers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from functions.exif.blocks.entries import ASCII, EMBEDDED, TYPE, UNDEFINED, UTF8, VALUE
from functions.exif.report.rules import EMPTY, is_standard_profile
from functions.kit.jsontypes import Json

if TYPE_CHECKING:
    from functions.exif.rows import Reading, Row

MAX_TEXTS = 100
# Tags whose texts are technical: versions, colour spaces, settings of a format.
_TECHNICAL = re.compile(
    r"(Exif|Flashpix|Interop|GPS|MPF|JFIF|IPTC|XMP|\w*Record|Profile)\w*Version(ID)?|InteropIndex|ComponentsConfiguration"
    r"|ColorSpace(Data)?|GPS\w*Ref|GPSMapDatum|GPSStatus|GPSMeasureMode|FileSource|SceneType|Format|ColorMode|ICCProfileName"
    r"|Profile(CMMType|Class|ConnectionSpace|FileSignature|Creator|DateTime|ID)|PrimaryPlatform|Device(Manufacturer|Attributes)"
    r"|CodedCharacterSet|XMPToolkit|About|ThumbnailImage|PreviewImage|Orientation|Technology|Marked|Rating|NumberOfImages"
    r"|MicrosoftRating\w*|HasExtendedXMP|CompressorVersion|(Major|Compatible)Brands?|MinorVersion|HandlerType|Compression"
    r"|SignificantBits|BackgroundColor|Transparency|Palette|ImageOffset|IPTCDigest|PrintPosition|ColorProfiles"
    r"|AuxiliaryImageType|GIFVersion|MediaLanguageCode|OtherFormat"
)
_TECHNICAL_GROUPS = re.compile(r"File|JFIF|Adobe|Composite|PNG-pHYs|MPF\d*|MPImage\d+|JFXX")
_NUMBER = re.compile(r"[\s\d.,:;+\-/()%xX×]*")
_BINARY = re.compile(r"\((?:Binary data|large array) .*\)")


def unexplained(reading: Reading, explained: Callable[[str, str], bool]) -> Iterator[tuple[str, str]]:
    """Tag and text of each row that holds free text.

    Args:
        reading: of the file.
        explained: whether a rule has looked at a tag, by its group and name.
    """
    rows = [(group, row) for group, rows in reading.groups.items() for row in rows.values()]
    count = 0
    for group, row in [*rows, *reading.repeated]:
        if _TECHNICAL_GROUPS.fullmatch(group) or explained(group, row[0]):
            continue
        text = _text(group, row)
        if text and not EMPTY.fullmatch(text):
            yield f"{group}:{row[0]}", text
            count += 1
            if count >= MAX_TEXTS:
                return


def _text(group: str, row: Row) -> str:
    """The free text of a row; empty where it has none."""
    name, value, printed, number, entry = row
    if _TECHNICAL.fullmatch(name):
        # A technical text is short.
        return str(printed) if len(str(printed)) > 64 else ""
    if entry is not None:
        return "" if number in EMBEDDED else _of_entry(entry)
    if group.startswith("ICC") or (group, name) == ("PNG", "ProfileName"):
        text = str(printed)
        known = is_standard_profile(text) or _BINARY.fullmatch(text) or _NUMBER.fullmatch(text) or value != printed
        return "" if known else text
    texts = [text for text in _strings(value) if not _NUMBER.fullmatch(text) or group == "PNG"]
    return "; ".join(texts)[:256] if not _BINARY.fullmatch(str(printed)) else ""


def _of_entry(entry: Json) -> str:
    """The text of a directory's entry: of a text type, or opaque bytes that are text."""
    value = entry[VALUE]
    if entry[TYPE] in (ASCII, UTF8) and isinstance(value, bytes):
        return value.strip(b"\0 ").decode("latin-1")
    if entry[TYPE] == UNDEFINED and isinstance(value, bytes) and len(value) > 4:
        return value.strip(b"\0 ").decode("latin-1") if re.search(rb"[ -~]{4}", value) else ""
    return ""


def _strings(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        for held in value.values():
            yield from _strings(held)
    elif isinstance(value, list):
        for held in value:
            yield from _strings(held)
    elif isinstance(value, str) and value.strip() and value not in ("True", "False"):
        yield value
