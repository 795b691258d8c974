"""HEIC, HEIF, AVIF and CR3: items that move, overlap or lie, tracks, and minimized images."""

from __future__ import annotations

import io
import struct

import pytest
from PIL import Image

from functions.kit.containers import ContainerError, Kind, Part, read, write
from tests.functions.exif.containers import EXIF, MAKE, box, cr3, heic, scattered_heic, tiled_heic
from tests.images import encoded, gradient


def named(data: bytes, kind: Kind) -> list[Part]:
    document = read(data)
    assert document is not None
    return [part for part in document.parts if part.kind is kind]


def test_items_move_with_content_of_another_length():
    data = encoded(gradient(), "AVIF", exif=EXIF)
    document = read(data)
    assert document is not None
    (part,) = [part for part in document.parts if part.kind is Kind.EXIF]
    assert b"Canon Incorporated" in (document.content(part) or b"")
    pixels = Image.open(io.BytesIO(data)).tobytes()
    for content in (MAKE + bytes(5000), b"II*\0\x08\0\0\0" + bytes(6)):
        written = write(document, {part: content})
        again = read(written)
        assert again is not None
        assert [again.content(part) for part in again.parts if part.kind is Kind.EXIF] == [content]
        assert Image.open(io.BytesIO(written)).tobytes() == pixels
    dropped = write(document, {part: None})
    assert b"Exif" not in dropped
    assert b"cdsc" not in dropped
    assert Image.open(io.BytesIO(dropped)).tobytes() == pixels


def test_an_item_is_added_to_a_picture_without_one():
    data = encoded(gradient(), "AVIF")
    document = read(data)
    assert document is not None
    picture = Image.open(io.BytesIO(write(document, {}, {Kind.EXIF: MAKE})))
    assert picture.getexif()[0x010F] == "Canon Incorporated"
    assert picture.tobytes() == Image.open(io.BytesIO(data)).tobytes()


@pytest.mark.parametrize(("version", "wide", "base"), [(0, False, 0), (1, True, 4), (2, False, 8)])
def test_every_version_of_the_places_is_read_and_written(version: int, wide: bool, base: int):
    data = tiled_heic(version, wide=wide, base=base)
    document = read(data)
    assert document is not None
    assert (document.width, document.height) == (4000, 3000)
    (exif,) = [part for part in document.parts if part.kind is Kind.EXIF]
    (text,) = [part for part in document.parts if part.kind is Kind.APP]
    written = write(document, {exif: None, text: b"longer than it was"})
    again = read(written)
    assert again is not None
    assert (again.width, again.height, again.broken) == (4000, 3000, "")
    assert {again.content(part) for part in again.parts if part.kind in (Kind.EXIF, Kind.APP, Kind.XMP)} == {
        b"longer than it was",
        b"<x:xmpmeta xmlns:x='adobe:ns:meta/' x:xmptk='tiles'/>",
    }


def test_items_that_share_bytes_are_references_and_are_not_changed():
    # The pieces of both items are the same ones.
    data = scattered_heic(3)
    table = data.index(b"iloc") + 8 + 2
    first = data[table + 6 : table + 6 + 24]
    shared = data[: table + 36] + first + data[table + 36 + 24 :]
    document = read(shared)
    assert document is not None
    assert [part.kind for part in document.references] == [Kind.PIXELS] * 3
    exif = next(part for part in document.parts if part.kind is Kind.EXIF)
    with pytest.raises(ContainerError, match="shares its bytes"):
        write(document, {exif: None})


def test_the_exif_of_another_item_says_so():
    names = b"".join(
        box(b"infe", b"\2\0\0\0" + struct.pack(">HH", number, 0) + kind + b"\0")
        for number, kind in ((1, b"hvc1"), (2, b"hvc1"), (3, b"Exif"), (4, b"Exif"))
    )
    references = box(b"cdsc", struct.pack(">HHH", 3, 1, 1)) + box(b"cdsc", struct.pack(">HHH", 4, 1, 2))
    tables = box(b"pitm", bytes(4) + struct.pack(">H", 2)) + box(b"iinf", bytes(4) + struct.pack(">H", 4) + names)
    tables += box(b"iref", bytes(4) + references)
    head = box(b"ftyp", b"heic" + bytes(4) + b"mif1heic")

    def meta(at: int) -> bytes:
        rows = b"".join(struct.pack(">HHHII", n, 0, 1, at + 10 * (n - 1), 10) for n in (1, 2, 3, 4))
        return box(b"meta", bytes(4) + tables + box(b"iloc", bytes(4) + b"\x44\0" + struct.pack(">H", 4) + rows))

    body = b"1" * 10 + b"2" * 10 + (bytes(4) + b"II*\0\0\0") * 2
    data = head + meta(len(head) + len(meta(0)) + 8) + box(b"mdat", body)
    assert [(part.item, part.name) for part in named(data, Kind.EXIF)] == [(3, "of item 1"), (4, "")]


