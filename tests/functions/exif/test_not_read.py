"""The privacy report on metadata in odd places, on parts that were not read, and on values that mean nothing."""

from __future__ import annotations

from typing import Any

import pytest

from functions.exif.answer import document, examine, flat
from functions.exif.report.privacy import report
from functions.exif.scan.files import identify
from tests.functions.exif import cases
from tests.functions.exif.test_schemas import check


def answer(data: bytes) -> dict[str, Any]:
    reading = examine(data)
    assert reading is not None
    return document(reading)


@pytest.mark.parametrize("name", cases.GRADED)
def test_a_file_has_the_grade_of_its_worst_part(name: str) -> None:
    grade, subject, build = cases.GRADED[name]
    result = answer(build())
    privacy = result["privacy"]
    assert privacy["grade"] == grade, privacy
    assert (grade == "unknown") <= bool(privacy["not_read"])
    assert [finding["subject"] for finding in privacy["findings"][:1]] == ([subject] if subject else [])
    check("Metadata", result)


@pytest.mark.parametrize("name", [name for name, (grade, _, _) in cases.GRADED.items() if grade == "unknown"])
def test_what_was_not_read_is_named_with_its_place_and_size(name: str) -> None:
    data = cases.GRADED[name][2]()
    parts = report(examine(data))["not_read"]
    for part in parts:
        assert part["kind"]
        assert part["place"]
        assert 0 < part["bytes"] <= len(data)
        assert part.get("offset", 0) + part["bytes"] <= len(data)
    if b"Ada Byron" in data and all("offset" in part for part in parts):
        at = data.index(b"Ada Byron")
        assert any(part.get("offset", 0) <= at < part.get("offset", 0) + part["bytes"] for part in parts), parts


def test_broken_xmp_is_read_as_far_as_it_can_be_and_named() -> None:
    for name in ("a bare ampersand", "an unknown entity", "a control character", "a DOCTYPE"):
        result = answer(cases.GRADED[name][2]())
        assert "Byron" in str(result["groups"]["XMP-dc"]["Creator"]["value"])
        assert [part["kind"] for part in result["privacy"]["not_read"]] == ["xmp"]
        assert len(result["warnings"]) == 1


def test_an_unreadable_maker_note_counts_as_not_read() -> None:
    parts = report(examine(cases.GRADED["an unreadable maker note"][2]()))["not_read"]
    assert [part["kind"] for part in parts] == ["maker note"]


@pytest.mark.parametrize("name", ["a motion photo", "a video as iPhones write it", "Samsung's motion photo"])
def test_a_video_is_embedded_with_its_own_place(name: str) -> None:
    (video,) = answer(cases.GRADED[name][2]())["embedded"]
    assert video["kind"] == "video"
    assert (video["location"]["latitude"], video["location"]["longitude"]) == (48.137, 11.575)


def test_a_second_picture_is_embedded_with_its_own_tags() -> None:
    result = answer(cases.GRADED["a second JPEG behind the end"][2]())
    (second,) = result["embedded"]
    assert (second["kind"], second["width"], second["offset"]) == ("picture", 16, len(cases.picture()))
    assert second["location"]["dms"] == "48 deg 8' 13.00\" N, 11 deg 34' 30.00\" E"
    assert "location" not in result


def test_a_position_without_sides_is_ambiguous() -> None:
    place = answer(cases.GRADED["a position without sides"][2]())["location"]
    assert place["ambiguous"] == {"latitude": 48.13694444, "longitude": 11.575}
    assert not {"latitude", "longitude", "geo", "map"} & set(place)
    assert " N" not in place["dms"]


def test_xmp_without_sides_is_ambiguous_too() -> None:
    packet = cases.xmp("", ' exif:GPSLatitude="48.1" exif:GPSLongitude="11.5"')
    assert "ambiguous" in answer(cases.jpeg(cases.xmp_segment(packet)))["location"]
    packet = cases.xmp("", ' exif:GPSLatitude="48,6.0N" exif:GPSLongitude="11,30.0W"')
    place = answer(cases.jpeg(cases.xmp_segment(packet)))["location"]
    assert (place["latitude"], place["longitude"]) == (48.1, -11.5)


@pytest.mark.parametrize("name", ["no position", "a receiver without a fix", "a void position"])
def test_a_missing_position_is_not_a_location(name: str) -> None:
    assert "location" not in answer(cases.GRADED[name][2]())


def test_a_finding_names_each_value_once() -> None:
    items = "".join('<rdf:li stEvt:softwareAgent="Studio 2"/>' for _ in range(30))
    packet = cases.xmp(
        f'<xmpMM:History xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/" xmlns:stEvt="http://ns.adobe.com/xap/1.0/sType/'
        f'ResourceEvent#"><rdf:Seq>{items}</rdf:Seq></xmpMM:History>'
    )
    (finding,) = report(examine(cases.jpeg(cases.xmp_segment(packet))))["findings"]
    assert [tag["value"] for tag in finding["tags"]] == ["Studio 2"]


