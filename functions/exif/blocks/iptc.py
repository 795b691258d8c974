"""IPTC-IIM: records of the Information Interchange Model (version 4.2), named and printed as ExifTool does."""

from __future__ import annotations

import re
from collections.abc import Callable
from struct import Struct
from typing import Any

from functions.exif.blocks.values import text_of
from functions.exif.blocks.vocabulary import URGENCY

Put = Callable[[str, object, object], None]
Warn = Callable[[str], None]
# Called with what was not read, where it starts in the records, and its size.
Miss = Callable[[str, int, int], None]
MAX_DATASETS = 4096

# A dataset's name, and how it reads: number, date, time, or text; `*` after the name: it may be repeated.
_ENVELOPE = {
    0: ("EnvelopeRecordVersion", "number"),
    5: ("Destination*", ""),
    20: ("FileFormat", "format"),
    22: ("FileVersion", "number"),
    30: ("ServiceIdentifier", ""),
    40: ("EnvelopeNumber", ""),
    50: ("ProductID*", ""),
    60: ("EnvelopePriority", "urgency"),
    70: ("DateSent", "date"),
    80: ("TimeSent", "time"),
    90: ("CodedCharacterSet", "charset"),
    100: ("UniqueObjectName", ""),
    120: ("ARMIdentifier", "number"),
    122: ("ARMVersion", "number"),
}
_APPLICATION = {
    0: ("ApplicationRecordVersion", "number"),
    3: ("ObjectTypeReference", ""),
    4: ("ObjectAttributeReference*", ""),
    5: ("ObjectName", ""),
    7: ("EditStatus", ""),
    8: ("EditorialUpdate", ""),
    10: ("Urgency", "urgency"),
    12: ("SubjectReference*", ""),
    15: ("Category", ""),
    20: ("SupplementalCategories*", ""),
    22: ("FixtureIdentifier", ""),
    25: ("Keywords*", ""),
    26: ("ContentLocationCode*", ""),
    27: ("ContentLocationName*", ""),
    30: ("ReleaseDate", "date"),
    35: ("ReleaseTime", "time"),
    37: ("ExpirationDate", "date"),
    38: ("ExpirationTime", "time"),
    40: ("SpecialInstructions", ""),
    42: ("ActionAdvised", ""),
    45: ("ReferenceService*", ""),
    47: ("ReferenceDate*", "date"),
    50: ("ReferenceNumber*", ""),
    55: ("DateCreated", "date"),
    60: ("TimeCreated", "time"),
    62: ("DigitalCreationDate", "date"),
    63: ("DigitalCreationTime", "time"),
    65: ("OriginatingProgram", ""),
    70: ("ProgramVersion", ""),
    75: ("ObjectCycle", ""),
    80: ("By-line*", ""),
    85: ("By-lineTitle*", ""),
    90: ("City", ""),
    92: ("Sub-location", ""),
    95: ("Province-State", ""),
    100: ("Country-PrimaryLocationCode", ""),
    101: ("Country-PrimaryLocationName", ""),
    103: ("OriginalTransmissionReference", ""),
    105: ("Headline", ""),
    110: ("Credit", ""),
    115: ("Source", ""),
    116: ("CopyrightNotice", ""),
    118: ("Contact*", ""),
    120: ("Caption-Abstract", ""),
    121: ("LocalCaption", ""),
    122: ("Writer-Editor*", ""),
    125: ("RasterizedCaption", "binary"),
    130: ("ImageType", ""),
    131: ("ImageOrientation", ""),
    135: ("LanguageIdentifier", ""),
    150: ("AudioType", ""),
    151: ("AudioSamplingRate", ""),
    152: ("AudioSamplingResolution", ""),
    153: ("AudioDuration", ""),
    154: ("AudioOutcue", ""),
    184: ("JobID", ""),
    185: ("MasterDocumentID", ""),
    186: ("ShortDocumentID", ""),
    187: ("UniqueDocumentID", ""),
    188: ("OwnerID", ""),
    200: ("ObjectPreviewFileFormat", "format"),
    201: ("ObjectPreviewFileVersion", "number"),
    202: ("ObjectPreviewData", "binary"),
    221: ("Prefs", ""),
    225: ("ClassifyState", ""),
    228: ("SimilarityIndex", ""),
    230: ("DocumentNotes", ""),
    231: ("DocumentHistory", ""),
    232: ("ExifCameraInfo", ""),
    255: ("CatalogSets*", ""),
}
RECORDS = {1: ("Envelope", _ENVELOPE), 2: ("Application", _APPLICATION)}
_FILE_FORMATS = {
    0: "No ObjectData",
    1: "IPTC-NAA Digital Newsphoto Parameter Record",
    2: "IPTC7901 Recommended Message Format",
    3: "Tagged Image File Format (Adobe/Aldus Image data)",
    4: "Illustrator (Adobe Graphics data)",
    5: "AppleSingle (Apple Computer Inc)",
    11: "JPEG File Interchange (JFIF)",
}
_DATASET = Struct(">BBH")
_DATE = re.compile(r"^(\d{4})(\d{2})(\d{2})")
_TIME = re.compile(r"^(\d{2})(\d{2})(\d{2}(?:\.\d+)?)([+-]\d{2})?(\d{2})?$")
UTF8_ESCAPE = b"\x1b%G"


