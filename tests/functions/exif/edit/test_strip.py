"""Clean copies of made images in every container: what goes, what stays, and what no input can do."""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
import struct
import zlib
from functools import cache

import piexif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from functions.exif.answer import examine
from functions.exif.edit import decide, verify
from functions.exif.edit import strip as stripping
from functions.exif.edit.errors import Broken, NotClean, Unsupported
from functions.exif.edit.names import KEEP
from functions.exif.edit.strip import strip
from tests.functions.exif import made
from tests.functions.exif.containers import scattered_heic
from tests.images import encoded, gradient
from tests.work import within

KINDS = sorted(made.all_of_them())


def frames(data: bytes) -> list[tuple[str, tuple[int, int], bytes]]:
    found = []
    with Image.open(io.BytesIO(data)) as image:
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            pixels = image.convert("RGBA") if image.mode == "P" else image
            found.append((image.mode, image.size, pixels.tobytes()))
    return found


def shown(data: bytes) -> bytes:
    """The first picture the way up that a viewer shows it."""
    with Image.open(io.BytesIO(data)) as image:
        return ImageOps.exif_transpose(image).convert("RGB").tobytes()


def groups(data: bytes) -> set[str]:
    return {group for group, rows in examine(data).groups.items() if rows}


@pytest.mark.parametrize("kind", KINDS)
def test_every_frame_keeps_its_pixels_and_its_way_up(kind: str) -> None:
    source = made.all_of_them()[kind]
    result = strip(source)
    assert frames(result.data) == frames(source)
    assert shown(result.data) == shown(source)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_that_identifies_is_left_in_the_bytes(kind: str) -> None:
    source = made.all_of_them()[kind]
    assert any(secret in source for secret in made.SECRETS)
    result = strip(source)
    assert [secret for secret in made.SECRETS if secret in result.data] == []
    assert result.removed


@pytest.mark.parametrize("kind", KINDS)
def test_the_reader_finds_no_metadata_in_the_copy(kind: str) -> None:
    left = groups(strip(made.all_of_them()[kind]).data)
    assert not {group for group in left if group.startswith(("GPS", "Exif", "Interop", "IPTC", "Maker"))}
    assert not {group for group in left if group.startswith("XMP")}


@pytest.mark.parametrize("kind", KINDS)
def test_the_colour_profile_stays_and_goes_as_asked(kind: str) -> None:
    source = made.all_of_them()[kind]
    with Image.open(io.BytesIO(source)) as image:
        profile = image.info.get("icc_profile")
    with Image.open(io.BytesIO(strip(source).data)) as image:
        kept = image.info.get("icc_profile")
    if profile:
        # A library's profile states when it was made: that goes, the colours stay.
        assert (kept[:24], kept[36:84], kept[100:]) == (profile[:24], profile[36:84], profile[100:])
        assert not kept[24:36].strip(b"\0")
    else:
        assert not kept
    with Image.open(io.BytesIO(strip(source, keep=()).data)) as image:
        assert not image.info.get("icc_profile")


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_pass_changes_nothing(kind: str) -> None:
    for keep in ((), ("orientation", "icc"), tuple(KEEP)):
        once = strip(made.all_of_them()[kind], keep)
        twice = strip(once.data, keep)
        assert twice.data == once.data
        assert twice.removed == ()


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_location_goes(kind: str) -> None:
    source = made.all_of_them()[kind]
    result = strip(source, remove={"gps"})
    assert frames(result.data) == frames(source)
    assert b"Hauptstrasse" not in result.data
    assert not any(name.startswith("GPS") for rows in examine(result.data).groups.values() for name in rows)
    reading = examine(source)
    if "GPS" in reading.groups:
        assert any(one.kind == "gps" for one in result.removed)
    after = examine(result.data)
    for name in ("Make", "Artist", "Copyright", "SerialNumber", "DateTimeOriginal"):
        for group in ("IFD0", "ExifIFD"):
            assert after.text(group, name) == reading.text(group, name)


@pytest.mark.parametrize(
    ("keep", "stays", "goes"),
    [
        ("copyright", b"All rights", b"Erika Mustermann"),
        ("artist", b"Erika Mustermann", b"All rights"),
        ("camera", b"Lamp Camera X", b"Erika Mustermann"),
    ],
)
@pytest.mark.parametrize("kind", ["jpeg", "webp", "avif", "tiff"])
def test_a_statement_to_keep_stays_where_it_stood(kind: str, keep: str, stays: bytes, goes: bytes) -> None:
    result = strip(made.all_of_them()[kind], {keep}).data
    assert stays in result
    assert goes not in result