def test_chunks_of_tracks_are_pixels_and_follow_a_change():
    times = box(b"mvhd", bytes(4) + struct.pack(">II", 3_800_000_000, 3_800_000_001) + bytes(92))
    user = box(b"udta", box(b"\xa9xyz", b"\0\x12\x15\xc7+48.1-011.5/"))
    head = box(b"ftyp", b"avis" + bytes(4) + b"avis")

    def moov(at: int) -> bytes:
        tables = box(b"stco", struct.pack(">IIII", 0, 2, at, at + 6)) + box(b"stsz", struct.pack(">III", 0, 3, 3))
        tables += box(b"stsc", struct.pack(">IIIIIIII", 0, 2, 1, 2, 1, 2, 1, 1))
        return box(b"moov", times + user + box(b"trak", box(b"mdia", box(b"minf", box(b"stbl", tables)))))

    data = head + moov(len(head) + len(moov(0)) + 8) + box(b"mdat", b"aaabbbccc")
    document = read(data)
    assert document is not None
    pixels = [part for part in document.parts if part.kind is Kind.PIXELS]
    assert [document.source.read(part.start, part.end) for part in pixels] == [b"aaabbb", b"ccc"]
    (location,) = [part for part in document.parts if part.label == "moov udta"]
    (time,) = [part for part in document.parts if part.kind is Kind.TIME]
    written = write(document, {location: None, time: None})
    assert struct.pack(">I", 3_800_000_000) not in written
    again = read(written)
    assert again is not None
    assert [again.raw(part) for part in again.parts if part.kind is Kind.PIXELS] == [b"aaabbb", b"ccc"]


def test_a_canon_raw_has_its_directories():
    assert [part.label for part in named(cr3(), Kind.EXIF)] == ["CMT1", "CMT2", "CMT4"]


def test_a_distance_that_lies_is_corrected():
    data = heic(b"").replace(struct.pack(">I", 6) + b"Exif\0\0", struct.pack(">I", 99) + b"Exif\0\0")
    document = read(data)
    assert document is not None
    assert [document.content(part) for part in document.parts if part.kind is Kind.EXIF] == [MAKE]


def mini(exif: bytes, xmp: bytes, icc: bytes = b"") -> bytes:
    """A minimized image of 100 by 80 pixels, turned by 90°, as ISO/IEC 23008-12 lays out its bits."""
    main = b"picture data"
    bits = "00" + "0" + "0" + "1" + "0" + "0" + "0" + str(int(bool(icc))) + str(int(bool(exif))) + str(int(bool(xmp)))
    bits += "01" + f"{6 - 1:03b}" + "0" + f"{100 - 1:07b}" + f"{80 - 1:07b}" + "0" + "0" + "0"
    bits += "0" if icc or exif or xmp else ""
    bits += "0" + "0"
    bits += f"{len(icc) - 1:010b}" if icc else ""
    bits += f"{4:03b}" + f"{len(main) - 1:015b}"
    bits += "0" if exif or xmp else ""
    bits += f"{len(exif) - 1:010b}" if exif else ""
    bits += f"{len(xmp) - 1:010b}" if xmp else ""
    bits += "0" * (-len(bits) % 8)
    head = int(bits, 2).to_bytes(len(bits) // 8, "big")
    return box(b"ftyp", b"mif3avif") + box(b"mini", head + b"\x81\0\x0c\0" + icc + main + exif + xmp)


def test_a_minimized_image_is_read_and_written():
    data = mini(MAKE, b"<x:xmpmeta/>", b"profile")
    document = read(data)
    assert document is not None
    assert (document.format, document.width, document.height, document.broken) == ("AVIF", 100, 80, "")
    assert document.details["orientation"] == 6
    content = {
        part.kind: (part, document.content(part)) for part in document.parts if part.key in ("exif", "xmp", "icc")
    }
    assert {kind: text for kind, (_, text) in content.items()} == {
        Kind.EXIF: MAKE,
        Kind.XMP: b"<x:xmpmeta/>",
        Kind.ICC: b"profile",
    }
    exif, xmp, icc = (content[kind][0] for kind in (Kind.EXIF, Kind.XMP, Kind.ICC))
    assert write(document, {exif: None, xmp: None, icc: None}) == mini(b"", b"")
    assert write(document, {exif: MAKE + b"\0", xmp: None}) == mini(MAKE + b"\0", b"", b"profile")
    with pytest.raises(ContainerError, match="the limit is 1,024"):
        write(document, {exif: bytes(1025)})


def test_sizes_of_2_to_the_63_are_answered():
    head = box(b"ftyp", b"heic\0\0\0\0heic")
    for data in (head + b"\0\0\0\1meta" + b"\x7f" + b"\xff" * 7 + bytes(40), heic(b"").replace(b"\x44\0", b"\x88\0")):
        document = read(data)
        assert document is not None
        assert document.broken
