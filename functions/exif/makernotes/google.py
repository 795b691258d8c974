"""Google's HDR+ notes: a fixed stream of bytes over a gzip stream over a protocol buffer (facts of ExifTool).

Of the messages only fields with a row are shown: a note has thousands of others, which have no known names.
"""

from __future__ import annotations

import re
import zlib
from functools import lru_cache
from struct import pack, unpack_from
from typing import Any

from functions.exif.blocks.values import binary, real
from functions.exif.makernotes.records import FORMATS, value
from functions.exif.makernotes.walk import Place, Walk, item, named
from functions.exif.tags.tables import Field, Table, table

MAX_NOTE, MAX_INFLATED, MAX_DEPTH = 2**20, 4 * 2**20, 12
_SEED, _FACTOR, _WORD = 0x2515606B4A7791CD, 0x2545F4914F6CDD1D, 2**64 - 1
_TEXT = re.compile(rb"[\r\n\t\x20-\x7e]*")
_VARINT, _DOUBLE, _BYTES, _START, _END, _SINGLE = range(6)


@lru_cache(maxsize=1)
def _stream(words: int) -> bytes:
    """The first words of the stream, a xorshift generator's."""
    found, state = [], _SEED
    for _ in range(words):
        state ^= state >> 12
        state ^= state << 25 & _WORD
        state ^= state >> 27
        state = state * _FACTOR & _WORD
        found.append(state)
    return pack(f"<{words}Q", *found)


def opened(data: bytes) -> bytes:
    """The bytes below the stream."""
    # Notes differ in size: one stream serves all up to the next power of two.
    words = 1 << max(len(data) + 7 >> 3, 4096).bit_length()
    found = int.from_bytes(data, "little") ^ int.from_bytes(_stream(words)[: len(data)], "little")
    return found.to_bytes(len(data), "little")


_TITLE = re.compile(r"(?m)^ ?([A-Z].*)$")
_HEAD = re.compile(r"([^:]{1,80}?)( \(base64\))?: ?(.*)")
MAX_LINES = 2000


def read_hdrp(walk: Walk, tags: Table, place: Place) -> None:
    """A note that begins with `HDRP` and its version."""
    data = place.data[place.start : place.start + place.size]
    if not data.startswith((b"HDRP\2", b"HDRP\3")) or len(data) > MAX_NOTE:
        walk.miss(tags.name, place, "Google's note is not one that is read")
        return
    engine = zlib.decompressobj(wbits=31)
    try:
        plain = engine.decompress(opened(data[5:]), MAX_INFLATED)
    except zlib.error:
        walk.miss(tags.name, place, "Google's note holds no gzip stream")
        return
    if data[4] == 3 or tags.name == "Google.ShotLogData":
        _message(walk, tags, plain, "", 0)
    else:
        # The older form of a maker's note is text, with titles of its own.
        titled = table("Google.HDRPMakerNote") if tags.name == "Google.HDRPlusMakerNote" else tags
        _lines(walk, titled, plain.decode("latin-1"))