def test_dates_and_exposure_can_stay() -> None:
    after = examine(strip(made.jpeg(), {"date", "exposure"}).data)
    assert after.text("ExifIFD", "DateTimeOriginal") == "2024:05:03 14:12:31"
    assert after.text("ExifIFD", "ExposureTime") == "1/200"
    assert "SerialNumber" not in after.groups["ExifIFD"]


def test_who_made_it_may_stay_without_who_owns_the_camera() -> None:
    block = piexif.dump({"0th": {0x013B: b"Erika Mustermann"}, "Exif": {0xA430: b"Lamp Rental Ltd"}})
    after = strip(encoded(gradient(), "JPEG", exif=block), {"artist"}).data
    assert examine(after).text("IFD0", "Artist") == "Erika Mustermann"
    assert b"Lamp Rental" not in after


def test_removed_parts_are_reported_by_kind_and_place() -> None:
    removed = {(one.kind, one.where) for one in strip(made.jpeg()).removed}
    assert {
        ("exif", "APP1"),
        ("xmp", "APP1"),
        ("iptc", "APP13 8BIM 0404"),
        ("comment", "COM"),
        ("thumbnail", "APP0"),
        ("app", "APP5"),
        ("trailer", "after the picture"),
    } <= removed


def test_names_in_a_kept_colour_profile_are_blanked() -> None:
    profile = bytearray(made.profile())
    at = profile.find("sRGB".encode("utf-16-be"))
    at = at if at >= 0 else profile.find(b"sRGB")
    text = "sRGB" if profile[at : at + 4] == b"sRGB" else "\0s\0R\0G\0B"
    block = made.exif().replace(b"Lamp Camera X", b"sRGB built-in")
    source = encoded(gradient(), "JPEG", exif=block, icc_profile=bytes(profile))
    with Image.open(io.BytesIO(source)) as image:
        name = re.search(rb"sRGB built-in|\0s\0R\0G\0B\0 \0b\0u\0i\0l\0t\0-\0i\0n", image.info["icc_profile"])
    assert name is not None, text
    result = strip(source)
    assert name[0] not in result.data
    assert frames(result.data) == frames(source)
    with Image.open(io.BytesIO(result.data)) as image:
        assert len(image.info["icc_profile"]) == len(profile)


@pytest.mark.parametrize("filler", [b"\xff\xff\x00", b"\xff\xff\xff\xd0", b"\xff\x00"])
def test_fill_inside_a_scan_belongs_to_the_picture(filler: bytes) -> None:
    source = encoded(gradient(), "JPEG")
    place = source.find(b"\xff\xda") + 40
    changed = source[:place] + filler + source[place:]
    assert strip(changed).data == changed
    # So does fill before the marker that ends it; fill between segments goes.
    filled = source[:-2] + b"\xff\xff" + source[-2:]
    assert strip(filled).data == filled
    assert strip(source[:2] + b"\xff\xff" + source[2:]).data == source


@pytest.mark.parametrize(
    ("said", "stays"), [(b"<d:Data>xxGPSxxCityxx</d:Data>", True), (b"<e:GPSLatitude>1</e:GPSLatitude>", False)]
)
def test_extended_xmp_goes_or_loses_its_location_alone(said: bytes, stays: bool) -> None:
    packet = b'<x xmlns:d="urn:depth" xmlns:e="http://ns.adobe.com/exif/1.0/">' + said + b"</x>"
    header = b"http://ns.adobe.com/xmp/extension/\0" + b"0123456789ABCDEF" * 2 + struct.pack(">I", len(packet))
    parts = [
        made.segment(0xE1, header + struct.pack(">I", at) + packet[at : at + 40]) for at in range(0, len(packet), 40)
    ]
    plain = encoded(gradient(), "JPEG")
    source = plain[:2] + b"".join(reversed(parts)) + plain[2:]
    assert strip(source).data == plain
    located = strip(source, remove={"gps"}).data
    if stays:
        assert located == source
        return
    assert len(located) == len(source)
    assert b"GPSLatitude" not in located
    # The digest of the packet names it in each of its parts, and in the main packet.
    changed = packet.replace(said, b" " * len(said))
    digest = hashlib.md5(changed).hexdigest().upper().encode()
    assert located.count(header[:35] + digest) == len(parts)


@pytest.mark.parametrize("type_", [3, 9])
def test_a_pointer_of_a_wrong_type_is_followed(type_: int) -> None:
    block = made.exif()
    order = "<" if block[6:8] == b"II" else ">"
    at = block.find(struct.pack(order + "HH", 0x8825, 4))
    (place,) = struct.unpack_from(order + "I", block, at + 8)
    pointer = struct.pack(order + "HHI", 0x8825, type_, 1) + struct.pack(
        order + ("HH" if type_ == 3 else "I"), place, *([0] * (type_ == 3))
    )
    source = encoded(gradient(), "JPEG", exif=block[:at] + pointer + block[at + 12 :])
    result = strip(source, remove={"gps"})
    assert struct.pack(order + "II", 137154, 9973) in source
    assert struct.pack(order + "II", 137154, 9973) not in result.data


