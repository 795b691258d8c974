"""The fuzz target of the privacy report: a name outside the pixels is never graded `nothing`."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

# A name that no reader mistakes for anything else.
MARKER = b"Erika Mustermann"


def marked() -> Iterator[bytes]:
    """Files with a person's name in one place each: every kind of block, box, chunk, segment and trailer."""
    from tests.functions.exif import cases

    yield from cases.named(MARKER)


def privacy(data: bytes) -> None:
    """Grade a file; one with a name in it outside its pixels is never graded `nothing`."""
    from functions.exif.answer import examine as read
    from functions.exif.report.privacy import report

    if MARKER not in data:
        return
    reading = read(data)
    if reading is None or report(reading)["grade"] != "nothing":
        return
    if any(MARKER in body for body in _coded(data)):
        return
    other = data.replace(MARKER, MARKER.swapcase())
    assert _pixels(data) != _pixels(other), "a name outside the pixels, and the grade is nothing"


# Where a decoder finds pixels, by how a file begins; it may not use all of their bytes.
FORMS = {
    b"\x89PNG": (8, ">I4s", 4, (b"IDAT", b"fdAT")),
    b"RIFF": (12, "<4sI", 0, (b"VP8 ", b"VP8L", b"ALPH")),
    b"\0\0\0\x0c": (0, ">I4s", -8, (b"jxlc", b"jxlp", b"jp2c")),
}


def _coded(data: bytes) -> Iterator[bytes]:
    """The parts of a file that its form says are coded pixels."""
    if data[:2] == b"\xff\x0a":  # a codestream of JPEG XL alone
        yield data
    if data[:2] == b"\xff\xd8":
        yield from re.findall(rb"(?s)\xff\xda(.*?)(?:\xff[\xc0-\xcf\xd8-\xd9\xdb-\xfe]|$)", data)
        return
    at, form, more, kinds = FORMS.get(data[:4], (len(data), ">I4s", 0, ()))
    while at + 8 <= len(data):
        first, second = struct.unpack_from(form, data, at)
        size, kind = (first, second) if form == ">I4s" else (second, first)
        if more < 0 and not size:  # the last box
            size = len(data) - at
        if kind in kinds:
            yield data[at + 8 : at + 8 + size + min(more, 0)]
        at += max(8 + size + more + (size & 1 if form == "<4sI" else 0), 8)


def _pixels(data: bytes) -> object:
    """The decoded pixels of a file, or the decoder's error."""
    import io
    import warnings

    from PIL import Image, ImageFile

    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data)) as image:
                image.load()
                return image.tobytes()
    except Exception as error:  # noqa: BLE001 the decoder is not what is tested
        return str(error)
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False
