"""The answer: a summary for people, a place, a time, and tables for scripts."""

from __future__ import annotations

import csv
import io
import json

import pytest
from flask.testing import FlaskClient
from functions_framework import create_app

from functions.exif.answer import EXIF_GROUP, document, examine, flat, selected, table
from functions.exif.blocks import iptc
from functions.exif.printing import nikon, sony, various
from functions.exif.report.summary import spoken
from tests.functions.exif import made
from tests.functions.exif.tiffs import ascii_field, directory, jpeg_of, long, rational, short, tiff
from tests.servers import ROOT
from tests.work import within


def camera_file(exif: list[tuple[int, int, int, bytes]], gps: list[tuple[int, int, int, bytes]] | None = None) -> bytes:
    """A JPEG of a Canon with these Exif and GPS tags."""
    block = bytearray(
        tiff([ascii_field(0x10F, "Canon"), ascii_field(0x110, "Canon EOS 5D"), long(0x8769, 200), long(0x8825, 800)])
    )
    block.extend(bytes(200 - len(block)))
    block += directory(exif, 200)
    block.extend(bytes(800 - len(block)))
    block += directory(gps or [], 800)
    return jpeg_of(bytes(block))


EXPOSED = [
    rational(0x829A, (1, 200)),
    rational(0x829D, (28, 10)),
    short(0x8827, 400),
    ascii_field(0x9003, "2024:05:03 14:12:31"),
    ascii_field(0x9011, "+02:00"),
    ascii_field(0x9291, "25"),
    rational(0x920A, (50, 1)),
]
PLACE = [
    ascii_field(1, "S"),
    rational(2, (33, 1), (51, 1), (3540, 100)),
    ascii_field(3, "E"),
    rational(4, (151, 1), (12, 1), (4000, 100)),
    (5, 1, 1, b"\1"),
    rational(6, (125, 10)),
    ascii_field(16, "T"),
    rational(17, (270, 1)),
]


def answer(data: bytes) -> dict[str, object]:
    return document(examine(data))


def test_the_summary_is_one_sentence():
    assert answer(camera_file(EXPOSED))["summary"] == (
        "Canon EOS 5D, 50 mm, 1/200 s, f/2.8, ISO 400, 3 May 2024 14:12 +02:00"
    )


def test_offsets_in_bytes_are_shown_as_far_into_the_file_as_they_come_to_stand():
    found = examine(jpeg_of(tiff([(0x111, 1, 2, b"\xff\xfa")])))
    assert flat(found)["IFD0:StripOffsets"] == "267 262"


def test_the_capture_time_is_resolved_from_original_fraction_and_offset():
    assert answer(camera_file(EXPOSED))["capture_time"] == {
        "iso": "2024-05-03T14:12:31.25+02:00",
        "source": "ExifIFD:DateTimeOriginal",
    }


@pytest.mark.parametrize(
    ("date", "iso"),
    [
        ("2024:02:29 24:00:00", "2024-02-29"),
        ("2024:05:03 14:12:75", "2024-05-03"),
        ("2023:02:29 10:00:00", None),
        ("2024:04:31 10:00:00", None),
        ("0000:01:01 10:00:00", None),
        ("2024:00:03 14:12:31", None),
    ],
)
def test_an_impossible_date_is_not_a_capture_time(date, iso):
    found = answer(jpeg_of(tiff([ascii_field(0x132, date)]))).get("capture_time")
    assert (found and found["iso"]) == iso


def test_the_place_is_decimal_and_in_words_and_a_link():
    place = answer(camera_file(EXPOSED, PLACE))["location"]
    assert (place["latitude"], place["longitude"], place["altitude"]) == (-33.85983333, 151.21111111, -12.5)
    assert place["dms"] == "33 deg 51' 35.40\" S, 151 deg 12' 40.00\" E"
    assert place["geo"] == "geo:-33.859833,151.21111,-12.5"
    assert (place["direction"], place["direction_reference"]) == (270, "True North")