def test_a_gif_with_junk_after_a_frame_ends_there() -> None:
    plain = encoded(gradient("P"), "GIF")
    broken = plain[:-1] + b"\x99 Erika Mustermann"
    assert strip(broken).data == plain


@pytest.mark.parametrize("big", [False, True])
def test_a_link_to_no_directory_does_not_become_one_of_zeros(big: bool) -> None:
    source = bytearray(made.tiff(big=big, pages=1))
    at, entry, width = (16, 20, "Q") if big else (8, 12, "I")
    (at,) = struct.unpack_from(f"<{width}", source, at - struct.calcsize(width))
    (count,) = struct.unpack_from("<Q" if big else "<H", source, at)
    link = at + (8 if big else 2) + count * entry
    # Behind the picture's data stands a text whose first bytes are no count of entries.
    source += b"Erika Mustermann"
    struct.pack_into(f"<{width}", source, link, len(source) - 16)
    copy = strip(bytes(source)).data
    assert b"Erika" not in copy
    assert strip(copy).data == copy
    assert frames(copy) == frames(made.tiff(big=big, pages=1))


@pytest.mark.parametrize("size", [b"\0\0\0\0", b"\0\0\0\x07", b"\x7f\xff\xff\xff"])
def test_a_picture_that_its_boxes_do_not_hold_is_not_cut_off(size: bytes) -> None:
    source = made.avif()
    at = source.index(b"mdat") - 4
    broken = source[:at] + size + source[at + 4 :]
    if size == bytes(4):  # to the end of the file
        assert frames(strip(broken).data) == frames(source)
    else:
        with pytest.raises(Broken, match="a box"):
            strip(broken)


def test_a_tiff_of_nothing_but_metadata_is_refused() -> None:
    with pytest.raises(Broken, match="without a picture"):
        strip(struct.pack("<2sHIHHHIII", b"II", 42, 8, 1, 0x10E, 2, 4, 0x64636261, 0))


def test_previews_of_an_index_go_and_frames_stay() -> None:
    source = bytearray(made.mpo())
    assert len(frames(strip(bytes(source)).data)) == 2
    base = source.find(b"MPF\0") + 4
    # The second picture's type becomes "large thumbnail, VGA" (CIPA DC-007, table 4).
    order = "<" if source[base : base + 2] == b"II" else ">"
    entries = base + source[base:].find(struct.pack(order + "HHI", 0xB002, 7, 32)) + 8
    (place,) = struct.unpack_from(order + "I", source, entries)
    struct.pack_into(order + "I", source, base + place + 16, 0x010001)
    result = strip(bytes(source))
    assert len(frames(result.data)) == 1
    assert any("further pictures" in warning for warning in result.warnings)


def test_a_raw_file_is_refused() -> None:
    dng = encoded(gradient(), "TIFF", tiffinfo={50706: b"\1\4\0\0"})
    with pytest.raises(Unsupported, match="raw"):
        strip(dng)


@pytest.mark.parametrize("data", [b"", b"hello", b"BM" + bytes(60), b"%PDF-1.7"])
def test_an_unsupported_image_is_refused(data: bytes) -> None:
    with pytest.raises(Unsupported):
        strip(data)


def test_a_result_that_still_says_something_is_never_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stripping, "container", lambda data: (lambda given, _edit: given, "image/jpeg", []))
    for kind in KINDS:
        with pytest.raises(NotClean):
            strip(made.all_of_them()[kind])
    with pytest.raises(NotClean):
        strip(made.jpeg(), remove={"gps"})


def test_a_text_left_between_the_structures_is_found() -> None:
    result = strip(made.jpeg())
    hidden = result.data.replace(b"\xff\xda", b"\xff\xe9\0\x12SN-0815-4711xxxx\xff\xda", 1)
    secrets = verify.secrets([made.exif()[6:]], (), location_only=False)
    assert b"SN-0815-4711" in secrets
    with pytest.raises(NotClean):
        verify.check(hidden, decide.Edit(), secrets)


def small() -> dict[str, bytes]:
    """The smallest of each kind, so that each of its lengths can be tried."""
    block = made.exif(thumbnail=False)
    tiny = gradient(size=(4, 3))
    return {
        "jpeg": encoded(tiny, "JPEG", exif=block, comment=b"Erika"),
        "png": encoded(tiny, "PNG", exif=block),
        "webp": encoded(tiny, "WEBP", lossless=True, exif=block, xmp=made.XMP),
        "gif": encoded(tiny.convert("P"), "GIF", comment=b"Erika"),
        "tiff": encoded(tiny, "TIFF", exif=block),
        "avif": encoded(tiny, "AVIF", exif=block),
    }


