"""The format of a file by its bytes."""

from __future__ import annotations

import pytest

from functions.kit.containers import sniff
from tests.functions.exif.containers import CONTAINERS
from tests.images import encoded, gradient

READERS = {"EXV": "jpeg", "APNG": "png", "HEIC": "isobmff", "AVIF": "isobmff", "CR3": "isobmff"}
READERS |= dict.fromkeys(("TIFF", "BigTIFF", "RW2", "ORF", "DNG"), "tiff")


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_container_has_a_reader(name: str):
    found = sniff(CONTAINERS[name]())
    assert found is not None
    assert found.reader == READERS.get(name, name.lower())


@pytest.mark.parametrize("form", ["GIF", "BMP", "JPEG2000", "PPM", "TGA", "ICO", "TIFF", "PNG", "JPEG", "WEBP"])
def test_what_pillow_writes_is_known(form: str):
    names = {"JPEG2000": "JPEG 2000", "PPM": "PNM", "TGA": "Targa", "WEBP": "WebP"}
    found = sniff(encoded(gradient(), form))
    assert found is not None
    assert found.name == names.get(form, form)


@pytest.mark.parametrize(
    ("data", "name", "reader"),
    [
        (b"II\x1a\0\0\0HEAPCCDR" + bytes(20) + b"\xff\xd8\xff", "Canon raw", "crw"),
        (b"FOVb" + bytes(40) + b"\xff\xd8\xff", "Sigma raw", "x3f"),
        (b"\xc5\xd0\xd3\xc6" + bytes(40) + b"\xff\xd8\xff", "EPS", "packets"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n\xff\xd8\xff", "PostScript", "packets"),
        (b"MAC \x96\x0f" + bytes(40) + b"\xff\xd8\xff", "Monkey's Audio", ""),
        (b"BLP1" + bytes(40) + b"\xff\xd8\xff", "BLP", ""),
        (b"II*\0\x10\0\0\0CR\2\0", "Canon raw", "tiff"),
        (b"\0\0\0\x14ftypmif3avif", "AVIF", "isobmff"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0heic", "HEIC", "isobmff"),
        (b"\0\0\0\x18ftypisom\0\0\0\0mp42", "ISO media of brand 'isom'", ""),
        (b'<?xml version="1.0"?>\n<svg xmlns="x"/>', "SVG", "packets"),
        (b"\0\1\2\3" * 4 + b"\xff\xd8\xff\xe0" + b"\xf0" * 64, "JPEG", "jpeg"),
    ],
)
def test_a_format_is_known_by_its_first_bytes(data: bytes, name: str, reader: str):
    found = sniff(data)
    assert found is not None
    assert (found.name, found.reader) == (name, reader)


@pytest.mark.parametrize(
    "data", [b"", b"plain text", b"\0" * 40, b"BM" + b"\xff" * 40, b"text, then \xff\xd8\xff"[:11]]
)
def test_an_unknown_signature_has_no_name(data: bytes):
    assert sniff(data) is None
