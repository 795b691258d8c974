"""Lens numbers: each list against ExifTool, in notes written by hand; and what is said where a number means several."""

from __future__ import annotations

import json
import math
import struct
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from functions.exif.answer import document, examine, flat
from functions.exif.lenses import choosing, numbers
from functions.exif.makernotes import nikon, sony
from tests.functions.exif.tiffs import Field, ascii_field, directory, jpeg_of, long, rational, short

LISTS = ("canon", "canon_rf", "fourthirds", "minolta", "nikon", "nikon_z", "pentax", "sony_e")
# Where ExifTool lists the lenses of a number: the table and the number's tag, and how it writes a number.
TAGS: dict[str, tuple[str, str, Callable[[str], str]]] = {
    "canon": ("Canon::CameraSettings", "22", str),
    "canon_rf": ("Canon::FileInfo", "61", str),
    "fourthirds": ("Olympus::Equipment", "513", lambda key: key.replace(" ", "-")),
    "minolta": ("Minolta::Main", "268", str),
    "nikon": ("Composite", "Nikon-LensID", lambda key: key.replace(" ", "")),
    "nikon_z": ("Nikon::LensData0800", "48", str),
    "pentax": ("Pentax::LensInfo", "0", lambda key: key.replace(" ", "-")),
    "sony_e": ("Sony::Tag9405a", "1541", str),
}
SAMPLE = 8  # of the numbers that have one lens, one in so many is read
# What ExifTool shows of a lens and we do too.
ROWS = ("Composite:LensID", "LensType", "LensType2", "RFLensType", "Nikon:LensID", "InternalSerialNumber")


def picture(make: str, model: str, note: Callable[[int], bytes], *more: Field) -> bytes:
    """A JPEG with a maker note, which is told where in the block it stands."""
    first = 8
    pointer = len(directory([ascii_field(0x10F, make), ascii_field(0x110, model), long(0x8769, 0)], first)) + first
    ifd0 = directory([ascii_field(0x10F, make), ascii_field(0x110, model), long(0x8769, pointer)], first)
    others = sorted(more)
    size = len(note(0))
    fields = sorted([*others, (0x927C, 7, size, bytes(size))])
    # The note stands where its bytes are in a directory that is written twice.
    marked = directory([(tag, kind, n, b"\xa5" * n if tag == 0x927C else v) for tag, kind, n, v in fields], pointer)
    at = pointer + marked.index(b"\xa5" * size)
    fields = [(tag, kind, n, note(at) if tag == 0x927C else value) for tag, kind, n, value in fields]
    return jpeg_of(b"II*\0\x08\0\0\0" + ifd0 + directory(fields, pointer))


def canon(number: int, short_mm: int, long_mm: int, stop: float, model: str = "", rf: int = 0) -> bytes:
    settings = [0] * 46
    settings[0] = 92
    settings[22:27] = number, long_mm, short_mm, 1, round(math.log2(stop) * 64)
    fields = [short(0x01, *settings)]
    if rf:
        fields.append(short(0x93, 124, *[0] * 60, rf))
    if model:
        fields.append(ascii_field(0x95, model))
    return picture("Canon", "Canon EOS R5" if rf else "Canon EOS 5D", lambda at: directory(fields, at))


def nikon_note(lens: str, version: bytes = b"0204", serial: int = 6012345, count: int = 4711) -> bytes:
    key = bytes.fromhex(lens)
    place = {b"0100": 6, b"0101": 11, b"0201": 11, b"0204": 12}[version]
    data = (version + bytes(place - 4) + key[:7]).ljust(40, b"\0")
    if version >= b"0201":
        data = data[:4] + nikon.decrypted(data[4:], serial, count)
    fields = [
        ascii_field(0x1D, str(serial)),
        (0x83, 1, 1, key[7:]),
        (0x98, 7, len(data), data),
        long(0xA7, count),
    ]
    note = b"Nikon\0\2\x10\0\0II*\0\x08\0\0\0" + directory(fields, 8)
    return picture("NIKON CORPORATION", "NIKON D90", lambda _: note)


