"""What every container keeps to: parts partition a file, and a writer changes what it is asked to."""

from __future__ import annotations

import io
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from functions.kit.containers import (
    METADATA,
    READERS,
    WRITERS,
    ContainerError,
    Document,
    Kind,
    Part,
    read,
    sniff,
    write,
)
from tests.functions.exif import made
from tests.functions.exif.containers import BOMBS, CONTAINERS, MAKE, crw, x3f
from tests.functions.exif.tiffs import jpeg_of
from tests.images import encoded, gradient
from tools.fuzz.mutation import mutants

SAMPLES = {
    name: data for name, make in CONTAINERS.items() if (found := sniff(data := make())) and found.reader in READERS
}
SAMPLES |= {
    f"full {name}": data for name, data in made.all_of_them().items() if (f := sniff(data)) and f.reader in READERS
}
SAMPLES |= {
    "CRW": crw((0x080A, b"Canon\0EOS\0"), (0x4810, b"inline!!")),
    "X3F": x3f(jpeg_of(MAKE)),
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%Title: (x)\n" + made.XMP + b"\nshowpage",
    "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'><metadata>" + made.XMP + b"</metadata></svg>",
}


def whole(data: bytes) -> Document | None:
    """The document of a file, after its parts were checked to be a partition of it."""
    document = read(data)
    if document is None:
        return None
    at = 0
    for part in document.parts:
        assert part.start == at < part.end, f"{part} does not follow byte {at}"
        assert part.body < 0 or part.start <= part.body <= part.stop <= part.end, part
        at = part.end
    assert at == len(data)
    for lead, group in document.groups.items():
        assert {part.lead for part in group} <= {-1, lead}
        assert [part.start for part in group if part.lead < 0] in ([lead], [])  # a TIFF's entry has its value elsewhere
    for part in document.parts:
        if part.kind in METADATA:
            document.content(part)
    if not document.broken and document.reader in WRITERS:
        assert write(document, {}) == data
    return document


def blocks(document: Document) -> dict[tuple[Kind, str, str], bytes | None]:
    return {
        (part.kind, part.label, part.name): document.content(part)
        for part in document.parts
        if part.kind in METADATA and part.lead < 0
    }


def ours(document: Document) -> list[Part]:
    return [part for part in document.parts if part.lead < 0 and part.kind not in (Kind.STRUCTURE, Kind.PIXELS)]


@pytest.mark.parametrize("name", SAMPLES)
def test_parts_partition_a_file_of_every_container(name: str):
    document = whole(SAMPLES[name])
    assert document is not None
    assert len(document.parts) > 1


@pytest.mark.parametrize("name", SAMPLES)
def test_every_truncation_is_a_partition(name: str):
    data = SAMPLES[name]
    for end in range(0, len(data), max(len(data) // 200, 1)):
        whole(data[:end])


@pytest.mark.parametrize("name", BOMBS)
def test_a_crafted_file_is_a_partition(name: str):
    document = whole(BOMBS[name](4))
    assert document is None or len(document.parts) <= 100_000


@pytest.mark.parametrize("name", SAMPLES)
def test_mutants_are_partitions(name: str):
    chance = random.Random(name)
    for data in mutants([SAMPLES[name]], 200, 200_000, chance):
        whole(data)


@given(st.sampled_from([data[:12] for data in SAMPLES.values()]), st.binary(max_size=300))
def test_any_bytes_are_a_partition(start: bytes, rest: bytes):
    whole(start + rest)


@pytest.mark.parametrize("name", SAMPLES)
def test_content_written_again_reads_the_same(name: str):
    document = whole(SAMPLES[name])
    assert document is not None
    if document.broken or document.reader not in WRITERS:
        return
    again = {part: document.content(part) for part in ours(document) if part.kind in METADATA}
    copy = whole(write(document, {part: content for part, content in again.items() if content is not None}))
    assert copy is not None
    assert blocks(copy) == blocks(document)


@pytest.mark.parametrize("name", SAMPLES)
def test_dropped_parts_are_gone_and_pixels_are_as_they_were(name: str):
    data = SAMPLES[name]
    document = whole(data)
    assert document is not None
    if document.broken or document.reader not in WRITERS:
        with pytest.raises(ContainerError):
            write(document, dict.fromkeys(ours(document)))
        return
    written = write(document, dict.fromkeys(ours(document)))
    copy = whole(written)
    assert copy is not None
    assert (copy.width, copy.height, copy.broken) == (document.width, document.height, "")
    assert b"Canon Incorporated" not in written
    assert not blocks(copy)
    try:
        before = Image.open(io.BytesIO(data)).convert("RGBA")
    except (OSError, SyntaxError, RuntimeError):  # the last from the plug-in for JPEG XL, once a test has loaded it
        return
    assert Image.open(io.BytesIO(written)).convert("RGBA").tobytes() == before.tobytes()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_block_is_added_to_a_file_without_one(form: str):
    data = encoded(gradient(), form)
    document = whole(data)
    assert document is not None
    written = write(document, {}, {Kind.EXIF: MAKE, Kind.XMP: made.XMP})
    picture = Image.open(io.BytesIO(written))
    assert picture.getexif()[0x010F] == "Canon Incorporated"
    assert picture.convert("RGB").tobytes() == Image.open(io.BytesIO(data)).convert("RGB").tobytes()
    copy = whole(written)
    assert copy is not None
    assert {part.kind: copy.content(part) for part in copy.parts if part.kind in (Kind.EXIF, Kind.XMP)} == {
        Kind.EXIF: MAKE,
        Kind.XMP: made.XMP,
    }


def test_photographs_are_partitions_and_so_are_their_mutants(photos: list[Path]):
    chance = random.Random(7)
    for path in photos:
        data = path.read_bytes()
        if whole(data) is not None:
            for mutant in mutants([data[:50_000]], 10, 60_000, chance):
                whole(mutant)
