"""Movies (ISO/IEC 14496-12, QuickTime): the `moov` box of a sequence, a CR3, or a video in or behind a picture."""

from __future__ import annotations

import re
from struct import unpack_from

from functions.exif.fields import tracks
from functions.exif.scan.boxes import Boxes
from functions.exif.scan.result import Scan
from functions.kit.containers import Buffer, Kind, Source
from functions.kit.containers.boxes import UUIDS, label
from functions.kit.containers.isobmff import CANON

# Bytes of a sample of timed metadata.
MAX_TIMED = 4 * 2**20
# Handlers of tracks that are pictures or sound, not metadata.
MEDIA = frozenset((b"vide", b"pict", b"auxv", b"soun"))
MAX_TEXT = 64 * 1024
_POSITION = re.compile(r"([+-]\d{1,9}(?:\.\d{1,9})?)([+-]\d{1,9}(?:\.\d{1,9})?)([+-]\d{1,9}(?:\.\d{1,9})?)?.*")
# Text of user data and item lists, by its four letters, as ExifTool names it.
NAMES = {
    "xyz": "GPSCoordinates",
    "nam": "Title",
    "ART": "Artist",
    "aut": "Author",
    "cmt": "Comment",
    "cpy": "Copyright",
    "day": "ContentCreateDate",
    "des": "Description",
    "dir": "Director",
    "fmt": "Format",
    "inf": "Information",
    "mak": "Make",
    "mod": "Model",
    "prd": "Producer",
    "swr": "SoftwareVersion",
    "too": "Encoder",
    "uid": "UniqueID",
}
KEYS = {
    "com.apple.quicktime.location.ISO6709": "GPSCoordinates",
    "com.apple.quicktime.make": "Make",
    "com.apple.quicktime.model": "Model",
    "com.apple.quicktime.software": "Software",
    "com.apple.quicktime.creationdate": "CreationDate",
    "com.apple.quicktime.content.identifier": "ContentIdentifier",
    "com.apple.quicktime.author": "Author",
    "com.apple.quicktime.title": "Title",
    "com.apple.quicktime.description": "Description",
    "com.apple.quicktime.location.name": "LocationName",
}
_SILENT = frozenset((b"iods", b"mvex", b"free", b"skip", b"wide"))


def video(data: bytes) -> Scan:
    """Read a video: what its boxes say of its place, time, maker and author."""
    result = Scan("MP4", "video/mp4")
    boxes = Boxes(Source(data), result)
    for kind, _, start, end in boxes.within(0, len(data)):
        if kind == b"moov":
            read(boxes, start, end)
        elif kind == b"uuid":
            uuid(result, data, start, end)
        elif kind not in (b"ftyp", b"mdat", b"free", b"skip", b"wide", b"mvex", b"pdin"):
            result.miss("box", label(kind), start, end - start)
    return result


def read(boxes: Boxes, start: int, end: int) -> None:
    """Read a `moov` box."""
    result, data = boxes.result, boxes.data
    scale = count = 0
    for kind, _, inner, stop in boxes.within(start, end):
        if kind == b"uuid" and data[inner : inner + 16] == CANON:
            _canon(boxes, inner + 16, stop)
        elif kind == b"uuid":
            uuid(result, data, inner, stop)
        elif kind == b"trak":
            _track(boxes, inner, stop)
            count += 1
            tracks.track(boxes, count, scale, inner, stop)
        elif kind == b"udta":
            _user_data(boxes, inner, stop)
        elif kind == b"meta":
            _meta(boxes, inner, stop)
        elif kind == b"mvhd":
            scale = tracks.movie(result, data[inner:stop])
        elif kind not in _SILENT:
            result.miss("box", f"moov/{label(kind)}", inner, stop - inner)


def uuid(result: Scan, data: Buffer, start: int, end: int) -> None:
    """Keep the metadata of a `uuid` box with its content from start to end."""
    name, body = data[start : start + 16], min(start + 16, end)
    kind = UUIDS.get(name)
    if kind is None:
        result.miss("box", f"uuid {name.hex()}" if end - start >= 16 else "uuid", start, end - start)
        return
    if kind is Kind.EXIF and data.startswith(b"Exif\0\0", body):
        body += 6
    result.add(str(kind), body, data[body:end], "uuid")