def z_note(number: int) -> bytes:
    data = b"0800" + nikon.decrypted(bytes(0x30 - 4) + struct.pack("<H", number) + bytes(40), 6012345, 4711)
    fields = [ascii_field(0x1D, "6012345"), (0x83, 1, 1, b"\x0e"), (0x98, 7, len(data), data), long(0xA7, 4711)]
    note = b"Nikon\0\2\x10\0\0II*\0\x08\0\0\0" + directory(fields, 8)
    return picture("NIKON CORPORATION", "NIKON Z 6", lambda _: note)


NEWEST_SONY = "ILCE-7CM2"


def sony_note(number: int, mounted: int = 0, *more: Field, model: str = "ILCE-7") -> bytes:
    block = bytearray(0x300)
    if model == NEWEST_SONY:
        tag, mount, lens = 0x9416, 0x4A, 0x4B
    else:
        tag, mount, lens = 0x9050, 0x105, 0x107
        block[0x7C:0x80] = b"\x12\x34\x56\x78"
        block[0xF0:0xF5] = b"\x12\x34\x56\x78\x9a"
    block[mount] = 2 if mounted else 1
    block[lens : lens + 2] = struct.pack("<H", mounted)
    enciphered = bytes(pow(byte, 3, 249) if byte < 249 else byte for byte in block)
    fields = [(tag, 7, len(block), enciphered), long(0xB027, number)]
    return picture("SONY", model, lambda at: b"SONY DSC \0\0\0" + directory(fields, at + 12), *more)


def pentax(number: str) -> bytes:
    series, model = map(int, number.split("-"))
    fields = [(0x3F, 1, 3, bytes((series, model, 0))), long(0x215, 1, 20240101, 2, 3, 654321)]
    return picture("PENTAX", "PENTAX K10D", lambda at: b"AOC\0II" + directory(fields, at + 6))


def olympus(number: str) -> bytes:
    maker, model, kind = (int(part, 16) for part in number.split("-"))
    head = b"OLYMPUS\0II\3\0"
    outer = directory([(0x2010, 13, 1, struct.pack("<I", 0))], 12)
    inner = 12 + len(outer)
    equipment = directory([(0x201, 1, 6, bytes((maker, 0, model, kind, 0, 0)))], inner)
    note = head + directory([(0x2010, 13, 1, struct.pack("<I", inner))], 12) + equipment
    return picture("OLYMPUS IMAGING CORP.", "E-M1", lambda _: note)


