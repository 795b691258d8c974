"""The answer about one file: grouped tags with their raw values, what people want at a glance, or one flat table."""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache

from functions.exif.blocks.entries import (
    ASCII,
    DOUBLE,
    FLOAT,
    RATIONAL,
    SRATIONAL,
    TYPE,
    TYPE_NAMES,
    UTF8,
    VALUE,
    Entry,
)
from functions.exif.blocks.values import Scalar, number_or_text
from functions.exif.reading import read
from functions.exif.report import privacy, summary
from functions.exif.report.location import location
from functions.exif.rows import Embedded, Reading, Row
from functions.exif.scan.files import scan
from functions.kit.containers import Source
from functions.kit.http import csvtext
from functions.kit.jsontypes import Json, JsonObject

# Raw values longer than this stand in the answer only when asked for.
SHORT_BYTES = 64
SHORT_NUMBERS = 64
EXIF_GROUP = re.compile(r"(?i)ifd\d+|subifd\d*|exififd|gps|interopifd|globparamifd|exif")
_FLOATS, _TEXTS = frozenset((FLOAT, DOUBLE)), frozenset((ASCII, UTF8))


def examine(data: bytes | Source, *, exif_only: bool = False, rows_only: bool = False) -> Reading | None:
    """Read a file's metadata; None for bytes of an unknown format. Never raises.

    Args:
        data: the whole file.
        exif_only: leave out what is no Exif, see `functions.exif.reading.read`.
        rows_only: leave out what no table shows: files inside the file, and unread bytes of Exif.
    """
    found = scan(data, whole=not exif_only, accounted=not rows_only, exif_only=exif_only)
    return None if found is None else read(found, exif_only=exif_only, rows_only=rows_only)


def is_exif(groups: Collection[str]) -> bool:
    """Whether groups are asked for, and all of them are of Exif."""
    return bool(groups) and all(EXIF_GROUP.fullmatch(group) for group in groups)


def document(
    reading: Reading,
    tags: Collection[str] = (),
    groups: Collection[str] = (),
    *,
    raw: bool = False,
    thumbnail: bool = False,
) -> JsonObject:
    """The answer as a JSON object.

    Args:
        reading: of the file.
        tags: only these names, in any case; all if empty.
        groups: only these groups, in any case, or families of them, such as `EXIF` and `XMP`; all if empty.
        raw: long raw values too, with count and offset of each.
        thumbnail: the thumbnail as a data URI.
    """
    found = reading.scan
    camera, exposure, focus = summary.camera(reading), summary.exposure(reading), summary.focus(reading)
    time = summary.capture_time(reading)
    answer: JsonObject = {
        "format": found.format,
        "media_type": found.media_type,
        "width": found.width,
        "height": found.height,
        "displayed": summary.displayed(reading),
        "frames": found.frames,
        "summary": summary.sentence(found, camera, exposure, focus, time),
        "privacy": privacy.report(reading),
    }
    parts = {
        "camera": camera,
        "exposure": exposure,
        "focus": focus,
        "location": location(reading),
        "capture_time": time,
        "resolution": summary.resolution(reading),
        "thumbnail": preview(reading, thumbnail),
        "maker_note": reading.note._asdict() if reading.note else None,
        "content_credentials": _credentials(reading),
        "embedded": [inside(embedded, raw) for embedded in reading.embedded],
    }
    answer.update((name, part) for name, part in parts.items() if part)
    answer["groups"] = {
        group: {row[0]: member(row, raw) for row in rows} for group, rows in selected(reading, tags, groups).items()
    }
    answer["warnings"] = reading.warnings
    return answer


def _credentials(reading: Reading) -> JsonObject | None:
    if not reading.credentials:
        return None
    from functions.exif.report.credentials import credentials

    return credentials(reading)


def inside(embedded: Embedded, raw: bool = False) -> JsonObject:
    """A file inside the file: where it stands, how large it is, its place, time and tags."""
    inner, reading = embedded
    answer: JsonObject = {"kind": inner.kind, "place": inner.place, "bytes": len(inner.data)}
    if inner.offset >= 0:
        answer["offset"] = inner.offset
    if reading is None:
        return answer
    if reading.scan.width:
        answer.update(width=reading.scan.width, height=reading.scan.height)
    parts = {"location": location(reading), "capture_time": summary.capture_time(reading)}
    answer.update((name, part) for name, part in parts.items() if part)
    answer["groups"] = {group: {row[0]: member(row, raw) for row in rows} for group, rows in selected(reading).items()}
    return answer