def _canon(boxes: Boxes, start: int, end: int) -> None:
    """CR3: four TIFF structures, each in a box."""
    for name, _, at, last in boxes.within(start, end):
        if name in (b"CMT1", b"CMT2", b"CMT3", b"CMT4"):
            boxes.result.add("exif", at, boxes.data[at:last], name.decode("ascii"))
        elif name == b"THMB":
            boxes.result.add("preview", at + 16, boxes.data[at + 16 : last], "THMB", "ThumbnailImage")


def _track(boxes: Boxes, start: int, end: int) -> None:
    data, result = boxes.data, boxes.result
    for name, _, at, last in boxes.within(start, end):
        if name == b"tkhd" and last - at >= 84 and result.format != "CR3":
            width, height = unpack_from(">II", data, last - 8)
            if result.width is None and width >> 16:
                result.width, result.height = width >> 16, height >> 16
        elif name == b"mdia":
            _handler(boxes, at, last)
        elif name == b"udta":
            _user_data(boxes, at, last)
        elif name == b"meta":
            _meta(boxes, at, last)


def _handler(boxes: Boxes, start: int, end: int) -> None:
    """A track that is neither picture nor sound holds timed metadata, which are not read."""
    data, result = boxes.data, boxes.result
    for name, _, at, last in boxes.within(start, end):
        if name == b"hdlr" and last - at >= 12:
            kind = data[at + 8 : at + 12]
            if kind == b"meta" and result.format == "CR3":
                _timed(boxes, start, end)
            elif kind not in MEDIA and result.format != "CR3":
                result.miss("track", label(kind), start, end - start)


def _timed(boxes: Boxes, start: int, end: int) -> None:
    """Keep the first sample of Canon's timed metadata, which belongs to the first picture."""
    data, result = boxes.data, boxes.result
    size = place = 0
    for outer, _, first, stop in boxes.within(start, end):
        if outer != b"minf":
            continue
        for inner, _, at, last in boxes.within(first, stop):
            if inner != b"stbl":
                continue
            for name, _, body, _ in boxes.within(at, last):
                if name == b"stsz":
                    uniform, count, own = unpack_from(">3I", data[body + 4 : body + 16].ljust(12, b"\0"))
                    size = uniform or (own if count else 0)
                elif name in (b"stco", b"co64"):
                    width = 4 if name == b"stco" else 8
                    place = int.from_bytes(data[body + 8 : body + 8 + width], "big")
    if 0 < size <= MAX_TIMED and place and boxes.source.held(place, place + size):
        result.add("ctmd", place, data[place : place + size], "CTMD")
    elif size:
        result.miss("track", "CTMD", place, size)


def _user_data(boxes: Boxes, start: int, end: int) -> None:
    data, result = boxes.data, boxes.result
    for kind, _, inner, stop in boxes.within(start, end):
        letters = kind[1:].decode("latin-1")
        if kind[:1] == b"\xa9" and stop - inner >= 4:
            (size,) = unpack_from(">H", data, inner)
            text = data[inner + 4 : min(inner + 4 + size, stop)]
            _named(result, "UserData", NAMES.get(letters, letters.capitalize()), text)
        elif kind == b"loci":
            _third_generation(result, data, inner, stop)
        elif kind in (b"auth", b"titl", b"dscp", b"cprt", b"perf", b"gnre") and stop - inner > 6:
            names = {b"auth": "Author", b"titl": "Title", b"dscp": "Description", b"cprt": "Copyright"}
            name = names.get(kind, label(kind).capitalize())
            _named(result, "UserData", name, data[inner + 6 : stop])
        elif kind == b"meta":
            _meta(boxes, inner, stop)
        elif kind == b"XMP_":
            result.add("xmp", inner, data[inner:stop], "XMP_")
        elif stop - inner > 4:
            result.miss("box", f"udta/{label(kind)}", inner, stop - inner)


