"""Nikon's own forms of records: enciphered ones, its software's settings, and menus by number."""

from __future__ import annotations

from struct import unpack_from

from functions.exif.makernotes.binary import read_records
from functions.exif.makernotes.reader import follow
from functions.exif.makernotes.records import value
from functions.exif.makernotes.walk import Place, Walk, item
from functions.exif.tags.tables import Table

# The cipher's two tables, public since 2005 (dcraw).
_SERIAL_TABLE = bytes.fromhex(
    "c1bf6d0d59c5139d83616b4fc77f3d3d5359e3c7e92f95a7951fdf7f2b29c70ddf07ef71893d133d3b13fb0d89c1651fb30d6b29e3fbefa3"
    "6b477f9535a7474fc7f1599535112961f13db32b0d4389c19d9d8965f1e9dfbf3d7f5397e5e995171d3d8bfbc7e367a707f171a753b52989"
    "e52ba71729e94fc5656d6bef0d89492fb34353651d49a3138959ef6bef651d0b5913e34f9db329432b071d95595947fbe5e961472f357f17"
    "7fef7f959571d3a30b71a3ad0b3bb5fba3bf4f831dade92f7165a3e507353d0db5e9e5473b9def35a3bfb3df53d397534971073561712f43"
    "2f11df1797fb953b7f6bd325bfadc7c5c5b58bef2fd3076b25499525496d71c7"
)
_COUNT_TABLE = bytes.fromhex(
    "a7bcc9ad91df85e5d478d517467c294c4d03e925681186b3bdf76f6122a226342abe1e4614689d4418c240f47e5f1bad0b94b667b40be1ea"
    "959c66dce75d6c05dad5df7aeff6db1f824cc06847a1bdee3950564adddfa5f8c6daca90ca01429d8b0c7343750594de24b38034e52cdc9b"
    "3fca3345d0db5ff552c321dae222726b3ed05ba8878c065d0fdd091993d0b9fc8b0f8460331c9b45f1f0a3943a1277334d4478283c9efd65"
    "5716946bfb59d0c82236dbd2639843a1048786f7a626bbd6594dbf6a2eaa2befe678b64ee02fdc7cbe5719327e2ad0b8ba29003c527da849"
    "3b2deb2549faa3aa39a7c5a7501136fbc6674af5a512657eb0dfaf4eb3617f2f"
)
_FACTOR, _PERIOD = 0x60, 512
# Bodies without a number in their serial number have one key a model.
_OLD_KEY, _KEY = 0x22, 0x60
MAX_SETTINGS = 2000


def decrypted(data: bytes, serial: int, count: int) -> bytes:
    """Bytes behind the cipher, which is its own inverse: its stream repeats after 512 bytes.

    Args:
        data: from the first enciphered byte on.
        serial: number of the body.
        count: of its releases.
    """
    step = _SERIAL_TABLE[serial & 0xFF]
    mask = _COUNT_TABLE[(count ^ count >> 8 ^ count >> 16 ^ count >> 24) & 0xFF]
    stream = bytearray()
    for index in range(min(len(data), _PERIOD)):
        mask = (mask + step * (_FACTOR + index)) & 0xFF
        stream.append(mask)
    whole = bytes(stream) * (len(data) // _PERIOD + 1)
    found = int.from_bytes(data, "little") ^ int.from_bytes(whole[: len(data)], "little")
    return found.to_bytes(len(data), "little")


def read_encrypted(walk: Walk, tags: Table, place: Place) -> None:
    """A record behind the cipher, keyed by the body's serial number and its count of releases.

    Keys of the row: `plain`, bytes at its beginning that are in plain sight; `skip`, bytes from there to its table.
    """
    serial, count = walk.members["NikonSerial"], walk.members["NikonCount"]
    if not isinstance(count, int):
        walk.miss(tags.name, place, "Nikon's enciphered records cannot be opened without the shutter count")
        return
    text = str(serial or 0).strip()
    old = (walk.members["Model"] or "").endswith("D50")
    key = int(text) if text.isascii() and text.isdigit() else _OLD_KEY if old else _KEY
    data = place.data[place.start : place.start + place.size]
    plain = int(walk.keys.get("plain", 0))
    opened = data[:plain] + decrypted(data[plain:], key, count)
    start = plain + int(walk.keys["skip"]) if "skip" in walk.keys else 0
    inner = Place(opened, start, len(opened) - start, place.order, 0, 0)
    offsets = tags.attributes.get("offsets")
    outer, walk.limits = walk.limits, _limits(opened, int(offsets), place.order) if offsets else ()
    read_records(walk, tags, inner)
    walk.limits = outer


def _limits(data: bytes, at: int, order: str) -> tuple[int, ...]:
    """Where the parts of a record begin, by its table of offsets; each ends where the next one begins."""
    if at + 4 > len(data):
        return ()
    (count,) = unpack_from(order + "I", data, at)
    if not 0 < count <= 256 or at + 4 + 4 * count > len(data):
        return ()
    return (*sorted(set(unpack_from(f"{order}{count}I", data, at + 4)) - {0}), len(data))


def read_capture_offsets(walk: Walk, tags: Table, place: Place) -> None:
    """Numbers and offsets of the records of Nikon Capture."""
    if place.size < 2:
        return
    (count,) = unpack_from(place.order + "H", place.data, place.start)
    for index in range(min(count, (place.size - 2) // 12, 256)):
        number, found = unpack_from(place.order + "II", place.data, place.start + 2 + 12 * index)
        item(walk, tags, number, found)


def read_capture(walk: Walk, tags: Table, place: Place) -> None:
    """Edits of Nikon Capture: records of a number, unknown bytes, a size, and values."""
    at, end = place.start + 22, place.start + place.size
    while at + 22 < end and walk.rows > 0:
        (number,) = unpack_from("<I", place.data, at)
        size = unpack_from("<I", place.data, at + 18)[0] - 4
        at += 22
        if size < 0 or at + size > end:
            break
        row = tags.find(number, walk.members)
        if row is not None:
            if not row.ready:
                row.prepare()
            inner = Place(place.data, at, size, "<", place.base, place.origin)
            shape = row.format or {1: "int8u", 2: "int16u", 4: "int32u"}.get(size, "undef")
            if row.sub:
                follow(walk, row, inner, at, size, "undef", size)
            else:
                count = size if shape in ("string", "undef") else int(row.count or 1)
                walk.put(row, value(place.data, at, shape, count, "<", size))
        else:
            shape = {1: "int8u", 2: "int16u", 4: "int32u"}.get(size, "undef")
            count = size if shape == "undef" else 1
            item(walk, tags, number, value(place.data, at, shape, count, "<", size) or "", unnamed=True)
        at += size


def read_settings(walk: Walk, tags: Table, place: Place) -> None:
    """Menu settings by number, eight bytes each."""
    if place.size < 24:
        return
    (count,) = unpack_from(place.order + "I", place.data, place.start + 20)
    for index in range(min(count, (place.size - 24) // 8, MAX_SETTINGS)):
        number, _, kind, found = unpack_from(place.order + "HBBI", place.data, place.start + 24 + 8 * index)
        if kind != 4 or walk.rows <= 0:
            break
        item(walk, tags, number, found, unnamed=True)
