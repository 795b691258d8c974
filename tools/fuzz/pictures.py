"""Fuzz targets of pictures: opening, scanning, walking, reading, clean copies, fields set."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from datetime import UTC, datetime

from tools.fuzz.privacy import marked, privacy
from tools.fuzz.target import Target, refusing

LONGEST = 8192


@functools.cache
def containers() -> tuple[bytes, ...]:
    """A small file of every container that is read, and those full of metadata that are not too long to be changed."""
    from tests.functions.exif import made
    from tests.functions.exif.containers import CONTAINERS
    from tests.images import encoded, gradient

    small = gradient(size=(24, 16))
    tiffs = [made.tiff(big=big, pages=1)[:LONGEST] for big in (False, True)]
    full = [data for data in made.all_of_them().values() if len(data) <= LONGEST]
    plain = [encoded(small, form) for form in ("GIF", "BMP", "JPEG2000", "PPM", "TGA", "ICO", "TIFF")]
    return (*(make() for make in CONTAINERS.values()), *full, *tiffs, *plain)


def files() -> Iterator[bytes]:
    """Every container."""
    yield from (data for data in containers() if len(data) <= LONGEST)


def exif_blocks() -> Iterator[bytes]:
    """Exif blocks out of the files, a BigTIFF's among them, and two written by hand, one in each byte order."""
    from functions.exif.scan.files import scan

    for data in containers():
        found = scan(data)
        for block in found.blocks if found else ():
            yield bytes(block.data)[:LONGEST]
    yield b"II*\0\x08\0\0\0" + b"\x01\0\x0f\x01\x02\0\x04\0\0\0abc\0" + bytes(4)
    yield b"MM\0*\0\0\0\x08" + b"\0\x01\x01\x0f\0\x02\0\0\0\x04abc\0" + bytes(4)


def notes() -> Iterator[bytes]:
    """A picture for each maker, whose note has every tag of its table."""
    from tests.functions.exif.notes import all_written

    yield from all_written()


def records() -> Iterator[bytes]:
    """Content credentials, segments and records of makers and programs, raws of their own form, layers."""
    from tests.functions.exif import appended, cases, containers, records
    from tests.functions.exif.credentials import SIGNED, jpeg
    from tests.functions.exif.tiffs import KEYS, earth

    yield jpeg(SIGNED)
    yield SIGNED
    numbered = ((12, records.ducky()), (8, records.spiff()), (6, records.gpmf()), (1, records.thermal()))
    yield from (cases.jpeg(records.segment(number, body)) for number, body in numbered)
    yield from (make() for make in (records.minolta, records.sigma, records.fujifilm, records.canon))
    yield cases.jpeg(records.segment(0, records.canon().replace(b"HEAPCCDR", b"HEAPJPGM")))
    yield earth(*KEYS)
    yield appended.all_of_them()
    for record in (appended.fotostation(), appended.photo_mechanic(), appended.recipe(), appended.vivo()):
        yield cases.jpeg(behind=record)
    samsung = cases.samsung((0x0A01, b"Image_UTC_Data", b"1714738351042"), (0x0AA1, b"MCC_Data", b"262"))
    yield cases.jpeg(behind=samsung)
    yield containers.heic(b"") + containers.box(b"sefd", samsung)


def examine(data: bytes) -> None:
    """Scan a file and read its metadata into every form of answer; no part of it may raise an unforeseen error."""
    from functions.exif import answer
    from functions.exif.scan.result import BROKEN

    reading = answer.examine(data)
    if reading is not None:
        assert not any(BROKEN in warning for warning in reading.warnings), reading.warnings
        json.dumps(answer.document(reading, raw=True, thumbnail=True), allow_nan=False)
        json.dumps(answer.flat(reading), allow_nan=False)
        answer.table(reading)


def parts(data: bytes) -> None:
    """Divide a file into parts: joined they are the file, and a writer drops and writes again what it is asked to."""
    from functions.kit.containers import METADATA, WRITERS, ContainerError, Kind, read, write

    document = read(data)
    if document is None:
        return
    assert b"".join(data[part.start : part.end] for part in document.parts) == data
    assert len(document.parts) <= len(data)
    contents = {part: document.content(part) for part in document.parts if part.kind in METADATA and part.lead < 0}
    if document.broken or document.reader not in WRITERS:
        return
    assert write(document, {}) == data
    others = [part for part in document.parts if part.lead < 0 and part.kind not in (Kind.STRUCTURE, Kind.PIXELS)]
    for changes in ({part: new for part, new in contents.items() if new is not None}, dict.fromkeys(others)):
        try:
            written = write(document, changes)
        except ContainerError:
            continue
        again = read(written)
        assert again is None or b"".join(written[part.start : part.end] for part in again.parts) == written


def walk(data: bytes) -> None:
    """Walk the directories of an Exif block."""
    from functions.exif.blocks.ifd import walk as walk_block

    walk_block(data)


def packets() -> Iterator[bytes]:
    """XMP, IPTC, image resources, ICC profiles and JUMBF boxes; the first letter says which."""
    from tests.functions.exif import made
    from tests.functions.exif.credentials import SIGNED

    yield b"X" + made.XMP
    yield b"X<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'/>"
    yield b"I" + made.IPTC
    yield b"P" + made.RESOURCES
    yield b"C" + made.profile()
    yield b"J" + SIGNED