def selected(reading: Reading, tags: Collection[str] = (), groups: Collection[str] = ()) -> dict[str, Collection[Row]]:
    """The rows of the groups and names asked for, without empty groups.

    Args:
        reading: of the file.
        tags: names, in any case and with `*` for any characters, each with a group before a colon if wanted.
        groups: groups or families of them; all if empty.
    """
    if not tags and not groups:
        return {group: rows.values() for group, rows in reading.groups.items() if rows}
    patterns = [tag.lower().rpartition(":") for tag in tags]
    wanted = {group.lower() for group in groups}
    chosen: dict[str, Collection[Row]] = {}
    for group, rows in reading.groups.items():
        key = group.lower()
        names = (key, key.partition("-")[0], _family(reading, group))
        if wanted and wanted.isdisjoint(names):
            continue
        own = [tag for place, colon, tag in patterns if not colon or any(_matches(place, one) for one in names)]
        kept = [row for name, row in rows.items() if not tags or any(_matches(tag, name.lower()) for tag in own)]
        if kept:
            chosen[group] = kept
    return chosen


def _matches(pattern: str, text: str) -> bool:
    """Whether a text matches a pattern, in which `*` matches any characters; each part is searched once."""
    first, *rest = pattern.split("*")
    if not rest:
        return text == first
    *middle, last = rest
    if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
        return False
    at, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _family(reading: Reading, group: str) -> str:
    """What ExifTool's family 0 calls a group, in small letters, such as `exif`, `xmp`, `icc_profile`, `makernotes`."""
    if EXIF_GROUP.fullmatch(group):
        return "exif"
    if reading.note and group == reading.note.maker:
        return "makernotes"
    family = group.partition("-")[0].rstrip("0123456789").lower()
    return _FAMILIES.get(family, family)


# Families that are not named as their groups.
_FAMILIES = {"icc": "icc_profile", "cbor": "jumbf", "json": "jumbf"}


def member(row: Row, raw: bool = False) -> JsonObject:
    """One tag: its number and type, its raw value, and the value as printed."""
    _, plain, printed, number, entry = row
    if entry is None:
        return {"value": printed} if plain == printed else {"raw": plain, "value": printed}
    _, kind, count, value, offset, size = entry
    if raw:
        return {
            "tag": _hexadecimal(number),
            "type": TYPE_NAMES[kind],
            "count": count,
            "offset": offset,
            "raw": raw_value(entry, whole=True),
            "value": printed,
        }
    # The common cases first: one number, or text that is printed unchanged.
    shown: Json
    if isinstance(value, tuple) and len(value) == 1 and kind not in _FLOATS:
        shown = value[0]
    elif kind == ASCII and plain is printed and len(str(printed)) < size and "?" not in printed:
        shown = printed
    else:
        shown = raw_value(entry)
    return {"tag": _hexadecimal(number), "type": TYPE_NAMES[kind], "raw": shown, "value": printed}


@lru_cache(maxsize=1024)
def _hexadecimal(number: int) -> str:
    return f"0x{number:04X}"


def raw_value(entry: Entry, *, whole: bool = False) -> Json:
    """A raw value as JSON: numbers, pairs of numerator and denominator, text; other bytes as `{"base64": …}`.

    Args:
        entry: of a directory.
        whole: long values too; else they are null, as are numbers that JSON has no form for.
    """
    value = entry[VALUE]
    if value is None:
        return None
    if isinstance(value, bytes):
        if not whole and len(value) > SHORT_BYTES and (entry[TYPE] not in _TEXTS or len(value) > 4096):
            return None
        text = value.rstrip(b"\0")
        if text.isascii() and (entry[TYPE] == 2 or b"\0" not in text) and text.decode("ascii").isprintable():
            return text.decode("ascii")
        return {"base64": base64.b64encode(value).decode("ascii")}
    if not whole and len(value) > SHORT_NUMBERS:
        return None
    if entry[TYPE] in (RATIONAL, SRATIONAL):
        return value[0] if len(value) == 1 else value
    if entry[TYPE] in (11, 12):
        numbers = [number if abs(number) < float("inf") else None for number in value]  # type: ignore[arg-type]
        return numbers[0] if len(numbers) == 1 else numbers
    return value[0] if len(value) == 1 else value


