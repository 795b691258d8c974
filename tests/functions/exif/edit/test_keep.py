"""`keep=` of gain maps, panoramas and resolution."""

from __future__ import annotations

import io
import json
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import piexif
import pytest
from PIL import Image

from functions.exif.answer import examine
from functions.exif.edit.blocks import xmp
from functions.exif.edit.strip import strip
from tests.functions.exif import cases, made
from tests.images import encoded, gradient

HEADER = b"http://ns.adobe.com/xap/1.0/\0"
RDF = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
END = b"</rdf:RDF></x:xmpmeta>"
ISO = made.segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0" + bytes(4))


def with_xmp(picture: bytes, packet: bytes, more: bytes = b"") -> bytes:
    return picture[:2] + made.segment(0xE1, HEADER + packet) + more + picture[2:]


def gain_map() -> bytes:
    packet = (
        RDF + b'<rdf:Description rdf:about="" xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"'
        b' xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:CreatorTool="SN-0815-4711" hdrgm:HDRCapacityMax="2.3">'
        b"<hdrgm:GainMapMax><rdf:Seq><rdf:li>2.1</rdf:li><rdf:li>2.2</rdf:li><rdf:li>2.3</rdf:li></rdf:Seq>"
        b"</hdrgm:GainMapMax></rdf:Description>" + END
    )
    return with_xmp(encoded(gradient("L", size=(16, 12)), "JPEG"), packet, ISO)


def ultra_hdr() -> bytes:
    """A picture and its gain map, found by the index of pictures and by the list in XMP."""
    second = gain_map()
    packet = (
        RDF + b'<rdf:Description rdf:about="" xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"'
        b' xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:CreatorTool="SN-0815-4711"'
        b' xmlns:Container="http://ns.google.com/photos/1.0/container/"'
        b' xmlns:Item="http://ns.google.com/photos/1.0/container/item/"><Container:Directory><rdf:Seq>'
        b'<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="Primary" Item:Mime="image/jpeg"/></rdf:li>'
        b'<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="GainMap" Item:Mime="image/jpeg"'
        b' Item:Length="%d"/></rdf:li></rdf:Seq></Container:Directory></rdf:Description>' % len(second) + END
    )
    first = with_xmp(encoded(gradient(), "JPEG", exif=made.exif()), packet, ISO)

    def index(size: int, offset: int) -> bytes:
        entries = struct.pack("<IIIHHIIIHH", 0x030000, size, 0, 0, 0, 0, len(second), offset, 0, 0)
        fields = struct.pack("<HHI4sHHIIHHII", 0xB000, 7, 4, b"0100", 0xB001, 4, 1, 2, 0xB002, 7, 32, 50)
        return made.segment(0xE2, b"MPF\0II*\0\x08\0\0\0" + struct.pack("<H", 3) + fields + bytes(4) + entries)

    size = len(first) + len(index(0, 0))
    return first[:2] + index(size, size - 10) + first[2:] + second


def test_a_gain_map_stays_with_its_parameters_and_places(program: Callable[[str], str], tmp_path: Path) -> None:
    source = ultra_hdr()
    result = strip(source, {"gainmap", "icc"})
    assert (result.warnings, b"SN-0815" in result.data) == ((), False)
    path = tmp_path / "copy.jpg"
    path.write_bytes(result.data)
    command = [program("exiftool"), "-j", "-n", "-G1", "-struct", "-ee", path]
    (found,) = json.loads(subprocess.run(command, capture_output=True, text=True).stdout)
    # Versions of ExifTool name the group and the tag otherwise.
    primary, listed = next(value for key, value in found.items() if key.endswith("Directory") and "Container" in key)
    assert (primary["Item"]["Semantic"], listed["Item"]["Semantic"]) == ("Primary", "GainMap")
    second = result.data[-listed["Item"]["Length"] :]
    assert found["MPImage2:MPImageLength"] == len(second)
    assert result.data[found["MPImage2:MPImageStart"] :] == second
    with Image.open(io.BytesIO(second)) as image, Image.open(io.BytesIO(gain_map())) as before:
        assert image.tobytes() == before.tobytes()
    assert b"<hdrgm:GainMapMax><rdf:Seq><rdf:li>2.1</rdf:li>" in second
    assert (b"HDRCapacityMax" in second, result.data.count(b"urn:iso:std:iso:ts:21496:-1")) == (True, 2)
    again = strip(result.data, {"gainmap", "icc"})
    assert (again.data, again.removed) == (result.data, ())