def read(data: bytes, put: Put, warn: Warn, miss: Miss) -> None:  # noqa: C901 - one branch for each kind of damage
    """Read IIM records.

    Args:
        data: from the first tag marker (1C) on; bytes before it are passed over.
        put: called with name, value and print of each dataset; repeated ones come as one list.
        warn: called with each warning.
        miss: called with what was not read.
    """
    position, end = max(data.find(b"\x1c"), 0), len(data)
    miss("bytes before the first dataset", 0, position)
    charset = ""
    found: dict[str, list[tuple[Any, Any]]] = {}
    for _ in range(MAX_DATASETS):
        if position + 5 > end or data[position] != 0x1C:
            break
        record, number, size = _DATASET.unpack_from(data, position + 1)
        start = position + 5
        if size & 0x8000:  # an extended dataset: the low bits count the bytes of its length
            width = size & 0x7FFF
            if width > 8 or start + width > end:
                warn("IPTC: a dataset's length is broken")
                break
            size = int.from_bytes(data[start : start + width], "big")
            start += width
        if start + size > end:
            warn(f"IPTC: dataset {record}:{number} runs over the end")
            break
        body = data[start : start + size]
        if record == 1 and number == 90 and body == UTF8_ESCAPE:
            charset = "utf-8"
        if record in RECORDS:
            label, table = RECORDS[record]
            name, kind = table.get(number) or (f"IPTC_{label}Record_{number}", "")
            if kind == "binary" or (kind in ("number", "format") and size > 8):
                miss(f"dataset {record}:{number}", start, size)
            shown = _shown(body, kind, charset)
            if name in found:
                found[name].append(shown)
            else:
                found[name] = [shown]
        else:
            miss(f"dataset {record}:{number}", start, size)
        position = start + size
    if data[position:].strip(b"\0"):
        miss("bytes after the last dataset", position, end - position)
    for name, pairs in found.items():
        if name.endswith("*") and len(pairs) > 1:
            put(name[:-1], [value for value, _ in pairs], [printed for _, printed in pairs])
        else:
            put(name.rstrip("*"), *pairs[-1])
            for pair in pairs[:-1]:
                put(name.rstrip("*"), *pair)


def _shown(body: bytes, kind: str, charset: str) -> tuple[Any, Any]:
    if not kind:
        text = _text(body.rstrip(b"\0"), charset)
        return text, text
    if kind in ("number", "format"):
        value = int.from_bytes(body, "big") if 0 < len(body) <= 8 else ""
        return value, _FILE_FORMATS.get(value, f"Unknown ({value})") if kind == "format" else value  # type: ignore[arg-type]
    if kind == "binary":
        text = f"(Binary data {len(body)} bytes, use -b option to extract)"
        return text, text
    if kind == "charset":
        text = text_of(body)
        return text, "UTF8" if body == UTF8_ESCAPE else "".join(
            " ESC" if byte == 0x1B else f" {chr(byte)}" if 32 < byte < 127 else f" {byte >> 4}/{byte & 15}"
            for byte in body
        ).strip()
    text = _text(body.rstrip(b"\0"), charset)
    if kind == "date":
        text = _DATE.sub(r"\1:\2:\3", text)
    elif kind == "time":
        text = _TIME.sub(_clock, text)
    elif kind == "urgency":
        return text, URGENCY.get(text, f"Unknown ({text})")
    return text, text


def _clock(match: re.Match[str]) -> str:
    hours, minutes, seconds, zone, zone_minutes = match.groups()
    text = f"{hours}:{minutes}:{seconds}"
    return f"{text}{zone}:{zone_minutes}" if zone and zone_minutes else text


def _text(body: bytes, charset: str) -> str:
    """Text in the record's character set; without one, Windows Latin 1 unless it is valid UTF-8."""
    if body.isascii():
        return body.decode("ascii")
    if charset:
        return text_of(body)
    return body.decode("cp1252", "replace").replace("\ufffd", "?")
