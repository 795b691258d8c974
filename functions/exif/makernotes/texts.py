"""Notes that are text or hold it: HP, Pentax, Kodak, Ricoh, JVC, DJI, Olympus."""

from __future__ import annotations

import re

from functions.exif.makernotes.walk import Place, Walk, item, named
from functions.exif.tags.tables import Table

MAX_FIELDS, MAX_TEXT = 400, 65536


def _text(place: Place) -> str:
    return place.data[place.start : place.start + min(place.size, MAX_TEXT)].decode("latin-1")


def read_hp(walk: Walk, tags: Table, place: Place) -> None:
    """Fields anywhere in a note, by their names and a colon."""
    text = _text(place)
    at = text.find("\xff\xd8\xff\xdb")
    if at >= 0 and "PreviewImage" in tags.rows:
        size = place.data[place.start + at : place.start + place.size].rfind(b"\xff\xd9") + 2
        if size > 1:
            item(walk, tags, "PreviewImage", f"(Binary data {size} bytes, use -b option to extract)")
            text = text[:at]
    for key in sorted(map(str, tags.rows)):
        found = re.search(rf"(?i){key}:\s*([\x20-\x7e]+)", text) if key != "PreviewImage" else None
        if found:
            item(walk, tags, key, found[1])


def read_kodak(walk: Walk, tags: Table, place: Place) -> None:
    """Lines of a name, a colon and a value."""
    for line in re.split(r"[\n\r]+", _text(place).partition("\0")[0])[:MAX_FIELDS]:
        name, colon, value = line.partition(":")
        if not colon:
            continue
        value = value.strip()
        if name in tags.rows:
            item(walk, tags, name, value)
            continue
        shown = re.sub(r"([A-Z])\s+([A-Za-z])", lambda m: f"{m[1]}_{m[2].upper()}", name)
        shown = re.sub(r"([a-z])\s+([A-Za-z0-9])", lambda m: m[1] + m[2].upper(), shown)
        shown = re.sub(r"[^-\w]+", "", re.sub(r"\s+", "", shown))
        named(walk, tags, shown or "NoName", value)


def read_ricoh(walk: Walk, tags: Table, place: Place) -> None:
    """Names of two or three letters, each with a number in hexadecimal digits."""
    text = _text(place)
    if not text.startswith(("Rev", "Rv")):
        if not text.startswith("\0"):
            walk.warn("Ricoh's note is not what its maker writes")
        return
    for name, value in re.findall(r"([A-Z][a-z]{1,2})([0-9A-F]+);", text)[:MAX_FIELDS]:
        if name in tags.rows:
            item(walk, tags, name, value)
        else:
            named(walk, tags, f"Ricoh_Text_{name}", value)


def read_jvc(walk: Walk, tags: Table, place: Place) -> None:
    """Names in capitals, each with a value of three or four characters."""
    for name, value in re.findall(r"(?s)([A-Z]{1,12}):(.{3,4})", _text(place))[:MAX_FIELDS]:
        if name in tags.rows:
            item(walk, tags, name, value)
        else:
            named(walk, tags, f"JVC_Text_{name}", value)


def read_dji(walk: Walk, tags: Table, place: Place) -> None:
    """Fields in square brackets: a name, a colon, a value."""
    for field in re.findall(r"(?s)\[(.*?)\](?=\[|$)", _text(place))[:MAX_FIELDS]:
        name, colon, value = field.partition(":")
        if not colon:
            continue
        shown = re.fullmatch(r"([\x20-\x7e]+)\0*", value)
        found = shown[1] if shown else f"(Binary data {len(value)} bytes, use -b option to extract)"
        if name in tags.rows:
            item(walk, tags, name, found)
        else:
            title = re.sub(r"[^-\w]", "", re.sub(r"(?:^|_)([a-z])", lambda m: m[1].upper(), name))
            named(walk, tags, title or "NoName", found)


def read_olympus(walk: Walk, tags: Table, place: Place) -> None:
    """Names and values with an equals sign between, in sections."""
    text = _text(place).partition("\0")[0]
    section = ""
    for match in list(re.finditer(r"\[([\w ]{1,40})\]|([\w#-]{1,40})=([\x20-\x7e]+)", text))[:MAX_FIELDS]:
        if match[1]:
            section = match[1]
            continue
        name, value = match[2], match[3].partition(" [")[0].rstrip()
        if name in tags.rows:
            item(walk, tags, name, value)
        else:
            title = re.sub(r"[^-\w]", "", name[:1].upper() + name[1:])
            named(walk, tags, f"{section}{title}" if title[:1].isdigit() else title, value)