@pytest.mark.parametrize("kind", sorted(small()))
@pytest.mark.parametrize("remove", [(), ("gps",)])
def test_a_truncated_file_is_cleaned_or_refused(kind: str, remove: tuple[str, ...]) -> None:
    source = small()[kind]
    for length in range(0, len(source), 5):
        try:
            result = strip(source[:length], remove=remove)
        except (Broken, Unsupported, NotClean):
            continue
        assert strip(result.data, remove=remove).data == result.data


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_damage_is_cleaned_or_refused(data: st.DataObject) -> None:
    source = bytearray(data.draw(st.sampled_from([*small().values(), *made.all_of_them().values()])))
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(source) - 1))
        value = data.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255))
        source[at : at + data.draw(st.sampled_from([1, 2, 4]))] = bytes((value,)) * data.draw(
            st.sampled_from([1, 2, 4])
        )
    remove = data.draw(st.sampled_from([(), ("gps",)]))
    try:
        result = strip(bytes(source), remove=remove)
    except (Broken, Unsupported, NotClean):
        return
    assert len(result.data) <= len(source) + 64
    # What was cleaned once can be cleaned again, and nothing more goes.
    assert strip(result.data, remove=remove).data == result.data


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(
        [
            b"\xff\xd8\xff",
            b"\x89PNG\r\n\x1a\n",
            b"RIFF\x40\0\0\0WEBP",
            b"GIF89a",
            b"II*\0",
            b"MM\0*",
            b"II+\0\x08\0\0\0",
        ]
    ),
    st.binary(max_size=400),
)
def test_any_bytes_behind_a_signature_are_cleaned_or_refused(signature: bytes, rest: bytes) -> None:
    try:
        strip(signature + rest)
    except (Broken, Unsupported, NotClean):
        return


@cache
def crafted() -> dict[str, bytes]:
    head = struct.pack("<2sHI", b"II", 42, 8)
    loop = head + struct.pack("<H", 1) + struct.pack("<HHII", 0x8769, 4, 1, 8) + struct.pack("<I", 8)
    huge = head + struct.pack("<H", 2) + struct.pack("<HHII", 0x111, 4, 2**32 - 1, 8) * 2 + struct.pack("<I", 8)
    wide = head + struct.pack("<H", 65535) + struct.pack("<HHII", 0x10E, 2, 8, 8) * 65535
    pages = b"".join(struct.pack("<HHHIII", 1, 0x100, 3, 1, 1, 8 + 18 * (n + 1)) for n in range(500))
    shared = struct.pack("<H", 60) + struct.pack("<HHII", 0x111, 4, 200_000, 8) * 60
    return {
        "loop": loop,
        "count of 2^32": huge,
        "65535 entries": wide,
        "500 pages": head + pages,
        "overlapping arrays": head + shared + bytes(800_000),
        "fill bytes": b"\xff\xd8" + b"\xff" * 500_000,
        "fill in a scan": b"\xff\xd8\xff\xda\0\2" + b"\xff\xff\0" * 250_000,
        "segments": b"\xff\xd8" + b"\xff\xe5\0\2" * 12_000,
        "chunks": b"\x89PNG\r\n\x1a\n" + made.chunk(b"tEXt", b"") * 8_000,
        "gif blocks": b"GIF89a" + bytes(7) + b"\x21\xfe\0" * 25_000,
        "boxes": b"\0\0\0\x18ftypavif\0\0\0\0avifmif1" + b"\0\0\0\x08free" * 10_000,
        "scattered items": scattered_heic(1_000),
        "scattered items in many boxes": scattered_heic(800, 950),
        "zlib bomb": b"\x89PNG\r\n\x1a\n" + made.chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(60_000_000))),
        "xmp bomb": encoded(gradient(), "PNG", pnginfo=_doctype()),
    }


def _doctype():
    from PIL import PngImagePlugin

    text = PngImagePlugin.PngInfo()
    lol = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 9))
    text.add_itxt("XML:com.adobe.xmp", f'<!DOCTYPE x [<!ENTITY l0 "lol">{lol}]><x>&l8;</x>')
    return text


@pytest.mark.parametrize("name", sorted(crafted()))
def test_crafted_files_end_soon(name: str) -> None:
    data = crafted()[name]
    with contextlib.suppress(Broken, Unsupported, NotClean):
        within(1_500_000, lambda: strip(data))  # unbounded, each of these takes tens of millions, or all memory