def preview(reading: Reading, data_uri: bool = False) -> JsonObject | None:
    """The thumbnail: where it stands, how large it is, and on request itself as a data URI."""
    if not reading.previews:
        return None
    first = reading.previews[0]
    result: JsonObject = {"group": first.group, "name": first.name, "bytes": first.size}
    inner = scan(first.data)
    if inner is not None and inner.width:
        result["width"], result["height"] = inner.width, inner.height
    if data_uri:
        result["data"] = "data:image/jpeg;base64," + base64.b64encode(first.data).decode("ascii")
    return result


def flat(
    reading: Reading,
    tags: Collection[str] = (),
    groups: Collection[str] = (),
    *,
    raw: bool = False,
    name: str | None = None,
) -> JsonObject:
    """One object as `exiftool -G1 -j -struct` gives it: `Group:Name` to the printed value, numbers as numbers.

    Args:
        reading: of the file.
        tags: only these names.
        groups: only these groups.
        raw: values without labels and units, as with `-n`.
        name: of the file, if known.
    """
    table: JsonObject = {"SourceFile": name} if name else {}
    for group, rows in selected(reading, tags, groups).items():
        prefix = group + ":"
        for tag, value, printed, _, _ in rows:
            shown = value if raw else printed
            # Most values are words or small numbers.
            kind = type(shown)
            if kind is str:
                if (shown[:1] in _BEGINNINGS and " " not in shown) or "\0" in shown:
                    shown = _word(shown)
            elif kind is not float and (kind is not int or not -(10**15) < shown < 10**15):
                shown = _jsonable(shown)
            table[prefix + tag] = shown
    return table


# How a text begins that may stand for a number, true or false; none of these has a space in it.
_BEGINNINGS = frozenset("-0123456789tTfF")


def _word(text: str) -> Scalar:
    if text.isdecimal() and len(text) < 16 and (text[0] != "0" or len(text) == 1) and text.isascii():
        return int(text)
    if len(text) < 6 and text[:1] in "tTfF" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    return number_or_text(text)


def _jsonable(value: Json) -> Json:
    if isinstance(value, str):
        return _word(value)
    if isinstance(value, int):
        return value if isinstance(value, bool) else number_or_text(value)
    if isinstance(value, dict):
        return {key: _jsonable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_jsonable(item) for item in value]
    return value


def table(reading: Reading, tags: Collection[str] = (), groups: Collection[str] = (), *, raw: bool = False) -> str:
    """CSV (RFC 4180) with a line for each tag: group, tag, value."""
    return csvtext.document([("group", "tag", "value"), *_lines(reading, tags, groups, raw=raw)])


def tables(
    files: Iterable[tuple[str | None, Reading | str]],
    tags: Collection[str] = (),
    groups: Collection[str] = (),
    *,
    raw: bool = False,
) -> str:
    """The same of several files, the file's name in front of each line.

    Args:
        files: each file's name and reading, or its problem, which becomes the value of the tag
            `Error`, as in ExifTool.
        tags: only these.
        groups: only these.
        raw: values as they are stored.
    """
    lines: list[tuple[Json, ...]] = [("file", "group", "tag", "value")]
    for name, found in files:
        found_lines = [("", "Error", found)] if isinstance(found, str) else _lines(found, tags, groups, raw=raw)
        lines += [(name or "", *line) for line in found_lines]
    return csvtext.document(lines)


def _lines(
    reading: Reading, tags: Collection[str], groups: Collection[str], *, raw: bool
) -> Iterator[tuple[str, str, Json]]:
    for group, rows in selected(reading, tags, groups).items():
        for name, plain, printed, _, _ in rows:
            value = plain if raw else printed
            yield group, name, "; ".join(map(str, value)) if isinstance(value, list | tuple) else value