def packet(data: bytes) -> None:
    """Read a packet of one of the languages that are not Exif."""
    from functions.exif.blocks import icc, iptc, jumbf, xmp
    from functions.exif.scan import photoshop
    from functions.exif.scan.result import Scan

    def put(*row: object) -> None:
        assert row[0]
        repr(row)

    def warn(text: str) -> None:
        assert text

    def miss(*part: object) -> None:
        assert part[0]

    match data[:1]:
        case b"X":
            xmp.read(data[1:], put, warn, miss)
        case b"I":
            iptc.read(data[1:], put, warn, miss)
        case b"C":
            icc.read(data[1:], "as-is", put, warn, miss)
        case b"J":
            jumbf.read(data[1:], put, put, miss, miss)
        case _:
            photoshop.resources(Scan("PSD", "image/vnd.adobe.photoshop"), data[1:], 0, "here")


def clean(data: bytes) -> None:
    """Make clean copies; cleaning one again changes nothing, and what is reported of it fits into headers."""
    from functions.exif import editing
    from functions.kit.http.problems import Problem
    from functions.kit.http.uploads import Upload

    for remove in ((), ("gps",)):
        try:
            result = editing.clean(data, None, remove)
        except Problem as problem:
            assert problem.status < 500
            continue
        _presentable(editing._headers(Upload(data, "a\r\nSet-Cookie: b.jpg"), result))
        try:
            again = editing.clean(result.data, None, remove)
        except Problem as problem:
            raise AssertionError(f"a clean copy is refused: {problem.detail}") from problem
        assert again.data == result.data


def _presentable(headers: dict[str, str]) -> None:
    """No header can be split, whatever the file holds."""
    assert all(value.isascii() and value.isprintable() for value in headers.values()), headers


def write(data: bytes) -> None:
    """Set fields; what was written is read back, and writing again changes nothing but the copy's own bytes."""
    from functions.exif import answer
    from functions.exif.edit.errors import Broken, Unsupported
    from functions.exif.edit.fields import Fields
    from functions.exif.edit.set import write as set_fields

    fields = Fields(
        artist="Fuzz",
        description="Ünïcode",
        orientation=3,
        taken=datetime(2024, 5, 3, 14, 12, 31, 250_000, UTC),
        position=(48.1, -11.5, 520.0),
    )
    try:
        written = set_fields(data, fields)
    except (Unsupported, Broken):
        return
    assert all(warning.isascii() and warning.isprintable() for warning in written.warnings)
    assert answer.examine(written.data) is not None
    try:
        again = set_fields(written.data, fields)
    except (Unsupported, Broken):
        return
    assert abs(len(again.data) - len(written.data)) < 4096


def texts() -> Iterator[bytes]:
    """Dates and places as clients write them, by line."""
    yield b"2024-05-03T14:12:31+02:00"
    yield b"2024:05:03 14:12:31.250"
    yield b"48.1372,11.5756,520"
    yield b"geo:-33.86,151.21"


def fields(data: bytes) -> None:
    """Parse what `POST /set` takes as dates and places."""
    from functions.exif.edit import fields as parsing

    text = data.decode("utf-8", "replace")
    try:
        taken = parsing.parse_date(text)
    except ValueError:
        pass
    else:
        parsing.block(parsing.Fields(taken=taken))
    try:
        place = parsing.parse_position(text)
    except ValueError:
        return
    parsing.block(parsing.Fields(position=place))


def open_pixels(data: bytes) -> None:
    """Open and decode an image within limits."""
    from functions.kit.http.settings import Settings, load
    from functions.kit.images.opening import open_image

    settings = load(Settings, "fuzz", {"FUZZ_MAX_PIXELS": "100000"})
    with open_image(data, settings) as image:
        image.load()


AMPLIFIED = 2_000_000


def repeated_parts() -> Iterator[bytes]:
    """The length of a file's beginning in two bytes, that beginning, and a part to be repeated after it."""
    from tests.functions.kit.images import hostile

    for make in hostile.files(4 * LONGEST).values():
        data = make()
        for head in (2, 33, 64, 800):
            if head < len(data):
                yield head.to_bytes(2, "big") + data[: head + 24]


def cost(data: bytes) -> None:
    """Open an image of megabytes in which one small part is repeated, within a limit of CPU time a byte."""
    from functions.kit.http.settings import Settings
    from functions.kit.images.opening import open_pixels

    head = int.from_bytes(data[:2], "big")
    start, part = data[2 : 2 + head], data[2 + head :]
    if part:
        with open_pixels(start + part * (AMPLIFIED // len(part)), Settings(max_pixels=100_000)):
            pass


TARGETS = {
    "parts": Target(refusing(parts), files, LONGEST),
    "privacy": Target(refusing(privacy), marked, LONGEST),
    "ifd": Target(refusing(walk), exif_blocks, LONGEST),
    "exif": Target(refusing(examine), files, LONGEST),
    "makernotes": Target(refusing(examine), notes, LONGEST),
    "records": Target(refusing(examine), records, LONGEST),
    "packets": Target(refusing(packet), packets),
    "strip": Target(refusing(clean), files, LONGEST),
    "set": Target(refusing(write), files, LONGEST),
    "fields": Target(refusing(fields), texts, 256),
    "images": Target(refusing(open_pixels), files, LONGEST),
    "cost": Target(refusing(cost), repeated_parts, LONGEST, seconds=1.0),
}
