"""GIF, BMP, PSD, JPEG XL, JPEG 2000, TIFF and the raws: what their readers tell apart, what their writers keep."""

from __future__ import annotations

import io
import struct

import brotli
import pytest
from PIL import Image

from functions.kit.containers import ContainerError, Document, Kind, Part, read, write
from tests.functions.exif import made
from tests.functions.exif.containers import MAKE, box, crw, jxl, psd, raf, x3f
from tests.functions.exif.tiffs import ascii_field, jpeg_of, long, short, tiff
from tests.images import encoded, gradient


def parts(data: bytes) -> Document:
    document = read(data)
    assert document is not None
    return document


def one(document: Document, kind: Kind) -> Part:
    (part,) = [part for part in document.parts if part.kind is kind and part.lead < 0]
    return part


def test_a_compressed_box_of_jpeg_xl_is_read_and_written():
    head = jxl()[: jxl().index(b"jxlc") - 4]
    picture = jxl()[len(head) :].split(struct.pack(">I4s", len(MAKE) + 12, b"Exif"))[0]
    data = head + picture + box(b"brob", b"Exif" + brotli.compress(bytes(4) + MAKE))
    document = parts(data)
    part = one(document, Kind.EXIF)
    assert (document.content(part) or b"").endswith(MAKE)
    longer = MAKE + bytes(3000)
    again = parts(write(document, {part: bytes(4) + longer}))
    assert (again.content(one(again, Kind.EXIF)) or b"").endswith(longer)


def test_a_brotli_bomb_is_a_warning():
    bomb = brotli.compress(bytes(64 * 2**20), quality=9)
    document = parts(jxl() + box(b"brob", b"xml " + bomb))
    assert document.content(one(document, Kind.XMP)) is None
    assert any("inflates to more than" in warning for warning in document.warnings)


def test_a_bare_codestream_of_jpeg_xl_gets_a_container():
    codestream = b"\xff\x0a" + bytes(30)
    document = parts(codestream)
    again = parts(write(document, {}, {Kind.EXIF: MAKE}))
    assert again.content(one(again, Kind.EXIF)) == MAKE
    assert again.raw(one(again, Kind.PIXELS)) == codestream


def test_a_comment_in_a_codestream_of_jpeg_2000_goes():
    data = encoded(gradient(), "JPEG2000", comment="made by Ada")
    document = parts(data)
    comments = [part for part in document.parts if part.kind is Kind.COMMENT]
    assert b"made by Ada" in [document.content(part) for part in comments]
    written = write(document, dict.fromkeys(comments))
    assert b"made by Ada" not in written
    assert Image.open(io.BytesIO(written)).tobytes() == Image.open(io.BytesIO(data)).tobytes()


def test_a_comment_and_the_packet_of_a_gif_go():
    data = encoded(gradient(), "GIF", comment=b"made by Ada " * 40)
    packet = b"!\xff\x0bXMP DataXMP" + made.XMP + b"\1" + bytes(range(255, -1, -1)) + b"\0"
    data = data[:-1] + packet + b";"
    document = parts(data)
    assert document.content(one(document, Kind.COMMENT)) == b"made by Ada " * 40
    assert document.content(one(document, Kind.XMP)) == made.XMP
    shorter = parts(write(document, {one(document, Kind.COMMENT): b"short", one(document, Kind.XMP): None}))
    assert shorter.content(one(shorter, Kind.COMMENT)) == b"short"
    assert not [part for part in shorter.parts if part.kind is Kind.XMP]


def test_the_resources_of_a_psd_are_emptied_and_filled():
    document = parts(psd() + bytes(8) + b"merged")
    part = one(document, Kind.PHOTOSHOP)
    empty = write(document, {part: None})
    assert parts(empty).width == 7
    assert len(empty) == len(psd()) + 14 - (part.stop - part.body)
    filled = parts(write(document, {part: bytes(100)}))
    assert filled.content(one(filled, Kind.PHOTOSHOP)) == bytes(100)


def test_the_profile_of_a_bmp_is_found():
    data = bytearray(encoded(gradient(size=(4, 4)), "BMP"))
    header = struct.pack("<IiiHHIIii", 124, 4, 4, 1, 24, 0, 48, 0, 0) + bytes(8) + bytes(16)
    header += b"DEBM" + bytes(48) + struct.pack("<IIII", 4, 124 + 48, 7, 0)
    data = b"BM" + struct.pack("<IHHI", 14 + 124 + 48 + 7, 0, 0, 14 + 124) + header + data[-48:] + b"profile"
    document = parts(bytes(data))
    assert document.content(one(document, Kind.ICC)) == b"profile"


def test_a_raf_holds_a_whole_jpeg():
    document = parts(raf())
    (span,) = document.previews
    assert document.source.read(*span) == jpeg_of(MAKE)
    assert document.content(one(document, Kind.EXIF)) == MAKE


def test_a_crw_is_heaps_of_records():
    picture = encoded(gradient(), "JPEG")
    document = parts(crw((0x080A, b"Canon\0EOS\0"), preview=picture))
    assert (document.format, document.width, document.height, document.broken) == ("CRW", 7, 5, "")
    assert document.source.read(*document.previews[0]) == picture
    assert [document.raw(part) for part in document.parts if part.key == 0x080A and part.kind is Kind.TAG] == [
        b"Canon\0EOS\0"
    ]
    with pytest.raises(ContainerError, match="CRW is not written"):
        write(document, {})


def test_a_crw_has_a_packet_in_its_optional_data():
    document = parts(crw(optional=made.XMP))
    assert document.content(one(document, Kind.XMP)) == made.XMP.strip()


def test_the_large_jpeg_of_an_x3f_holds_the_metadata_of_the_file():
    document = parts(x3f(jpeg_of(MAKE)))
    assert (document.format, document.width, document.height) == ("X3F", 7, 5)
    assert document.source.read(*document.previews[0]) == jpeg_of(MAKE)
    assert document.content(one(document, Kind.EXIF)) == MAKE


@pytest.mark.parametrize(
    ("start", "name"), [(b"%PDF-1.4\n", "PDF"), (b"%!PS-Adobe-3.0 EPSF-3.0\n", "EPS"), (b"<svg><metadata>", "SVG")]
)
def test_packets_of_a_document_are_found(start: bytes, name: str):
    document = parts(start + made.XMP + b" between " + made.XMP + b" after")
    assert document.format == name
    assert [document.content(part) for part in document.parts if part.kind is Kind.XMP] == [made.XMP.strip()] * 2


def test_the_preview_of_a_raw_is_found():
    picture = encoded(gradient(), "JPEG")
    data = tiff([ascii_field(0x010F, "Canon Incorporated"), (0x2E, 7, len(picture), picture)])
    document = parts(b"IIU\0" + data[4:])
    assert document.format == "RW2"
    assert [document.source.read(*span) for span in document.previews] == [picture]
    dng = tiff([(0xC612, 1, 4, b"\1\4\0\0"), long(0x100, 7), long(0x101, 5), short(0xFE, 0)])
    assert (parts(dng).format, parts(dng).width) == ("DNG", 7)


def test_strips_inside_a_directory_are_references():
    data = tiff([long(0x100, 7), long(0x101, 5), long(0x111, 8), long(0x117, 40)])
    document = parts(data)
    assert [part.key for part in document.references] == ["pixels"]
