"""Records that programs write at a file's end: AFCP, FotoStation, Photo Mechanic, Vivo, Canon's recipes.

Each ends in a mark of its own, so that they are found from the end of the file backwards.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from struct import unpack_from

from functions.exif.blocks.values import binary
from functions.exif.scan.result import Scan

MAX_RECORDS = 64
CANON = b"CANON OPTIONAL DATA\0"
_PICTURES = {b"Nail": "ThumbnailImage", b"PrVw": "PreviewImage", 3: "ThumbnailImage", 4: "PreviewImage"}
# Blocks of Canon's recipes, by number; the fourth version is not read.
_RECIPES = {0xFFFF00F4: "CanonVRD edit", 0xFFFF00F5: "CanonVRD IHL"}
_RECIPE_PACKET = 0xFFFF00F6
_VIVO = re.compile(rb'streamdata|vivo\{"')
MAX_TEXT = 65536


def read(result: Scan, data: bytes, start: int, end: int) -> int:
    """Keep the records at the end of a file; where the first of them begins, or the end.

    Args:
        result: the scan that their blocks and pictures are added to.
        data: the whole file.
        start: of what follows the picture.
        end: of it.
    """
    for _ in range(MAX_RECORDS):
        tail = data[max(start, end - 64) : end]
        reader = next((reader for mark, reader in _READERS if mark.search(tail)), None)
        first = reader(result, data, start, end) if reader is not None else end
        if first >= end:
            break
        end = first
    return end


def _concatenated(result: Scan, data: bytes, start: int, end: int) -> int:
    """AFCP: a directory of parts at places in the file, which move with what an editor does to the picture."""
    mark = data[end - 12 : end - 8]
    order = ">" if mark == b"AXS!" else "<"
    (stated,) = unpack_from(order + "I", data, end - 8)
    first: int = stated if start <= stated < end - 12 and data.startswith(mark, stated) else -1
    if first < 0:
        first = data.find(mark, start, end - 12)
    if first < 0:
        return end
    moved = first - stated
    (count,) = unpack_from(order + "H", data, first + 6)
    for entry in range(first + 12, first + 12 + 12 * min(count, MAX_RECORDS), 12):
        if entry + 12 > end:
            break
        key = data[entry : entry + 4]
        size, place = unpack_from(order + "II", data, entry + 4)
        at = place + moved
        if not first <= at <= at + size <= end:
            result.miss("trailer", f"AFCP {key.decode('latin-1')}", -1, size)
        elif key == b"IPTC":
            result.add("iptc", at, data[at : at + size], "AFCP")
        elif key == b"TEXT":
            text = data[at : at + size].decode("latin-1")
            result.row("AFCP", "Text", text, text)
        elif key in _PICTURES:
            picture = data.find(b"\xff\xd8\xff", at + 10, at + size)
            _picture(result, data, "AFCP", key, (picture if picture >= 0 else min(at + 18, at + size), at + size))
        else:
            result.miss("trailer", f"AFCP {key.decode('latin-1')}", at, size)
    return first


def _fotostation(result: Scan, data: bytes, start: int, end: int) -> int:
    """One record of FotoStation: its content, then its number and size."""
    number, size = unpack_from(">HI", data, end - 10)
    first: int = end - size
    stop = end - 10
    if size < 10 or first < start:
        return end
    if number == 1:
        result.add("iptc", first, data[first:stop], "FotoStation")
    elif number == 2:
        result.add("app", first, data[first:stop], "FotoStation")
    elif number in _PICTURES:
        _picture(result, data, "FotoStation", number, (first, stop))
    else:
        result.miss("trailer", f"FotoStation record {number}", first, size)
    return first


def _photo_mechanic(result: Scan, data: bytes, start: int, end: int) -> int:
    """Photo Mechanic's datasets: their size follows them."""
    (size,) = unpack_from(">I", data, end - 12)
    first: int = end - 12 - size
    if first < start:
        return end
    result.add("app", first, data[first : end - 12], "PhotoMechanic")
    return first


def _recipe(result: Scan, data: bytes, start: int, end: int) -> int:
    """A recipe of Canon's Digital Photo Professional: a header of 28 bytes, blocks, a footer of 64."""
    (size,) = unpack_from(">I", data, end - 44)
    first: int = end - size - 0x5C
    stop = end - 64
    if first < start or not data.startswith(CANON, first):
        return end
    at = first + 28
    for _ in range(MAX_RECORDS):
        if at + 8 > stop:
            break
        number, length = unpack_from(">II", data, at)
        at += 8
        if at + length > stop:
            at -= 8
            break
        if number == _RECIPE_PACKET:
            result.add("xmp", at, data[at : at + length], "CanonVRD")
        elif number in _RECIPES:
            result.add("app", at, data[at : at + length], _RECIPES[number])
        else:
            result.miss("trailer", f"CanonVRD block {number:#010x}", at, length)
        at += length
    result.miss("trailer", "CanonVRD", at, stop - at)
    return first


def _vivo(result: Scan, data: bytes, start: int, end: int) -> int:
    """Vivo's text in JSON, and a picture before it."""
    found = _VIVO.search(data, start, end)
    if found is None:
        return end
    first = found.start()
    stop = first
    if data.startswith(b"streamdata\xff\xd8\xff", first):
        behind = data.find(b"\xff\xd9stream", first, end)
        if behind > 0:
            stop = behind + 2
            text = binary(stop - first - 10)
            result.row("Vivo", "HDRImage", text, text)
            result.hold("picture", "Vivo", first + 10, data[first + 10 : stop])
    opened = data.find(b'vivo{"', stop, end)
    closed = data.find(b"}\0", opened, end) if opened >= 0 else -1
    if 0 <= opened < closed <= opened + MAX_TEXT:
        text = data[opened + 4 : closed + 1].decode("utf-8", "replace")
        result.row("Vivo", "JSONInfo", text, text)
        stop = closed + 1
    if data[stop : end - 16].strip(b"\0"):
        result.miss("trailer", "Vivo", stop, end - stop)
    return first


def _mie(result: Scan, data: bytes, start: int, end: int) -> int:
    """ExifTool's own format, which is not read: only how long it is."""
    (size,) = unpack_from(">I" if data[end - 2] == 0x10 else "<I", data, end - 6)
    first: int = end - size
    if not start <= first <= end - 10:
        return end
    result.miss("trailer", "MIE", first, size)
    return first


def _picture(result: Scan, data: bytes, group: str, key: bytes | int, span: tuple[int, int]) -> None:
    """Keep a picture of a record, with a row for it."""
    first, stop = span
    text = binary(stop - first)
    result.row(group, _PICTURES[key], text, text)
    result.hold("picture", group, first, data[first:stop])


_Record = Callable[[Scan, bytes, int, int], int]
_READERS: tuple[tuple[re.Pattern[bytes], _Record], ...] = (
    (re.compile(rb"(?s)AXS[!*].{8}\Z"), _concatenated),
    (re.compile(rb"(?s).{6}\xa1\xb2\xc3\xd4\Z"), _fotostation),
    (re.compile(rb"(?s).{4}cbipcbbl\Z"), _photo_mechanic),
    (re.compile(rb"\xff{4}\x1b\*9HWfu\x84\x93\xa2\xb1\Z"), _vivo),
    (re.compile(rb"(?s)zmie~\0\0\x06.{4}[\x10\x18]\x04\Z"), _mie),
    (re.compile(rb"(?s)\ACANON OPTIONAL DATA\0.{44}\Z"), _recipe),
)