XMP_PLACE = (
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    'xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:GPSLatitude="{},8.2260S" exif:GPSLongitude="11,34.5767E" '
    'exif:GPSAltitude="1038/2" exif:GPSAltitudeRef="0" exif:GPSImgDirection="{}" '
    'exif:GPSTimeStamp="2024-05-03T12:12:31Z"/></rdf:RDF>'
)


def with_xmp(packet: str) -> bytes:
    return jpeg_of(tiff([(0x2BC, 1, len(packet), packet.encode())]))


def test_the_place_is_read_from_xmp_where_exif_has_none():
    place = answer(with_xmp(XMP_PLACE.format("48", "270/1")))["location"]
    assert (place["latitude"], place["longitude"], place["altitude"]) == (-48.1371, 11.57627833, 519)
    assert (place["direction"], place["time"]) == (270, "2024-05-03T12:12:31Z")
    assert place["geo"] == "geo:-48.1371,11.576278,519"


def test_an_invalid_number_in_xmp_is_neither_a_place_nor_a_direction():
    assert "location" not in answer(with_xmp(XMP_PLACE.format("99", "270")))
    assert "direction" not in answer(with_xmp(XMP_PLACE.format("48", "1e999")))["location"]


@pytest.mark.parametrize(
    "gps",
    [
        [],
        PLACE[:2],
        [ascii_field(1, "N"), rational(2, (0, 0), (0, 0), (0, 0)), *PLACE[2:4]],
        [rational(2, (91, 1)), *PLACE[2:4]],
    ],
)
def test_an_incomplete_place_is_not_a_place(gps: list[tuple[int, int, int, bytes]]):
    assert "location" not in answer(camera_file(EXPOSED, gps))


def test_a_readable_image_without_metadata_is_answered_kindly():
    found = answer(jpeg_of(tiff([])))
    assert found["summary"] == "JPEG, no camera metadata"
    assert set(found["groups"]) == {"File"}


def test_raw_values_stand_beside_printed_ones():
    tags = answer(camera_file(EXPOSED))["groups"]["ExifIFD"]
    assert tags["ExposureTime"] == {"tag": "0x829A", "type": "rational", "raw": (1, 200), "value": "1/200"}
    assert tags["ISO"] == {"tag": "0x8827", "type": "short", "raw": 400, "value": 400}


def test_numbers_that_json_has_no_form_for_are_null():
    data = camera_file([(0x9999, 12, 2, b"\0\0\0\0\0\0\xf8\x7f" + b"\0\0\0\0\0\0\xf0\x7f"), rational(0x9206, (1, 0))])
    text = json.dumps(answer(data), allow_nan=False)
    assert json.loads(text)["groups"]["ExifIFD"]["Exif_0x9999"]["raw"] == [None, None]


def test_groups_are_asked_for_by_name_or_by_family():
    reading = examine(made.jpeg())
    everything = set(selected(reading))
    exif = {"IFD0", "ExifIFD", "GPS", "IFD1"} & everything
    assert set(selected(reading, groups=["Exif"])) == exif
    assert set(selected(reading, groups=["GPS", "xmp"])) == {"GPS"} | {each for each in everything if "XMP-" in each}
    assert set(selected(reading, groups=["ICC_Profile"])) == {each for each in everything if each.startswith("ICC")}
    assert set(selected(reading, groups=["XMP-dc"])) == {"XMP-dc"}
    assert not selected(reading, groups=["nothing"])


def test_the_flat_table_is_exiftools():
    assert flat(examine(camera_file(EXPOSED)), groups=["exififd"]) == {
        "ExifIFD:ExposureTime": "1/200",
        "ExifIFD:FNumber": 2.8,
        "ExifIFD:ISO": 400,
        "ExifIFD:DateTimeOriginal": "2024:05:03 14:12:31",
        "ExifIFD:OffsetTimeOriginal": "+02:00",
        "ExifIFD:SubSecTimeOriginal": 25,
        "ExifIFD:FocalLength": "50.0 mm",
    }
    assert flat(examine(camera_file(EXPOSED)), tags=["exposuretime"], raw=True) == {"ExifIFD:ExposureTime": 0.005}