def test_many_values_of_one_finding_are_counted() -> None:
    items = "".join(f"<rdf:li>Person {number}</rdf:li>" for number in range(30))
    packet = cases.xmp(f"<Iptc4xmpExt:PersonInImage><rdf:Bag>{items}</rdf:Bag></Iptc4xmpExt:PersonInImage>")
    keywords = "".join(f' own:thing{number}GUID="{number}-4b2"' for number in range(30))
    data = cases.jpeg(cases.xmp_segment(packet), cases.xmp_segment(cases.xmp("", keywords)))
    found = {finding["subject"]: finding for finding in report(examine(data))["findings"]}
    assert (len(found["content"]["tags"]), found["content"]["more"]) == (12, 18)


@pytest.mark.parametrize(
    ("build", "name"), [(cases.crw, "CRW"), (cases.eps, None), (cases.x3f, "X3F")], ids=["CRW", "EPS", "X3F"]
)
def test_a_file_that_holds_a_jpeg_is_not_a_jpeg(build: Any, name: str | None) -> None:
    reading = examine(build())
    assert (reading and reading.scan.format) == name
    assert reading is None or (report(reading)["not_read"] and report(reading)["grade"] != "nothing")


def test_a_video_with_a_cover_is_not_a_jpeg() -> None:
    assert identify(cases.box(b"ftyp", b"M4A \0\0\0\0isom") + b"\x80" * 80 + cases.picture()) == ""


def test_a_heic_is_read_by_its_primary_picture() -> None:
    result = answer(cases.two_exif_heic())
    assert result["groups"]["IFD0"]["Make"]["value"] == "Left camera"
    (other,) = result["embedded"]
    assert other["place"] == "item 4 (picture 1)"
    assert other["groups"]["IFD0"]["Make"]["value"] == "Right camera"
    assert (result["width"], result["height"]) == (64, 48)
    assert result["displayed"] == {"width": 48, "height": 64}
    assert result["groups"]["QuickTime"]["Rotation"]["value"] == "Rotate 270 CW"
    assert result["groups"]["QuickTime"]["Mirroring"]["value"] == "Horizontal"


def test_a_small_avif_is_read() -> None:
    result = answer(cases.mini_avif())
    assert (result["format"], result["width"], result["height"]) == ("AVIF", 9, 5)
    assert result["displayed"] == {"width": 5, "height": 9}
    assert result["groups"]["IFD0"]["Artist"]["value"] == "Ada Byron"
    assert result["groups"]["XMP-photoshop"]["City"]["value"] == "Munich"
    assert result["privacy"]["not_read"] == []


@pytest.mark.parametrize(
    "text",
    ["2024:02:30 10:00:00", "2023:02:29 10:00:00", "2024:13:03 10:00:00", "0000:00:00 00:00:00"],
)
def test_a_date_outside_the_calendar_is_not_a_capture_time(text: str) -> None:
    result = answer(cases.jpeg(cases.exif_segment(cases.tiff([cases.ascii_field(0x132, text)]))))
    assert "capture_time" not in result
    assert result["groups"]["IFD0"]["ModifyDate"]["value"] == text


def test_an_offset_that_no_clock_has_is_left_out() -> None:
    exif = cases.directory([cases.ascii_field(0x9003, "2024:05:03 10:00:00"), cases.ascii_field(0x9011, "+47:00")], 26)
    head = cases.directory([(0x8769, 4, 1, (26).to_bytes(4, "little"))], 8)
    result = answer(cases.jpeg(cases.exif_segment(b"II*\0\x08\0\0\0" + head + exif)))
    assert result["capture_time"]["iso"] == "2024-05-03T10:00:00"


def test_text_of_an_unknown_tag_in_a_second_picture_counts() -> None:
    inner = cases.jpeg(cases.exif_segment(cases.tiff([cases.ascii_field(0xBEEF, "Ada Byron")])))
    assert report(examine(cases.jpeg(behind=inner)))["grade"] == "hints"


def test_a_number_that_no_float_holds_stays_text() -> None:
    data = cases.jpeg(cases.exif_segment(cases.tiff([cases.ascii_field(0x10F, "1e999")])))
    assert flat(examine(data))["IFD0:Make"] == "1e999"


NAME = b"Erika Mustermann"


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2, "big") + body


@pytest.mark.parametrize(
    "build",
    [
        # A Huffman table has each symbol once; it is defined again by the picture's own.
        lambda: cases.jpeg(segment(0xC4, b"\0" + bytes(15) + bytes((len(NAME),)) + NAME)),
        # A scan's header of more components than it has room for.
        lambda: cases.jpeg(segment(0xDA, b"\x99" + NAME)),
        # A number in image resources that is longer than a number.
        lambda: cases.jpeg(
            segment(0xED, b"Photoshop 3.0\x008BIM\x04\0\0\0" + (len(NAME) + 8).to_bytes(4, "big") + NAME + bytes(8))
        ),
        # A box of pixels that runs over the end of the file.
        lambda: cases.jxl()[:32] + b"\0\0\x10\0jxlc\xff\x0a" + bytes(20) + NAME,
    ],
    ids=["Huffman table", "scan header", "image resource", "box"],
)
def test_a_name_where_no_reader_looks_is_never_graded_nothing(build: Any) -> None:
    data = build()
    assert NAME in data
    assert report(examine(data))["grade"] == "unknown"
