"""Against ExifTool, over every file of the folder in PIXELAMP_PHOTOS: what it finds we find, spelt as it spells it."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import subprocess
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from functions.exif.answer import examine, flat
from tests.work import within

pytestmark = pytest.mark.slow  # CI runs it after the tests

# Groups of ExifTool's family 1 that are Exif.
EXIF = re.compile(r"(IFD\d+|SubIFD\d*|ExifIFD|GPS|InteropIFD|GlobParamIFD):")
# What a maker's note says of the body and the lens, and which lens it is.
MAKERS = re.compile(
    r"(Canon|Nikon|FujiFilm|Panasonic|Olympus|Pentax|Sony):"
    r"(SerialNumber|InternalSerialNumber|LensModel|Lens|LensSerialNumber|OwnerName|LensType2?|RFLensType)$"
    r"|Sony:LensSpec$|Composite:LensID$"
)
FORMATS = "JPEG MPO PNG APNG HEIC HEIF AVIF CR3 JXL JP2 TIFF BTF CR2 NEF DNG ARW RW2 RAF PSD GIF BMP WEBP".split()  # noqa: SIM905


def _asked(program: list[str], paths: list[Path], *options: str) -> dict[str, dict[str, Any]]:
    command = [*program, "-a", "-u", "-G1", "-j", "-struct", *options, "-@", "-"]
    listed = "\n".join(map(str, paths)).encode()
    answer = subprocess.run(command, input=listed, capture_output=True, check=False)
    return {entry["SourceFile"]: entry for entry in json.loads(answer.stdout.decode("utf-8", "replace"))}


@pytest.fixture(scope="module")
def answers(photos: list[Path], exiftool: list[str]) -> list[tuple[str, dict[str, Any], dict[str, Any], Any]]:
    """Name, ExifTool's print and values, and our reading of each file that both take for a picture."""
    printed, values = _asked(exiftool, photos), _asked(exiftool, photos, "-n")
    found = []
    for path in photos:
        theirs = printed.get(str(path), {})
        kind = str(theirs.get("File:FileType", "")).removeprefix("Extended ")
        reading = examine(path.read_bytes())
        if kind in FORMATS:
            assert reading is not None, f"{path.name} is a {kind} to ExifTool and no image to us"
            found.append((path.name, theirs, values[str(path)], reading))
    return found