def test_exif_alone_is_the_same_exif():
    whole, alone = examine(made.jpeg()), examine(made.jpeg(), exif_only=True)
    assert alone.groups
    assert all(alone.groups[group] == whole.groups[group] for group in alone.groups)


def test_csv_quotes_what_needs_it():
    rows = list(csv.reader(io.StringIO(table(examine(jpeg_of(tiff([ascii_field(0x10E, 'a "b", c\nd')])))))))
    assert rows[:2] == [["group", "tag", "value"], ["IFD0", "ImageDescription", 'a "b", c\nd']]


def test_csv_is_inert():
    formula = tiff([ascii_field(0x10E, "=1+1"), ascii_field(0x10F, "-5"), ascii_field(0x110, "@A1")])
    rows = dict(row[1:] for row in csv.reader(io.StringIO(table(examine(jpeg_of(formula))))))
    assert (rows["ImageDescription"], rows["Make"], rows["Model"]) == ("'=1+1", "-5", "'@A1")


def test_xmp_iptc_and_icc_are_groups():
    groups = answer(made.jpeg())["groups"]
    assert groups["XMP-dc"]["Creator"]["value"] == ["Erika Mustermann"]
    assert groups["XMP-exif"]["GPSLatitude"]["value"] == "48 deg 8' 13.20\" N"
    assert groups["IPTC"]["City"]["value"] == "Hauptstrasse 1, Musterstadt"
    assert groups["ICC-header"]["ColorSpaceData"]["value"] == "RGB "


def test_dates_are_described_in_words():
    assert spoken("2024-12-24T18:30:00Z") == "24 December 2024 18:30 UTC"
    assert spoken("2024-12-24") == "24 December 2024"


def test_makers_words_for_lenses():
    assert nikon.lens_type(0x0E) == "G VR"
    spec = sony.lens_spec(bytes.fromhex("0200240070282808").decode("latin-1"))
    assert spec == "02 24 70 2.8 2.8 08"
    assert sony.lens_name(spec) == "FE 24-70mm F2.8 G"
    assert various.fuji_serial("FFDT22794526     593332303134151113535030217060").endswith("2015:11:13 535030217060")


@pytest.fixture
def client() -> FlaskClient:
    return create_app("exif", str(ROOT / "functions/exif/main.py"), "http").test_client()


def test_the_route_answers_in_every_form(client: FlaskClient):
    data = made.jpeg()
    assert client.post("/", data=data).json["groups"]["IFD0"]["Artist"]["value"] == "Erika Mustermann"
    assert client.post("/exif?flat=1", data=data).json["IFD0:Artist"] == "Erika Mustermann"
    assert client.post("/?tags=Artist&groups=IFD0", data=data).json["groups"].keys() == {"IFD0"}
    assert client.post("/?format=csv", data=data).mimetype == "text/csv"
    assert client.post("/?thumbnail=1", data=data).data.startswith(b"\xff\xd8")
    assert client.post("/?thumbnail=inline", data=data).json["thumbnail"]["data"].startswith("data:image/jpeg;base64,")


def test_several_files_are_one_csv_with_their_names_in_front(client: FlaskClient):
    files = [(io.BytesIO(made.jpeg()), "a.jpg"), (io.BytesIO(b"no image"), "b.jpg"), (io.BytesIO(made.jpeg()), "c.jpg")]
    answer = client.post("/?format=csv&groups=IFD0&tags=Artist", data={"file": files})
    assert answer.mimetype == "text/csv"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["file"], row["group"], row["tag"]) for row in rows] == [
        ("a.jpg", "IFD0", "Artist"),
        ("b.jpg", "", "Error"),
        ("c.jpg", "IFD0", "Artist"),
    ]
    assert [row["value"] for row in rows] == [
        "Erika Mustermann",
        "unrecognised image format",
        "Erika Mustermann",
    ]


