"""Headers of a movie and its tracks in ExifTool's QuickTime and Track groups: dates, durations, sizes, tables."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from struct import unpack_from
from typing import Any

from functions.exif.blocks.values import binary, shorten
from functions.exif.scan.boxes import Boxes
from functions.exif.scan.result import Scan
from functions.kit.containers.boxes import label

Row = tuple[str, object, object]
_EPOCH = datetime(1904, 1, 1, tzinfo=UTC)
_TABLES = {
    b"stts": "TimeToSampleTable",
    b"stsc": "SampleToChunk",
    b"stsz": "SampleSizes",
    b"stco": "ChunkOffset",
    b"co64": "ChunkOffset64",
    b"stss": "SyncSampleTable",
}
_HANDLERS = {"pict": "Picture", "vide": "Video Track", "soun": "Audio Track", "meta": "NRT Metadata"}
_MODES = {
    0x00: "srcCopy",
    0x01: "srcOr",
    0x02: "srcXor",
    0x03: "srcBic",
    0x20: "blend",
    0x24: "transparent",
    0x40: "ditherCopy",
    0x100: "Alpha",
    0x101: "White Alpha",
    0x102: "Black Alpha",
}
# Bytes of a visual sample entry before the boxes in it.
_VISUAL = 78
MAX_TRACKS = 16
# Bytes of a table of times that are looked at.
MAX_TIMES = 2**20


def movie(scan: Scan, body: bytes) -> int:
    """The rows of a movie's header; its time scale."""
    wide = body[:1] == b"\1"
    at = 20 if wide else 12
    if len(body) < at + 80 + (12 if wide else 8):
        return 0
    made, changed, scale, duration = unpack_from(">QQIQ" if wide else ">IIII", body, 4)
    rate, volume = unpack_from(">IH", body, 32 if wide else 20)
    first = 48 if wide else 36
    matrix = unpack_from(">9i", body, first)
    *times, following = unpack_from(">7I", body, first + 36)
    rows: list[Row] = [
        ("MovieHeaderVersion", body[0], body[0]),
        ("CreateDate", *_date(scan, made)),
        ("ModifyDate", *_date(scan, changed)),
        ("TimeScale", scale, scale),
        ("Duration", *_duration(duration, scale)),
        ("PreferredRate", *_same(rate / 65536)),
        ("PreferredVolume", _number(volume / 256), f"{volume / 2.56:.2f}%"),
        ("MatrixStructure", *_matrix(matrix)),
    ]
    names = ("PreviewTime", "PreviewDuration", "PosterTime", "SelectionTime", "SelectionDuration", "CurrentTime")
    rows += [(name, *_duration(time, scale)) for name, time in zip(names, times, strict=True)]
    rows.append(("NextTrackID", following, following))
    for row in rows:
        scan.row("QuickTime", *row)
    return int(scale)


def track(boxes: Boxes, number: int, scale: int, start: int, end: int) -> None:
    """The rows of a track.

    Args:
        boxes: of the file.
        number: of the track, from 1 on.
        scale: the movie's time scale.
        start: of the track's boxes.
        end: of them.
    """
    if number > MAX_TRACKS:
        return
    for name, value, printed in _track(boxes, scale, start, end):
        boxes.result.row(f"Track{number}", name, value, printed)


def _track(boxes: Boxes, scale: int, start: int, end: int) -> Iterable[Row]:
    data = boxes.data
    for kind, _, at, last in boxes.within(start, end):
        if kind == b"tkhd":
            yield from _header(boxes.result, data[at:last], scale)
        elif kind == b"mdia":
            yield from _media(boxes, at, last)
        elif kind == b"edts":
            yield "Unknown_edts", binary(last - at), binary(last - at)


def _header(scan: Scan, body: bytes, scale: int) -> Iterable[Row]:
    wide = body[:1] == b"\1"
    if len(body) < (96 if wide else 84):
        return
    made, changed, number, duration = unpack_from(">QQI4xQ" if wide else ">III4xI", body, 4)
    first = 44 if wide else 32
    layer, _, volume = unpack_from(">HHH", body, first)
    yield "TrackHeaderVersion", body[0], body[0]
    yield "TrackCreateDate", *_date(scan, made)
    yield "TrackModifyDate", *_date(scan, changed)
    yield "TrackID", number, number
    yield "TrackDuration", *_duration(duration, scale)
    yield "TrackLayer", layer, layer
    yield "TrackVolume", _number(volume / 256), f"{volume / 2.56:.2f}%"
    yield "MatrixStructure", *_matrix(unpack_from(">9i", body, first + 8))
    width, height = unpack_from(">II", body, len(body) - 8)
    yield "ImageWidth", *_same(width / 65536)
    yield "ImageHeight", *_same(height / 65536)


def _media(boxes: Boxes, start: int, end: int) -> Iterable[Row]:
    data, handler, scale = boxes.data, "", 0
    for kind, _, at, last in boxes.within(start, end):
        body = data[at : min(last, at + 256)]
        if kind == b"mdhd" and len(body) >= (32 if body[:1] == b"\1" else 20):
            (scale,) = unpack_from(">I", body, 20 if body[:1] == b"\1" else 12)
            yield from _media_header(boxes.result, body)
        elif kind == b"hdlr" and len(body) >= 12:
            handler = body[8:12].decode("latin-1")
            yield "HandlerType", handler, _HANDLERS.get(handler, f"Unknown ({handler})")
            name = body[24:].split(b"\0")[0].decode("utf-8", "replace")
            if name:
                yield "HandlerDescription", name, name
        elif kind == b"minf":
            yield from _information(boxes, at, last, handler, scale)


