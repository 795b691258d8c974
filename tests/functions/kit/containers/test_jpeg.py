"""JPEG: blocks over several segments, markers between scans, further pictures, trailers."""

from __future__ import annotations

import io
import struct

import pytest
from PIL import Image

from functions.kit.containers import ContainerError, Kind, read, write
from tests.functions.exif.containers import EXIF
from tests.images import encoded, gradient


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def mpo(*sizes: tuple[int, int]) -> bytes:
    out = io.BytesIO()
    first, *rest = [gradient(size=size) for size in sizes]
    first.save(out, "MPO", save_all=True, append_images=rest)
    return out.getvalue()


def test_a_profile_over_several_segments_is_one_block_and_is_split_again():
    profile = bytes(range(256)) * 600
    pieces = [profile[at : at + 60_000] for at in range(0, len(profile), 60_000)]
    heads = [b"ICC_PROFILE\0" + bytes((number, len(pieces))) for number in range(1, len(pieces) + 1)]
    segments = [segment(0xE2, head + piece) for head, piece in zip(heads, pieces, strict=True)]
    picture = encoded(gradient(), "JPEG")
    # The last part first: their numbers decide, not their places.
    document = read(picture[:2] + segments[-1] + b"".join(segments[:-1]) + picture[2:])
    assert document is not None
    (lead,) = [part for part in document.parts if part.kind is Kind.ICC and part.lead < 0]
    assert document.content(lead) == profile
    longer = profile[::-1] + bytes(90_000)
    copy = Image.open(io.BytesIO(write(document, {lead: longer})))
    assert copy.info["icc_profile"] == longer


def test_segments_between_and_behind_scans_are_parts():
    out = io.BytesIO()
    gradient(size=(64, 64)).save(out, "JPEG", progressive=True)
    data = out.getvalue()
    second = data.rfind(b"\xff\xda")
    crafted = data[:second] + segment(0xFE, b"hidden") + segment(0xE1, EXIF) + data[second:]
    document = read(crafted)
    assert document is not None
    assert [part.kind for part in document.parts if part.kind in (Kind.COMMENT, Kind.EXIF)] == [Kind.COMMENT, Kind.EXIF]
    dropped = {part: None for part in document.parts if part.kind in (Kind.COMMENT, Kind.EXIF)}
    assert write(document, dropped) == data


def test_the_index_follows_its_pictures():
    document = read(mpo((40, 30), (48, 32), (56, 24)))
    assert document is not None
    assert (document.format, document.frames) == ("MPO", 3)
    second, third = [part for part in document.parts if part.kind is Kind.PICTURE]
    written = write(document, {second: None}, {Kind.EXIF: EXIF[6:]})
    picture = Image.open(io.BytesIO(written))
    assert getattr(picture, "n_frames", 1) == 2
    picture.seek(1)
    assert picture.size == (56, 24)
    grown = encoded(gradient(size=(80, 80)), "JPEG")
    picture = Image.open(io.BytesIO(write(document, {second: grown})))
    sizes = []
    for frame in range(3):
        picture.seek(frame)
        picture.load()
        sizes.append(picture.size)
    assert sizes == [(40, 30), (80, 80), (56, 24)]
    assert third.end == document.source.size


def test_what_follows_the_picture_is_named():
    picture, video = encoded(gradient(), "JPEG"), struct.pack(">I4s", 24, b"ftyp") + b"isom" + bytes(500)
    document = read(picture + bytes(64) + b"SEFH" + picture + video)
    assert document is not None
    behind = document.parts[[part.key for part in document.parts].index(0xD9) + 1 :]
    assert [part.kind for part in behind] == [Kind.TRAILER, Kind.PICTURE, Kind.VIDEO]
    assert document.source.read(behind[1].start, behind[1].end) == picture
    assert document.source.read(behind[2].start, behind[2].end) == video


def test_a_block_too_long_for_a_segment_is_refused():
    document = read(encoded(gradient(), "JPEG", exif=EXIF))
    assert document is not None
    part = next(part for part in document.parts if part.kind is Kind.EXIF)
    with pytest.raises(ContainerError, match="a segment holds 65,527"):
        write(document, {part: bytes(70_000)})


def test_an_identifier_in_capitals_is_exif():
    data = encoded(gradient(), "JPEG", exif=EXIF).replace(b"Exif\0\0", b"EXIF\0\0")
    document = read(data)
    assert document is not None
    assert [document.content(part) for part in document.parts if part.kind is Kind.EXIF] == [EXIF[6:]]