def test_one_thumbnail_of_several_files_is_refused(client: FlaskClient):
    files = [(io.BytesIO(made.jpeg()), "a.jpg"), (io.BytesIO(made.jpeg()), "b.jpg")]
    answer = client.post("/?thumbnail=1", data={"file": files})
    assert answer.status_code == 400
    assert "2 files" in answer.json["detail"]


def test_a_thumbnail_that_is_not_there_is_422(client: FlaskClient):
    answer = client.post("/?thumbnail=1", data=jpeg_of(tiff([short(0x112, 1)])))
    assert (answer.status_code, answer.json["type"].rpartition("/")[2]) == (422, "no-thumbnail")


def test_several_files_are_answered_each(client: FlaskClient):
    files = {"one": (io.BytesIO(made.jpeg()), "a.jpg"), "two": (io.BytesIO(b"no image"), "b.txt")}
    results = client.post("/", data=files, content_type="multipart/form-data").json["results"]
    assert results[0]["name"] == "a.jpg"
    assert results[1]["problem"]["status"] == 422


def test_pixelscans_form_field_is_image(client: FlaskClient):
    files = {"image": (io.BytesIO(made.jpeg()), "a.jpg")}
    assert client.post("/", data=files, content_type="multipart/form-data").json["camera"]["make"] == "Lamp Camera X"


@pytest.mark.parametrize("text", ["²", "1" * 5000, "٣"], ids=["superscript", "5,000 digits", "other digits"])
def test_a_text_where_a_label_is_expected_is_shown_as_unknown(text: str):
    data = camera_file([], [(1, 2, len(text.encode()), text.encode())])
    assert flat(examine(data))["GPS:GPSLatitudeRef"] == f"Unknown ({text})"


def test_what_a_reader_overlooks_costs_its_part_and_not_the_file(monkeypatch: pytest.MonkeyPatch):
    def overlooked(*_: object) -> None:
        raise ValueError("nobody foresaw this")

    monkeypatch.setattr(iptc, "read", overlooked)
    reading = examine(made.jpeg())
    assert "APP13 8BIM 0404 is broken beyond reading: ValueError" in reading.warnings
    assert document(reading)["groups"]["IFD0"]
    assert not any(group.startswith("IPTC") for group in reading.groups)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("*serial*", {"ExifIFD:SerialNumber"}),
        ("GPS:*Ref", {"GPS:GPSLatitudeRef", "GPS:GPSLongitudeRef"}),
        ("exif:Make,IPTC:City", {"IFD0:Make", "IPTC:City"}),
        ("xmp:c*or", {"XMP-dc:Creator"}),
        ("Mo*,File:MIME*,Composite:Mega*", {"IFD0:Model", "File:MIMEType", "Composite:Megapixels"}),
        ("Nothing:*", set()),
        ("a*b*c", set()),
    ],
)
def test_tags_are_chosen_by_patterns(tags: str, expected: set[str]):
    reading = examine(made.jpeg())
    chosen = selected(reading, tags.split(","))
    assert {f"{group}:{row[0]}" for group, rows in chosen.items() for row in rows} == expected


def test_a_pattern_of_many_stars_takes_one_pass():
    reading = examine(made.jpeg())
    reading.add("XMP-x", "a" * 60_000, "1", "1")
    within(2_000_000, lambda: selected(reading, ["*a" * 500 + "b"]))


@pytest.mark.parametrize("kind", sorted(made.all_of_them()))
def test_a_table_has_the_same_rows_when_only_rows_are_read(kind: str):
    data = made.all_of_them()[kind]
    whole, rows = examine(data), examine(data, rows_only=True)
    assert flat(rows) == flat(whole)
    assert flat(rows, raw=True) == flat(whole, raw=True)
    assert not rows.embedded
    only = {group: tags for group, tags in examine(data, exif_only=True).groups.items() if EXIF_GROUP.fullmatch(group)}
    assert only == {group: tags for group, tags in whole.groups.items() if EXIF_GROUP.fullmatch(group)}