def _media_header(scan: Scan, body: bytes) -> Iterable[Row]:
    wide = body[:1] == b"\1"
    made, changed, scale, duration = unpack_from(">QQIQ" if wide else ">IIII", body, 4)
    (language,) = unpack_from(">H", body, 32 if wide else 20) if len(body) >= (34 if wide else 22) else (0,)
    version = int.from_bytes(body[:4], "big")
    yield "MediaHeaderVersion", version, version
    yield "MediaCreateDate", *_date(scan, made)
    yield "MediaModifyDate", *_date(scan, changed)
    yield "MediaTimeScale", scale, scale
    yield "MediaDuration", *_duration(duration, scale)
    if language >= 0x400 and language != 0x7FFF:
        text = "".join(chr(0x60 + (language >> shift & 31)) for shift in (10, 5, 0))
        yield "MediaLanguageCode", text, text


def _information(boxes: Boxes, start: int, end: int, handler: str, scale: int) -> Iterable[Row]:
    data = boxes.data
    for kind, _, at, last in boxes.within(start, end):
        if kind == b"vmhd" and last - at >= 12:
            mode, *colours = unpack_from(">H3H", data, at + 4)
            yield "GraphicsMode", mode, _MODES.get(mode, f"Unknown ({mode})")
            text = " ".join(map(str, colours))
            yield "OpColor", text, text
        elif kind == b"stbl":
            for name, _, inner, stop in boxes.within(at, last):
                if name in _TABLES:
                    yield _TABLES[name], binary(stop - inner), binary(stop - inner)
                    if name == b"stts" and handler == "vide":
                        yield from _rate(data[inner : min(stop, inner + MAX_TIMES)], scale)
                elif name == b"stsd" and handler in ("pict", "auxv"):
                    yield from _samples(boxes, inner + 8, stop)
                elif name == b"stsd" and handler == "vide":
                    yield from _visual(data[inner + 8 : min(stop, inner + 8 + _VISUAL + 8)])
                elif name == b"stsd" and handler == "meta" and stop - inner >= 16:
                    text = label(data[inner + 12 : inner + 16])
                    yield "MetaFormat", text, text


def _visual(body: bytes) -> Iterable[Row]:
    """The first sample entry of a video: its coding, size and resolution (ISO/IEC 14496-12, 12.1.3)."""
    if len(body) < 84:
        return
    coding = body[4:8].decode("latin-1")
    yield "CompressorID", coding, coding
    width, height, across, down = unpack_from(">HHII", body, 32)
    yield "SourceImageWidth", width, width
    yield "SourceImageHeight", height, height
    yield "XResolution", *_same(across / 65536)
    yield "YResolution", *_same(down / 65536)
    name = body[51 : 51 + min(body[50], 31)].decode("utf-8", "replace").rstrip("\0")
    if name:
        yield "CompressorName", name, name
    (depth,) = unpack_from(">H", body, 82)
    yield "BitDepth", depth, depth


def _rate(body: bytes, scale: int) -> Iterable[Row]:
    """Frames a second by the table of times."""
    pairs = [unpack_from(">II", body, at) for at in range(8, len(body) - 7, 8)]
    frames, time = sum(count for count, _ in pairs), sum(count * delta for count, delta in pairs)
    if time and scale:
        rate = frames * scale / time
        yield "VideoFrameRate", _number(rate), _number(int(rate * 1000 + 0.5) / 1000)


def _samples(boxes: Boxes, start: int, end: int) -> Iterable[Row]:
    """The first sample entry: its format, and the boxes in it."""
    for kind, _, at, last in boxes.within(start, end):
        yield "OtherFormat", label(kind), label(kind)
        for name, _, inner, stop in boxes.within(at + _VISUAL, last):
            yield f"Unknown_{label(name)}", binary(stop - inner), binary(stop - inner)
        return


def _date(scan: Scan, seconds: int) -> tuple[str, str]:
    if not 0 < seconds < 2**36:
        text = "0000:00:00 00:00:00"
    else:
        text = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y:%m:%d %H:%M:%S")
        text += "+00:00" if scan.format == "CR3" else ""
    return text, text


def _number(value: float) -> Any:
    return shorten(f"{value:.15g}")


def _same(value: float) -> tuple[Any, Any]:
    return _number(value), _number(value)


def _duration(time: int, scale: int) -> tuple[Any, Any]:
    if not scale:
        return time, time
    return _number(time / scale), duration(time / scale)


def _matrix(numbers: tuple[int, ...]) -> tuple[str, str]:
    """Fixed-point numbers of 16 bits before the point, but for the last column with two."""
    values = [number / (2**30 if index % 3 == 2 else 65536) for index, number in enumerate(numbers)]
    text = " ".join(str(_number(round(value, 5))) for value in values)
    return text, text


def duration(seconds: float) -> str:
    """Seconds as ExifTool prints a duration."""
    if not seconds:
        return "0 s"
    sign, seconds = ("-" if seconds < 0 else ""), abs(seconds)
    if seconds < 30:
        return f"{sign}{seconds:.2f} s"
    whole = int(seconds + 0.5)
    hours, rest = divmod(whole, 3600)
    days, hours = divmod(hours, 24) if hours > 24 else (0, hours)
    text = f"{hours}:{rest // 60:02d}:{rest % 60:02d}"
    return f"{sign}{days} days {text}" if days else sign + text