def _lines(walk: Walk, tags: Table, text: str) -> None:
    """The older form: titles at the beginning of lines, each with the text after or below it; notes between."""
    found = list(_TITLE.finditer(text))[:MAX_LINES]
    for number, match in enumerate(found):
        title = match[1]
        if ":" not in title and not title.replace("_", "").isalnum():
            item(walk, tags, "ProcessingNotes", title)
            continue
        head = _HEAD.fullmatch(title)
        name, encoded, rest = (head[1], head[2], head[3]) if head else (title, "", "")
        if rest and encoded:
            rest = binary(len(rest.rstrip("=")) * 3 // 4)
        elif not rest:
            end = found[number + 1].start(1) if number + 1 < len(found) else len(text)
            rest = text[match.end() + 1 : end]
        if name in tags.rows:
            item(walk, tags, name, rest)
        elif rest and len(name) <= 60:
            made = re.sub(r"\W+(.)", lambda each: each[1].upper(), name)
            named(walk, tags, made[:1].upper() + made[1:], rest, whole=bool(encoded))


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of variable length, and where it ends; -1 where it is broken."""
    number = shift = 0
    while at < len(data) and shift <= 63:
        number |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if not data[at - 1] & 0x80:
            return number, at
    return 0, -1


def _record(data: bytes, at: int) -> tuple[int, int, Any, int]:
    """Field, wire type and value at a place, and where the next one begins; -1 where it is broken."""
    key, at = _varint(data, at)
    if at < 0:
        return 0, 0, None, -1
    field, kind = key >> 3, key & 7
    if kind == _VARINT:
        number, at = _varint(data, at)
        return field, kind, number, at
    size = 0
    if kind == _BYTES:
        size, at = _varint(data, at)
    elif kind in (_DOUBLE, _SINGLE):
        size = 8 if kind == _DOUBLE else 4
    elif kind not in (_START, _END):
        return 0, 0, None, -1
    if at < 0 or at + size > len(data):
        return 0, 0, None, -1
    return field, kind, data[at : at + size], at + size


def _is_message(data: bytes) -> bool:
    """Whether bytes may be a message of their own: its records fill them exactly."""
    at = 0
    while 0 <= at < len(data):
        field, kind, _, at = _record(data, at)
        if at < 0 or not field or kind in (_START, _END):
            return False
    return at == len(data) and bool(data)


def _message(walk: Walk, tags: Table, data: bytes, prefix: str, depth: int) -> None:
    at = 0
    while at < len(data) and walk.rows > 0:
        field, kind, found, at = _record(data, at)
        if at < 0:
            walk.warn("Google's note has a broken message")
            return
        key = f"{prefix}{field}"
        # Numbers of the outermost message are numbers in the table, all others text such as `12-1`.
        row = tags.find(key if prefix else field, walk.members)
        if row is not None and "unknown" not in row.flags:
            walk.put(row, _typed(row, kind, found))
        elif kind == _BYTES and depth < MAX_DEPTH and not _TEXT.fullmatch(found) and _is_message(found):
            _message(walk, tags, found, f"{key}-", depth + 1)


def _typed(row: Field, kind: int, found: Any) -> Any:
    """A value in the format that its row states."""
    if not row.ready:
        row.prepare()
    if kind == _VARINT:
        return -(found >> 1) - 1 if row.format == "signed" and found & 1 else found >> (row.format == "signed")
    if row.format == "rational":
        top, at = _varint(found, 0)
        bottom, _ = _varint(found, max(at, 0))
        return top / bottom if bottom else "err"
    if row.format in FORMATS:
        return value(found, 0, row.format, len(found) // FORMATS[row.format][0], "<", len(found))
    return found.decode("latin-1") if not row.format and _TEXT.fullmatch(found) else _plain(kind, found)


def _plain(kind: int, found: Any) -> str:
    """A value that no row describes, in the notations that it may be meant in."""
    if kind == _VARINT:
        if found >= 2**63:
            return f"{found} (0x{found:x}, int64s {found - 2**64})"
        return f"{found} (0x{found:x}, signed {-(found >> 1) - 1 if found & 1 else found >> 1})"
    if kind == _DOUBLE:
        return f"0x{found.hex()} (double {real(unpack_from('<d', found)[0])})"
    if kind == _SINGLE:
        signed = f", int32s {unpack_from('<i', found)[0]}" if found[3] & 0x80 else ""
        return (
            f"0x{found.hex()} (int32u {unpack_from('<I', found)[0]}{signed}, float {real(unpack_from('<f', found)[0])})"
        )
    if _TEXT.fullmatch(found):
        text = found.decode("ascii")
    else:
        text = "0x" + (found.hex() if len(found) % 4 else found.hex(" ", -4))
    top, at = _varint(found, 0)
    bottom, end = _varint(found, at) if at > 0 else (0, -1)
    return f"{text} (rational {top}/{bottom})" if bottom and end == len(found) else text