def _same(ours: Any, theirs: Any) -> bool:
    """Equal as JSON, but for the last digits of numbers and the sign that stands for bytes that are no text."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(_same(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(_same, ours, theirs))
    if isinstance(ours, str) and isinstance(theirs, str):
        if ours == theirs:
            return True
        ours, theirs = ours.split(), theirs.split()
        return len(ours) == len(theirs) and all(map(_same_word, ours, theirs))
    return ours == theirs or _same_word(str(ours), str(theirs))


def _same_word(ours: str, theirs: str) -> bool:
    if ours == theirs:
        return True
    try:
        return math.isclose(float(ours), float(theirs), rel_tol=1e-9)
    except ValueError:
        return False


def _compare(answers: list[Any], wanted: re.Pattern[str]) -> tuple[float, float, float, int]:
    """Shares of tags found, of values and of prints equal among those; every difference is printed by its tag."""
    total = found = equal = printed_equal = 0
    missing: Counter[str] = Counter()
    differing: dict[str, tuple[str, Any, Any]] = {}
    more: Counter[str] = Counter()
    for name, printed, values, reading in answers:
        ours, raw = flat(reading), flat(reading, raw=True)
        more.update(tag for tag in ours if wanted.match(tag) and tag not in printed)
        for tag, theirs in printed.items():
            # ExifTool shows nothing where it takes a moved maker note for broken.
            if not wanted.match(tag) or (wanted is MAKERS and theirs == ""):
                continue
            total += 1
            if tag not in ours:
                missing[tag] += 1
                continue
            found += 1
            if _same(raw[tag], values.get(tag)):
                equal += 1
            else:
                differing[f"{tag} -n"] = (name, raw[tag], values.get(tag))
            if _same(ours[tag], theirs):
                printed_equal += 1
            else:
                differing[tag] = (name, ours[tag], theirs)
    for tag, count in missing.most_common():
        print(f"missing {count:4d} × {tag}")
    for tag, (name, mine, theirs) in sorted(differing.items()):
        print(f"differs {tag} in {name}: {str(mine)[:60]!r}, ExifTool {str(theirs)[:60]!r}")
    print(f"only here: {sum(more.values())} tags, most often {', '.join(tag for tag, _ in more.most_common(12))}")
    assert total, "no file of the folder has such a tag"
    return found / total, equal / found, printed_equal / found, total


def test_exif_tags_values_and_prints(answers: list[Any]):
    found, equal, printed, total = _compare(answers, EXIF)
    print(f"{total} tags: found {found:.2%}, values equal {equal:.2%}, prints equal {printed:.2%}")
    assert found >= 0.995
    assert equal >= 0.995
    assert printed >= 0.99


@pytest.mark.parametrize("groups", ["XMP-", "IPTC"])
def test_xmp_and_iptc(answers: list[Any], groups: str):
    found, equal, printed, total = _compare(answers, re.compile(rf"{groups}[\w-]*:"))
    print(f"{total} properties: found {found:.2%}, values equal {equal:.2%}, prints equal {printed:.2%}")
    assert min(found, equal, printed) >= 0.95


def test_lens_and_serial_numbers(answers: list[Any], exiftool: list[str]):
    version = subprocess.run([*exiftool, "-ver"], capture_output=True, text=True, check=True).stdout
    if float(version) < 13:
        pytest.skip(
            f"ExifTool {version.strip()} is older than the lists of lenses: name a newer one in PIXELAMP_EXIFTOOL"
        )
    found, equal, printed, total = _compare(answers, MAKERS)
    print(f"{total} tags: found {found:.2%}, values equal {equal:.2%}, prints equal {printed:.2%}")
    assert min(found, printed) >= 0.95


# Groups of ExifTool that are not the file's, and shares that hold for families and makers of at least MANY rows.
NOT_THE_FILE = re.compile(r"File:System:|ExifTool:")
MANY = 100
FOUND = {
    **dict.fromkeys(("Canon", "Nikon", "Sony", "FujiFilm", "Olympus", "Panasonic", "Pentax", "Apple"), 0.95),
    **dict.fromkeys(("Casio", "Kodak", "Minolta", "Ricoh", "Samsung", "Sanyo", "DJI", "Reconyx", "Leica"), 0.90),
}
EQUAL, EQUAL_RAW = 0.99, 0.995


@pytest.mark.timeout(1800)
def test_every_family_and_maker(photos: list[Path], exiftool: list[str]):
    """Found and equal rows by family, and by maker for their notes.

    The notes of a body that this ExifTool is too old to know are left out: it reads them by another body's table.
    """
    printed = _by_family(exiftool, photos)
    values = _by_family(exiftool, photos, "-n")
    counts: dict[str, Counter[str]] = {}
    examples: Counter[str] = Counter()
    for path in photos:
        theirs, plain = printed.get(str(path), {}), values.get(str(path), {})
        if str(theirs.get("File:FileType", "")).removeprefix("Extended ") not in (*FORMATS, "EXV"):
            continue
        reading = examine(path.read_bytes())
        ours, raw = (flat(reading), flat(reading, raw=True)) if reading is not None else ({}, {})
        unknown = str(theirs.get("MakerNotes:Sony:SonyModelID", "")).startswith("Unknown")
        for key, value in theirs.items():
            family, _, rest = key.partition(":")
            if unknown and family in ("MakerNotes", "Composite"):
                continue
            # A group that is named as its family is written once.
            tag = rest if ":" in rest else key
            if not rest or NOT_THE_FILE.match(key):
                continue
            count = counts.setdefault(tag.partition(":")[0] if family == "MakerNotes" else family, Counter())
            count["rows"] += 1
            if tag not in ours:
                examples[f"missing {tag}"] += 1
                continue
            count["found"] += 1
            count["equal"] += _same(ours[tag], value)
            count["raw"] += _same(raw[tag], plain.get(key))
            if not _same(ours[tag], value):
                examples[f"differs {tag}: {str(ours[tag])[:40]!r}, ExifTool {str(value)[:40]!r}"] += 1
    for text, number in examples.most_common(60):
        print(f"{number:5d} × {text}")
    short = []
    for name, count in sorted(counts.items(), key=lambda item: -item[1]["rows"]):
        found = count["found"] / count["rows"]
        equal, equal_raw = (count[key] / max(count["found"], 1) for key in ("equal", "raw"))
        print(f"{name:16} {count['rows']:7,} rows: found {found:7.2%}, printed equal {equal:7.2%}, -n {equal_raw:7.2%}")
        if name in FOUND and count["rows"] >= MANY and (found < FOUND[name] or equal < EQUAL):
            short.append(name)
    total = sum(counts.values(), Counter[str]())
    assert counts, "ExifTool reads no file of the folder that is read here"
    print(f"all {total['rows']:,}: found {total['found'] / total['rows']:.2%}")
    assert not short
    assert total["equal"] >= EQUAL * total["found"]


@pytest.fixture(scope="module")
def exiftool(program: Callable[[str], str]) -> list[str]:
    """The ExifTool to compare with: the words of PIXELAMP_EXIFTOOL, else the installed one."""
    return shlex.split(os.environ.get("PIXELAMP_EXIFTOOL", "")) or [program("exiftool")]


def _by_family(program: list[str], paths: list[Path], *options: str) -> dict[str, dict[str, Any]]:
    """Rows by family, group and tag: `MakerNotes:Canon:LensType`."""
    command = [*program, "-a", "-G0:1", "-j", "-struct", *options, "-@", "-"]
    answer = subprocess.run(command, input="\n".join(map(str, paths)).encode(), capture_output=True, check=False)
    return {entry["SourceFile"]: entry for entry in json.loads(answer.stdout.decode("utf-8", "replace"))}


def test_no_file_of_any_kind_raises_or_takes_long(photos: list[Path]):
    from functions.exif.answer import document, table

    def read(data: bytes) -> None:
        reading = examine(data)
        if reading is not None:
            json.dumps(document(reading, raw=True, thumbnail=True), allow_nan=False)
            json.dumps(flat(reading), allow_nan=False)
            table(reading)

    for path in photos:
        data = path.read_bytes()
        within(5_000_000, lambda data=data: read(data))


def test_no_file_of_any_kind_takes_much_memory(photos: list[Path]):
    from functions.exif.answer import document

    for path in photos:
        data = path.read_bytes()
        tracemalloc.start()
        try:
            reading = examine(data)
            if reading is not None:
                json.dumps(document(reading, raw=True))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak <= 64 * 2**20, path.name