def test_a_gain_map_goes_by_default_and_the_copy_announces_none() -> None:
    result = strip(ultra_hdr())
    assert not any(mark in result.data for mark in (b"hdrgm", b"GainMap", b"MPF\0", b"21496"))
    assert "gain" in result.warnings[0]


def test_the_projection_of_a_panorama_stays_without_its_times_and_heading() -> None:
    packet = (
        RDF + b'<rdf:Description rdf:about="" xmlns:GPano="http://ns.google.com/photos/1.0/panorama/"'
        b' GPano:ProjectionType="equirectangular" GPano:FullPanoWidthPixels="4000" GPano:PoseHeadingDegrees="122.0"'
        b' GPano:FirstPhotoDate="2024-05-03T12:12:31Z"/>' + END
    )
    result = strip(with_xmp(encoded(gradient(), "JPEG"), packet), {"panorama"}).data
    assert examine(result).text("XMP-GPano", "ProjectionType") == "equirectangular"
    assert (b"FullPanoWidthPixels" in result, b"122.0" in result, b"2024" in result) == (True, False, False)
    assert b"GPano" not in strip(with_xmp(encoded(gradient(), "JPEG"), packet)).data


def test_the_resolution_stays_by_default() -> None:
    block = piexif.dump({"0th": {0x011A: (300, 1), 0x011B: (300, 1), 0x0128: 2, 0x013B: b"Erika Mustermann"}})
    kept = strip(encoded(gradient(), "JPEG", exif=block)).data
    assert examine(kept).text("IFD0", "XResolution") == "300"
    assert b"Mustermann" not in kept
    assert "IFD0" not in examine(strip(encoded(gradient(), "JPEG", exif=block), ()).data).groups


MARKED = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    b'hdrgm:Version="1.0" hdrgm:GainMapMax="6.6 &quot;"/></rdf:RDF></x:xmpmeta>'
)


def test_parameters_of_a_gain_map_stay_where_their_packet_is_short() -> None:
    kept = xmp.minimal(MARKED, {"gainmap"})
    assert kept is not None
    assert b'hdrgm:Version="1.0" hdrgm:GainMapMax="6.6 &quot;"' in kept
    assert xmp.minimal(kept, {"gainmap"}) == kept


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b" \n", b"Erika Mustermann"])
def test_bytes_before_a_kept_packet_are_removed(before: bytes) -> None:
    packet = cases.xmp("<dc:rights><rdf:Alt><rdf:li>All rights</rdf:li></rdf:Alt></dc:rights>")
    copy = strip(cases.jpeg(made.segment(0xE1, HEADER + before + packet)), {"copyright"}).data
    assert b"\0<x:xmpmeta" in copy
    assert b"All rights" in copy
    assert strip(copy, {"copyright"}).data == copy


@pytest.mark.parametrize(
    ("said", "stays"),
    [
        ('tiff:Orientation="6"', True),
        ("tiff:Orientation='1'", False),
        ('tiff:Orientation = "&#54;"', True),
        ('tiff:Orientation="&#x36;"', True),
        ('tiff:Orientation=" 1"', False),
        ('xmp:Rating="5"', False),
    ],
)
def test_a_packet_is_written_again_only_for_a_picture_that_is_turned(said: str, stays: bool) -> None:
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
        f'xmlns:xmp="http://ns.adobe.com/xap/1.0/" {said}/></rdf:RDF></x:xmpmeta>'
    )
    kept = xmp.minimal(packet.encode(), {"orientation"})
    assert (kept is not None and b'tiff:Orientation="6"' in kept) is stays
    for text, turned in (("<!--1-->6", True), (" 8 ", True), ("1", False)):
        element = f"><tiff:Orientation>{text}</tiff:Orientation><tiff:Width>6</tiff:Width></rdf:Description>"
        assert (xmp.minimal(packet.replace(said + "/>", element).encode(), {"orientation"}) is not None) is turned
