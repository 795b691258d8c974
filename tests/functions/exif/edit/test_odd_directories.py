"""Fields set in directories that no standard foresees: every old tag is kept, or the file is refused."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import functions_framework
import pytest

import functions.exif.main
from functions.exif.edit.errors import Broken
from functions.exif.edit.fields import Fields
from functions.exif.edit.set import write
from tests.functions.exif.tiffs import Field, ascii_field, directory, long, rational, short, tiff
from tests.images import encoded, gradient

UNUSED: Field = (0, 0, 0, b"")
FIELDS = Fields(artist="Ada", taken=datetime(2024, 5, 3, 14, 12, 31), position=(48.1, 11.5, None))


def camera(order: str = "<", extra: tuple[Field, ...] = (), exif: tuple[Field, ...] = (), following: int = 0) -> bytes:
    """An Exif block with a camera's tags, and further entries in its first and its Exif directory."""
    image = [
        ascii_field(0x010F, "Lamp Works"),
        *extra,
        short(0x0112, 6, order=order),
        rational(0x011A, (72, 1), order=order),
    ]
    inner = [ascii_field(0x9290, "123456"), rational(0x829A, (1, 200), order=order), *exif]
    at = 8 + len(directory([*image, long(0x8769, 0, order=order)], 8, order))
    first = directory([*image, long(0x8769, at, order=order)], 8, order, following)
    mark = b"II" if order == "<" else b"MM"
    return mark + struct.pack(order + "HI", 42, 8) + first + directory(inner, at, order)


def outside(tag: int, offset: int = 0x1000) -> Field:
    """A text of 40 bytes whose offset leads behind the block; written as an inline value."""
    return (tag, 2, 40, struct.pack("<I", offset))


def with_thumbnail() -> bytes:
    """A chain of two directories, the second with a thumbnail."""
    block = camera()
    at = len(block)
    thumbnail = encoded(gradient(size=(8, 6)), "JPEG")
    fields = [short(0x0103, 6), long(0x0201, at + 2 + 3 * 12 + 4), long(0x0202, len(thumbnail))]
    return camera(following=at) + directory(fields, at) + thumbnail


def shared_value() -> bytes:
    """Artist and Make are one text."""
    block = bytearray(camera(extra=(ascii_field(0x013B, "Somebody"),)))
    make = 10
    artist = block.index(struct.pack("<HH", 0x013B, 2))
    block[artist + 4 : artist + 12] = block[make + 4 : make + 12]
    return bytes(block)


BLOCKS = {
    "an unused entry": camera(extra=(UNUSED,)),
    "an unused entry, big-endian": camera(">", extra=(UNUSED,)),
    "unused entries at the end": camera(exif=(UNUSED,) * 9),
    "an unused entry of the Exif directory": camera(exif=(UNUSED, ascii_field(0xA434, "Lamp Lens"))),
    "an unknown type": camera(extra=((0x0001, 77, 1, b"abcd"),)),
    "unsorted": camera(extra=(ascii_field(0xC62F, "SN-0815"), ascii_field(0x0110, "Lamp 5D"))),
    "a tag twice": camera(extra=(ascii_field(0x0110, "Lamp 5D"), ascii_field(0x0110, "Lamp 6D"))),
    "a value outside": camera(extra=(outside(0x0110),)),
    "a value just behind the end": camera(extra=(outside(0x0110, len(camera(extra=(outside(0x0110),))) + 4),)),
    "a value outside the Exif directory": camera(exif=(outside(0xA434),)),
    "a directory outside": camera(exif=(long(0xA005, 400),)),
    "a chain that leads nowhere": camera(following=1000),
    "a thumbnail": with_thumbnail(),
    "a value of two entries": shared_value(),
    "a maker note": camera(exif=((0x927C, 7, 20, b"Lamp\0\0\1\0\1\0\x02\0\x08\0\0\0abcd"),)),
}


def jpeg(block: bytes) -> bytes:
    plain = encoded(gradient(size=(16, 12)), "JPEG")
    body = b"Exif\0\0" + block
    return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + plain[2:]