def sample(maker: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The numbers of a list that have several lenses, and some of the others."""
    for place, (number, names) in enumerate(numbers(maker).items()):
        if len(names) > 1 or place % SAMPLE == 0:
            yield number, names


def written() -> Iterator[tuple[str, bytes]]:
    """A picture for each number of a sample, with the range of the first and of the last lens that have it."""
    for maker in ("canon", "canon_rf"):
        for number, names in sample(maker):
            if not 0 <= int(number) <= 65535:
                continue
            for index in {0, len(names) - 1}:
                lens = choosing.range_of(names[index].partition(" or ")[0])
                short_mm, long_mm, stop, _ = lens or (50, 50, 1.8, 1.8)
                values = int(short_mm), int(long_mm), stop
                if maker == "canon":
                    yield f"canon-{number}-{index}", canon(int(number), *values)
                else:
                    yield f"rf-{number}", canon(61182, *values, rf=int(number))
    for lens, _ in sample("nikon"):
        yield f"nikon-{lens}", nikon_note(lens)
    for number, _ in sample("nikon_z"):
        yield f"z-{number}", z_note(int(number))
    for number, names in sample("minolta"):
        lens = choosing.range_of(names[-1])
        focal = rational(0x920A, (int(lens.short) if lens else 50, 1))
        yield f"sony-a-{number}", sony_note(int(number), 0, focal, model="SLT-A77V")
    for number, names in sample("sony_e"):
        focal = rational(0x920A, (int((choosing.range_of(names[-1]) or (50,))[0]), 1))
        yield f"sony-e-{number}", sony_note(65535, int(number), focal)
        if int(number) % 8 == 0:  # the same list behind another block
            yield f"sony-newest-{number}", sony_note(65535, int(number), focal, model=NEWEST_SONY)
    for number, _ in sample("pentax"):
        yield f"pentax-{number}", pentax(number)
    for number, _ in sample("fourthirds"):
        if len(number) < 9:
            yield f"olympus-{number}", olympus(number)


def asked(exiftool: str, folder: Path) -> dict[str, dict[str, Any]]:
    """What ExifTool says of the rows of each file in a folder; two of it share the work."""
    command = [exiftool, "-q", "-j", "-G1", *(f"-{row.partition(':')[2] or row}" for row in ROWS)]
    files = sorted(map(str, folder.iterdir()))
    with ThreadPoolExecutor(2) as pool:
        halves = [[*command, *files[half::2]] for half in (0, 1)]
        answers = list(pool.map(lambda half: subprocess.run(half, capture_output=True, check=False).stdout, halves))
    return {Path(entry["SourceFile"]).stem: entry for answer in answers for entry in json.loads(answer)}


@pytest.mark.slow  # ExifTool writes all its tables: CI runs it after the tests
def test_every_lens_is_named_as_exiftool_names_it(program: Callable[[str], str]):
    command = [program("exiftool"), "-listx", "-lang", "en"]
    done = subprocess.run(command, capture_output=True, check=True)
    tags = {
        (str(table.get("name")), str(tag.get("id"))): tag
        for table in ElementTree.fromstring(done.stdout).iter("table")
        for tag in table.iter("tag")
    }
    total, different = 0, []
    for maker, (table, number, written_as) in TAGS.items():
        theirs: dict[str, set[str]] = {}
        for key in tags[table, number].iter("key"):
            # Where several lenses have a number, the others follow as 2.1, 2.2.
            name = next(str(value.text) for value in key.iter("val") if value.get("lang") == "en")
            first = written_as(str(key.get("id")).partition(".")[0])
            theirs.setdefault(first, set()).add(name)
        ours = numbers(maker)
        total += sum(map(len, theirs.values()))
        different += [(maker, key, names - set(ours.get(key, ()))) for key, names in theirs.items()]
    missing = [entry for entry in different if entry[2]]
    print(missing)
    assert total > 1500
    assert sum(len(names) for _, _, names in missing) <= 0.01 * total


def test_a_sample_of_numbers_reads_as_exiftool_reads_it(tmp_path: Path, program: Callable[[str], str]):
    exiftool = program("exiftool")
    files = dict(written())
    for name, data in files.items():
        (tmp_path / f"{name}.jpg").write_bytes(data)
    theirs = asked(exiftool, tmp_path)
    total, different = 0, []
    for name, data in files.items():
        ours = flat(examine(data))
        for key, value in theirs[name].items():
            # An older ExifTool than the lists knows fewer lenses.
            if key != "SourceFile" and "Unknown" not in str(value):
                total += 1
                if str(ours.get(key)) != str(value):
                    different.append(f"{name} {key}: ExifTool {value!r}, here {ours.get(key)!r}"[:160])
    print("\n".join(different))
    print(f"{total - len(different)} of {total} equal")
    assert total > 900
    assert len(different) <= 0.02 * total


@pytest.mark.parametrize("maker", LISTS)
def test_a_list_is_in_order_and_has_no_line_twice(maker: str):
    table = numbers(maker)
    assert len(table) > 20
    for number, names in table.items():
        assert number
        assert all(name == name.strip() and name for name in names), number
        assert len(set(names)) == len(names), number


@pytest.mark.parametrize(
    ("data", "lens"),
    [
        # 2 is Canon's 28 mm and Sigma's 24 mm: the focal length tells.
        (canon(2, 28, 28, 2.8), "Canon EF 28mm f/2.8"),
        (canon(2, 24, 24, 2.8), "Sigma 24mm f/2.8 Super Wide II"),
        (canon(1, 70, 70, 2.5), "Canon EF 50mm f/1.8 + 1.4x"),
        (canon(60000, 24, 70, 2.8), "Unknown (60000) 24-70mm"),
        (canon(60000, 24, 70, 2.8, model="EF24-70mm"), "Canon EF24-70mm"),
        (canon(0xFFFF, 6, 22, 2.0), "Unknown 6-22mm"),
        (canon(61182, 50, 50, 1.2, rf=257), "Canon RF 50mm F1.2L USM"),
        (nikon_note("FF48FFFF30303C0E", b"0101"), "Unknown (FF 48 FF FF 30 30 3C 0E)"),
        (nikon_note("0158505014140500", b"0100"), "AF Nikkor 50mm f/1.8"),
        (nikon_note("0158505014140500", b"0201"), "AF Nikkor 50mm f/1.8"),
        (nikon_note("0158505014140500", b"0204"), "AF Nikkor 50mm f/1.8"),
        (sony_note(65535, 32793), "Sony E PZ 16-50mm F3.5-5.6 OSS"),
        (sony_note(65535, 32793, model=NEWEST_SONY), "Sony E PZ 16-50mm F3.5-5.6 OSS"),
        (sony_note(2), "Minolta AF 28-70mm F2.8 G"),
        (pentax("4-1"), "smc PENTAX-FA SOFT 28mm F2.8"),
        (olympus("0-20-10"), "Olympus M.Zuiko Digital ED 40-150mm F2.8 Pro"),
    ],
)
def test_the_lens_of_a_number(data: bytes, lens: str):
    assert flat(examine(data))["Composite:LensID"] == lens


def test_a_known_lens_is_named_at_a_glance_and_an_unknown_one_is_not():
    assert document(examine(canon(1, 50, 50, 1.8)))["camera"]["lens"] == "Canon EF 50mm f/1.8"
    assert "lens" not in document(examine(canon(60000, 24, 70, 2.8)))["camera"]


def test_the_ciphers():
    data = bytes(range(256))
    assert nikon.decrypted(nikon.decrypted(data, 6012345, 4711), 6012345, 4711) == data
    assert nikon.decrypted(data, 6012345, 4711) != data
    assert sony.deciphered(bytes(pow(byte, 3, 249) for byte in range(249))) == bytes(range(249))


def test_a_note_without_its_keys_or_cut_short_says_nothing():
    for size in range(len(canon(1, 50, 50, 1.8))):
        examine(canon(1, 50, 50, 1.8)[:size])


def test_an_ambiguous_lens_is_reported():
    names = ("A 50mm f/1.8 or another", "B 50mm f/1.8", "C 50mm f/2.8", "D 35mm f/2")
    assert choosing.by_range(names, 50, 50, 1.8, "") == "A 50mm f/1.8 or B 50mm f/1.8"
    assert choosing.by_range(names, 50, 50, None, "") == "A 50mm f/1.8 or B 50mm f/1.8 or C 50mm f/2.8"
    assert choosing.by_range(names, 50, 50, None, "EF 50mm f/2.8") == "C 50mm f/2.8"
    assert choosing.by_range(names, 500, 500, None, "") == ""
    assert choosing.by_picture(names, 35, 2.0, "") == "D 35mm f/2"
    assert choosing.by_picture(names, 50, 2.8, "") == "C 50mm f/2.8"


def test_the_age_of_the_lists_is_stated_where_a_lens_is_in_none():
    assert any("13.58" in warning for warning in examine(canon(60000, 24, 70, 2.8)).warnings)
    assert not any("lists of lenses" in warning for warning in examine(canon(1, 50, 50, 1.8)).warnings)