def _third_generation(result: Scan, data: Buffer, start: int, end: int) -> None:
    """3GPP's location: a name, a role, and coordinates of 16 bits before and after the point."""
    stop = data.find(b"\0", start + 6, end)
    if stop < 0 or stop + 14 > end:
        result.miss("box", "loci", start, end - start)
        return
    longitude, latitude, altitude = (number / 65536 for number in unpack_from(">3i", data, stop + 2))
    value(result, "UserData:LocationInformation", data[start + 6 : stop].decode("utf-8", "replace"))
    value(result, "UserData:GPSCoordinates", f"{latitude:+.5f}{longitude:+.5f}{altitude:+.3f}/")


def _meta(boxes: Boxes, start: int, end: int) -> None:
    """Names in `keys`, or four letters, and their values in `ilst`."""
    data = boxes.data
    first = start if data[start + 4 : start + 8] == b"hdlr" else start + 4
    keys: list[str] = []
    for kind, _, inner, stop in boxes.within(first, end):
        if kind == b"keys":
            keys = [data[at:last].decode("utf-8", "replace") for _, _, at, last in boxes.within(inner + 8, stop)]
        elif kind == b"ilst":
            _items(boxes, inner, stop, keys)
        elif kind not in (b"hdlr", b"free"):
            boxes.result.miss("box", f"meta/{label(kind)}", inner, stop - inner)


def _items(boxes: Boxes, start: int, end: int, keys: list[str]) -> None:
    for kind, _, inner, stop in boxes.within(start, end):
        number = int.from_bytes(kind, "big")
        if 1 <= number <= len(keys):
            key = keys[number - 1]
            group, name = "Keys", KEYS.get(key) or key.rpartition(".")[2] or key
        else:
            letters = kind[1:].decode("latin-1") if kind[:1] == b"\xa9" else label(kind)
            group, name = "ItemList", NAMES.get(letters, letters.capitalize())
        for held, _, at, last in boxes.within(inner, stop):
            if held == b"data" and last - at >= 8:
                (form,) = unpack_from(">I", boxes.data, at)
                body = boxes.data[at + 8 : last]
                if form == 1:
                    _named(boxes.result, group, name, body)
                elif len(body) <= 8:
                    value(boxes.result, f"{group}:{name}", str(int.from_bytes(body, "big")))
                else:
                    boxes.result.miss("value", f"{group}:{name}", at + 8, len(body))
            elif held not in (b"mean", b"name"):
                boxes.result.miss("box", f"ilst/{label(held)}", at, last - at)


def _named(result: Scan, group: str, name: str, body: bytes) -> None:
    text = body[:MAX_TEXT].decode("utf-16" if body[:2] in (b"\xfe\xff", b"\xff\xfe") else "utf-8", "replace")
    if "\ufffd" in text:
        text = body[:MAX_TEXT].decode("latin-1")
    value(result, f"{group}:{name}", text.strip("\0"))


def value(result: Scan, name: str, text: str) -> None:
    """Keep a named value, `Group:Name`."""
    if text:
        result.add("value", -1, text.encode(), "moov", name)


def position(text: str) -> tuple[float, float, float | None] | None:
    """Latitude, longitude and altitude of ISO 6709's `+48.1371+011.5754+520/`; None without a position."""
    match = _POSITION.fullmatch(text.strip())
    if not match:
        return None
    latitude, longitude = _degrees(match[1], 2), _degrees(match[2], 3)
    if abs(latitude) > 90 or abs(longitude) > 180:
        return None
    return latitude, longitude, float(match[3]) if match[3] else None


def _degrees(text: str, digits: int) -> float:
    """Degrees of `+DD.D`, `+DDMM.M` or `+DDMMSS.S`, by the number of digits before the point."""
    sign, whole = (-1 if text[0] == "-" else 1), text[1:].partition(".")[0]
    number = float(text[1:])
    if len(whole) <= digits:
        return sign * number
    if len(whole) <= digits + 2:
        return sign * (number // 100 + number % 100 / 60)
    return sign * (number // 10000 + number // 100 % 100 / 60 + number % 100 / 3600)