@pytest.fixture(scope="module")
def read(program: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    """What ExifTool reads of every file before and after, by name; one run for all."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, block in BLOCKS.items():
        (folder / f"{name}.jpg").write_bytes(jpeg(block))
        (folder / f"{name} after.jpg").write_bytes(write(jpeg(block), FIELDS).data)
    arguments = [program("exiftool"), "-j", "-n", "-a", "-u", "-G4:1", folder]
    done = subprocess.run(arguments, capture_output=True, text=True)
    return {Path(found["SourceFile"]).stem: found for found in json.loads(done.stdout)}


@pytest.mark.parametrize("name", BLOCKS)
def test_every_old_tag_is_kept(name: str, read: dict[str, dict[str, object]]) -> None:
    before, after = read[name], read[f"{name} after"]
    kept = {
        key: value
        for key, value in before.items()
        if "IFD" in key
        and not key.startswith(("File:", "System:"))
        and key.rpartition(":")[2] not in ("Artist", "Warning")
    }
    assert "IFD0:Make" in kept
    assert {key: after.get(key) for key in kept} == kept
    assert after["IFD0:Artist"] == "Ada"
    assert after["ExifIFD:DateTimeOriginal"] == "2024:05:03 14:12:31"


def test_an_unused_entry_does_not_end_the_directory_over_http() -> None:
    client = functions_framework.create_app("exif", functions.exif.main.__file__, "http").test_client()
    answer = client.post("/set?artist=Ada", data=jpeg(BLOCKS["an unused entry"]))
    assert answer.status_code == 200
    groups = client.post("/", data=answer.data).json["groups"]
    assert groups["IFD0"]["Artist"]["value"] == "Ada"
    assert groups["IFD0"]["Make"]["value"] == "Lamp Works"
    assert groups["IFD0"]["Orientation"]["raw"] == 6
    assert groups["ExifIFD"]["ExposureTime"]["value"] == "1/200"


def cut_off(block: bytes) -> bytes:
    """The first directory claims more entries than the block holds."""
    return block[:8] + struct.pack("<H", 60) + block[10:]


REFUSED = {
    "a count that runs over the end": cut_off(camera()),
    "an Exif directory that cannot be read": tiff([ascii_field(0x010F, "Lamp Works"), long(0x8769, 0x7000)]),
    "two Exif directories": camera(extra=(long(0x8769, 8),)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_lose_a_tag_is_refused(name: str) -> None:
    client = functions_framework.create_app("exif", functions.exif.main.__file__, "http").test_client()
    answer = client.post("/set?artist=Ada", data=jpeg(REFUSED[name]))
    assert (answer.status_code, answer.content_type) == (422, "application/problem+json")


def test_a_result_without_an_old_tag_is_not_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    from functions.exif.edit import set as setting

    source = jpeg(camera())
    forgetful = jpeg(tiff([ascii_field(0x013B, "Ada"), ascii_field(0x010F, "Lamp Works")]))
    monkeypatch.setattr(setting, "_block", lambda *_: (forgetful, ()))
    with pytest.raises(Broken, match="would be lost"):
        write(source, Fields(artist="Ada"))
    monkeypatch.setattr(setting, "_block", lambda *_: (source, ()))
    with pytest.raises(Broken, match="would not be readable"):
        write(source, Fields(artist="Ada"))


@pytest.mark.parametrize("from_file", [False, True])
def test_a_maker_notes_preview_behind_the_picture_is_still_found(from_file: bool) -> None:
    preview = encoded(gradient(size=(20, 10)), "JPEG")
    empty = jpeg(camera(exif=((0x927C, 7, 12, b"Lamp\0\0\0\0\0\0\0\0"),)))
    place = len(empty) - (0 if from_file else 12)
    source = jpeg(camera(exif=((0x927C, 7, 12, b"Lamp\0\0\0\0" + struct.pack("<I", place)),))) + preview
    result = write(source, FIELDS).data
    at = result.index(b"Lamp\0\0\0\0") + 8
    (moved,) = struct.unpack_from("<I", result, at)
    assert moved > place
    assert result[moved + (0 if from_file else 12) :] == preview


@pytest.mark.parametrize("identifier", [b"EXIF\0\0", b"exif\0\0", b"\0Exif\0\0"])
def test_exif_under_another_identifier_is_written_where_it_is(identifier: bytes) -> None:
    source = jpeg(camera()).replace(b"Exif\0\0", identifier)
    length = struct.unpack_from(">H", source, 4)[0] + len(identifier) - 6
    source = source[:4] + struct.pack(">H", length) + source[6:]
    result = write(source, Fields(artist="Ada")).data
    assert result.count(b"Lamp Works") == 1
    assert result[6:].startswith(identifier)
