"""Colour profiles that name a display or a person: the names go, the colours are the same bit for bit."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import pytest
from PIL import Image, ImageCms

from functions.exif.edit.blocks import icc
from functions.exif.edit.strip import strip
from tests.functions.exif import made
from tests.images import encoded, gradient


def text(words: str) -> bytes:
    return b"text\0\0\0\0" + words.encode() + b"\0"


def localised(words: str) -> bytes:
    value = words.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II", 1, 12) + b"enUS" + struct.pack(">II", len(value), 28) + value


def described(words: str) -> bytes:
    """The older form of a description, in ASCII, Unicode and Macintosh script."""
    raw, wide = words.encode() + b"\0", (words + "\0").encode("utf-16-be")
    old = struct.pack(">BB67s", 0, len(raw), raw)
    return (
        b"desc\0\0\0\0" + struct.pack(">I", len(raw)) + raw + struct.pack(">II", 0, len(words) + 1) + wide + b"\0" + old
    )


def profile(*tags: tuple[bytes, bytes]) -> bytes:
    """A profile of the standard colours with further tags, or others in their place."""
    base = made.profile()
    (count,) = struct.unpack_from(">I", base, 128)
    held = {}
    for index in range(count):
        name, start, size = struct.unpack_from(">4sII", base, 132 + 12 * index)
        held[name] = base[start : start + size]
    held.update(tags)
    at, table, data = 132 + 12 * len(held), b"", b""
    for name, value in held.items():
        table += struct.pack(">4sII", name, at + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    size = at + len(data)
    return struct.pack(">I", size) + base[4:128] + struct.pack(">I", len(held)) + table + data


SERIAL = b"mmod\0\0\0\0" + struct.pack(">IIII", 0x610, 0xA03C, 0x12345678, 0) + b"SN-0815-4711".ljust(16, b"\0")
PERSONAL = {
    "mmod": profile((b"mmod", SERIAL)),
    "ndin": profile((b"ndin", b"ndin\0\0\0\0" + b"SN-0815-4711")),
    "vcgt": profile((b"vcgt", b"vcgt\0\0\0\0" + b"SN-0815-4711" * 9)),
    "meta": profile((b"meta", b"dict\0\0\0\0" + "EDID_serial=SN-0815-4711".encode("utf-16-be") + b"SN-0815-4711")),
    "targ": profile((b"targ", text("INSTRUMENT i1 SN-0815-4711"))),
    "description": profile((b"desc", localised("SN-0815-4711 of Erika Mustermann"))),
    "old description": profile((b"desc", described("SN-0815-4711 of Erika Mustermann"))),
    "copyright": profile((b"cprt", text("Copyright Erika Mustermann SN-0815-4711"))),
    "display": profile((b"dmdd", described("DELL U2720Q SN-0815-4711"))),
    "behind the end": profile() + b"SN-0815-4711",
}
CONTAINERS: dict[str, Callable[[bytes], bytes]] = {
    form: lambda data, form=form: encoded(gradient(), form, icc_profile=data)  # type: ignore[misc]
    for form in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF")
}
NAMES = (b"SN-0815-4711", b"Mustermann", "SN-0815-4711".encode("utf-16-be"), struct.pack(">I", 0x12345678))


def colours(data: bytes) -> bytes:
    """A picture converted out of a profile's colours."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(data))
    target = ImageCms.createProfile("LAB")
    converted = ImageCms.profileToProfile(gradient(), source, target, outputMode="LAB")
    assert converted is not None
    return converted.tobytes()


def profile_of(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as image:
        return bytes(image.info["icc_profile"])


@pytest.mark.parametrize("form", CONTAINERS)
@pytest.mark.parametrize("name", PERSONAL)
def test_what_identifies_goes_and_the_colours_stay(name: str, form: str) -> None:
    result = strip(CONTAINERS[form](PERSONAL[name]))
    assert "icc" in {one.kind for one in result.removed}
    kept = profile_of(result.data)
    assert not [secret for secret in NAMES if secret in kept]
    assert colours(kept) == colours(PERSONAL[name])
    again = strip(result.data)
    assert (again.data, again.removed) == (result.data, ())


@pytest.mark.parametrize("words", ["sRGB IEC61966-2.1", "Adobe RGB (1998)", "Display P3", "U.S. Web Coated (SWOP) v2"])
def test_published_descriptions_stay(words: str) -> None:
    data = profile((b"desc", localised(words)))
    assert words.encode("utf-16-be") in icc.anonymous(data, ())


@pytest.mark.parametrize("words", ["Color LCD", "HP E243d", "Erika's Display", "LS27A70", "EPSON 12345678"])
def test_other_descriptions_go(words: str) -> None:
    data = profile((b"desc", localised(words)))
    assert words.encode("utf-16-be") not in icc.anonymous(data, ())


def test_a_published_profile_is_kept_byte_for_byte() -> None:
    data = bytearray(profile((b"desc", localised("sRGB IEC61966-2.1")), (b"cprt", text("Copyright ICC, 2015"))))
    data[4:8] = data[80:84] = b"appl"
    assert icc.anonymous(bytes(data), ()) == data


def test_the_name_of_a_profile_in_a_png_goes() -> None:
    data = encoded(gradient(), "PNG")
    for name, stays in ((b"Erika Mustermann's iMac", False), (b"Display P3", True), (b"ICC Profile", True)):
        body = name + b"\0\0" + zlib.compress(profile((b"desc", localised("Display P3"))))
        result = strip(data[:33] + made.chunk(b"iCCP", body) + data[33:])
        assert (name in result.data) == stays
        assert strip(result.data).removed == ()


def test_a_profile_without_its_checksum_is_kept_as_readers_accept_it() -> None:
    packed = zlib.compress(profile((b"desc", localised("Display P3"))))[:-4]
    data = encoded(gradient(), "PNG")
    source = data[:33] + made.chunk(b"iCCP", b"icc\0\0" + packed) + data[33:]
    result = strip(source)
    assert result.warnings == ()
    assert colours(profile_of(result.data)) == colours(profile_of(source))


@pytest.mark.parametrize("body", [b"icc\0\0" + b"no zlib data", b"icc\0\0" + zlib.compress(made.profile()[:200])])
def test_a_lost_profile_is_named_in_a_warning(body: bytes) -> None:
    data = encoded(gradient(), "PNG")
    (warning,) = strip(data[:33] + made.chunk(b"iCCP", body) + data[33:]).warnings
    assert "colour profile" in warning
