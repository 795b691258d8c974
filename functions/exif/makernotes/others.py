"""Single records of several makers that no table can say: Kodak, Samsung, Phase One, Fujifilm, Apple, Ricoh."""

from __future__ import annotations

import re
from struct import unpack_from
from typing import Any

from functions.exif.makernotes.directory import read_ifd
from functions.exif.makernotes.reader import follow
from functions.exif.makernotes.records import FORMATS, value
from functions.exif.makernotes.walk import Place, Walk, item, named
from functions.exif.printing.various import property_list
from functions.exif.tags.tables import Table

MAX_ENTRIES, MAX_FACES = 300, 16
_PHASE_FORMATS = {1: "int8u", 2: "string", 3: "int16u", 4: "int32u", 7: "undef", 9: "int32s", 11: "float", 12: "double"}


def read_kodak_ifd(walk: Walk, tags: Table, place: Place) -> None:
    """A directory with its byte order before it."""
    mark = place.data[place.start : place.start + 2]
    if mark not in (b"II", b"MM"):
        walk.warn(f"{tags.name} is no directory")
        return
    order = "<" if mark == b"II" else ">"
    read_ifd(walk, tags, Place(place.data, place.start + 2, place.size - 2, order, place.base, place.origin))


def read_samsung_ifd(walk: Walk, tags: Table, place: Place) -> None:
    """A directory whose count has four bytes, and whose offsets count from its end."""
    head = place.data[place.start : place.start + 4]
    if len(head) < 4 or not head[0] or head[1:] != b"\0\0\0":
        return
    end = place.start + 4 + 12 * head[0] + 4
    patched = place.data[: place.start + 2] + bytes((head[0], 0)) + place.data[place.start + 4 :]
    read_ifd(walk, tags, Place(patched, place.start + 2, place.size - 2, "<", end, place.origin))


def read_phase_one(walk: Walk, tags: Table, place: Place) -> None:
    """A directory of wide entries; its offsets count from the record's start."""
    data, start = place.data, place.start
    head = data[start : start + 12]
    if len(head) < 12 or head[:4] not in (b"IIII", b"MMMM"):
        return
    order, step = ("<" if head[:2] == b"II" else ">"), int(tags.attributes.get("step", 16))
    first = unpack_from(order + "I", head, 8)[0]
    if first + 8 > place.size:
        return
    (count,) = unpack_from(order + "I", data, start + first)
    if not 2 <= count <= MAX_ENTRIES or first + 8 + step * count > place.size:
        return
    for index in range(count):
        entry = start + first + 8 + step * index
        (number,) = unpack_from(order + "I", data, entry)
        (size,) = unpack_from(order + "I", data, entry + step - 8)
        at = entry + step - 4
        if size > 4:
            (offset,) = unpack_from(order + "I", data, at)
            if offset + size > place.size:
                walk.warn(f"{tags.name}: value of tag {number:#06x} lies outside the record")
                continue
            at = start + offset
        walk.members["count"], walk.members["format"] = size, ""
        row = tags.find(number, walk.members)
        if row is None:
            continue
        if not row.ready:
            row.prepare()
        inner = Place(data, at, size, order, place.base, place.origin)
        if row.sub:
            follow(walk, row, inner, at, size, "undef", size)
            continue
        own = _PHASE_FORMATS.get(unpack_from(order + "I", data, entry + 4)[0], "undef") if step == 16 else ""
        shape = row.format or own or ("undef" if size % 4 else "int32s")
        walk.put(row, _phase_value(inner, shape, size))


def _phase_value(place: Place, shape: str, size: int) -> Any:
    count = size // FORMATS[shape][0]
    found = value(place.data, place.start, shape, count, place.order, size)
    if shape == "int32s" and found is not None:
        first = int(str(found).split()[0]) if str(found).split()[0].lstrip("-").isdigit() else 0
        if 120 < (first & 0x7F800000) >> 23 < 140:
            return value(place.data, place.start, "float", count, place.order, size)
    return found


def read_face_rec(walk: Walk, tags: Table, place: Place) -> None:
    """Fujifilm's faces: name, birthday and category of each."""
    data, start, end, order = place.data, place.start, place.start + place.size, place.order
    for index in range(MAX_FACES):
        at = start + 8 * index
        if at + 8 > end:
            return
        offset, size = unpack_from(order + "II", data, at)
        face = start + offset
        if size < 62 or face + size > end:
            return
        for name, where in (("Name", 30), ("Birthday", 54)):
            length, place_of = unpack_from(order + "II", data, face + where)
            if start + place_of + length > end:
                return
            found = data[start + place_of : start + place_of + length].partition(b"\0")[0].decode("latin-1")
            if name == "Birthday":
                found = re.sub(r"(\d{4})(\d{2})(\d{2})", r"\1:\2:\3", found)
            _face(walk, tags, f"Face{index + 1}{name}", found)
        _face(walk, tags, f"Face{index + 1}Category", data[face + 46])


def _face(walk: Walk, tags: Table, name: str, found: Any) -> None:
    if name in tags.rows:
        item(walk, tags, name, found)
    else:
        named(walk, tags, name, found)


def read_property_list(walk: Walk, tags: Table, place: Place) -> None:
    """Apple's binary property list, whose members are rows."""
    found = property_list(place.data[place.start : place.start + place.size].decode("latin-1"))
    if isinstance(found, dict):
        for name, v in found.items():
            if name in tags.rows:
                item(walk, tags, name, v)
            elif not isinstance(v, dict):
                named(walk, tags, name[:1].upper() + name[1:], v)


def read_rmeta(walk: Walk, tags: Table, place: Place) -> None:
    """Ricoh's fields: sections of names, of text and of numbers."""
    data = place.data[place.start : place.start + place.size]
    if len(data) < 20 or data[:2] not in (b"II", b"MM") or data[4:6] != b"\0\0":
        return
    order = "<" if data[:2] == b"II" else ">"
    at = unpack_from(order + "H", data, 8)[0]
    if at + 10 > len(data):
        return
    (count,) = unpack_from(order + "H", data, at)
    names: list[str] = []
    texts: list[str] = []
    numbers: tuple[int, ...] = ()
    at += 10
    while at + 4 <= len(data):
        kind, size = unpack_from(order + "HH", data, at)
        if size < 2 or at + 2 + size > len(data):
            break
        section = data[at + 4 : at + 2 + size]
        if kind == 1:
            names = section.decode("latin-1").split("\0")[:count]
        elif kind in (2, 18):
            texts = section.decode("latin-1").split("\0")[:count]
        elif kind == 3 and len(section) >= 2 * count:
            numbers = unpack_from(f"{order}{count}H", section)
        at += 2 + size
    for index, name in enumerate(names):
        if name:
            text = texts[index] if index < len(texts) else ""
            number = numbers[index] if index < len(numbers) else text
            title = re.sub(r" (\w)", lambda m: m[1].upper(), re.sub(r"\b([a-z])", lambda m: m[1].upper(), name))
            row = tags.find(name, walk.members)
            walk.reading.add(tags.group, row.name if row else title, number, text or number)
