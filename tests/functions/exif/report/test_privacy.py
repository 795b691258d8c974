"""The privacy report: a fixture for each grade and subject, and none where there is nothing to say."""

from __future__ import annotations

import piexif
import pytest
from PIL import PngImagePlugin

from functions.exif.answer import document, examine
from functions.exif.edit.strip import strip
from functions.exif.report import privacy
from functions.exif.report.privacy import GRADES, RULES, SUBJECTS, report
from tests.functions.exif import made
from tests.images import encoded, gradient


def jpeg(first=None, exif=None, gps=None, **options: object) -> bytes:
    block = piexif.dump({"0th": first or {}, "Exif": exif or {}, "GPS": gps or {}})
    return encoded(gradient(), "JPEG", exif=block, **options)


POSITION = {1: b"N", 2: ((48, 1), (8, 1), (13, 1)), 3: b"E", 4: ((11, 1), (34, 1), (34, 1))}
FIXTURES = {
    ("identifies", "place"): (jpeg(gps=POSITION), "GPS:GPSLatitude"),
    ("identifies", "person"): (jpeg({0x013B: b"Erika Mustermann"}), "IFD0:Artist"),
    ("identifies", "device"): (jpeg(exif={0xA431: b"SN-0815"}), "ExifIFD:SerialNumber"),
    ("narrows", "place"): (jpeg(gps={0x1C: b"ASCII\0\0\0Musterstadt"}), "GPS:GPSAreaInformation"),
    ("narrows", "person"): (jpeg({0x8298: b"(c) Mustermann"}), "IFD0:Copyright"),
    ("narrows", "device"): (jpeg({0x0110: b"Lamp X"}), "IFD0:Model"),
    ("narrows", "time"): (jpeg(exif={0x9003: b"2024:05:03 14:12:31"}), "ExifIFD:DateTimeOriginal"),
    ("narrows", "content"): (jpeg(exif={0xA420: b"0123456789abcdef"}), "ExifIFD:ImageUniqueID"),
    ("hints", "place"): (jpeg(exif={0x9011: b"+02:00"}), "ExifIFD:OffsetTimeOriginal"),
    ("hints", "device"): (jpeg({0x0131: b"Lamp Studio 2"}), "IFD0:Software"),
    ("hints", "time"): (jpeg({0x0132: b"2024:05:03 14:12:31"}), "IFD0:ModifyDate"),
    ("hints", "content"): (jpeg({0x010E: b"Harbour at dusk"}), "IFD0:ImageDescription"),
}


@pytest.mark.parametrize(("grade", "subject"), FIXTURES)
def test_each_grade_of_each_subject(grade: str, subject: str) -> None:
    data, tag = FIXTURES[grade, subject]
    result = report(examine(data))
    assert result["grade"] == grade
    (finding,) = result["findings"]
    assert result["not_read"] == []
    assert (finding["grade"], finding["subject"]) == (grade, subject)
    assert tag in [one["tag"] for one in finding["tags"]]


def test_every_rule_has_a_fixture_of_its_grade_and_subject() -> None:
    assert {(rule.grade, rule.subject) for rule in RULES} == set(FIXTURES)
    assert {rule.grade for rule in RULES} == set(GRADES) - {"unknown", "nothing"}
    assert {rule.subject for rule in RULES} == set(SUBJECTS)


def test_the_worst_comes_first_and_is_the_grade() -> None:
    result = report(examine(made.jpeg()))
    grades = [GRADES.index(finding["grade"]) for finding in result["findings"]]
    assert grades == sorted(grades)
    assert result["grade"] == "identifies"
    assert result["sentence"].startswith("It identifies a place, a person and a device, and narrows down the time")


def test_comments_xmp_iptc_and_credentials_count() -> None:
    tags = {tag["tag"] for finding in report(examine(made.jpeg()))["findings"] for tag in finding["tags"]}
    assert {"File:Comment", "XMP-photoshop:City", "XMP-dc:Creator", "IPTC:By-line", "APP11"} <= tags


@pytest.mark.parametrize("kind", sorted(made.all_of_them()))
def test_a_clean_copy_identifies_nothing(kind: str) -> None:
    before = report(examine(made.all_of_them()[kind]))
    after = report(examine(strip(made.all_of_them()[kind]).data))
    assert before["grade"] != "nothing"
    assert after == {
        "grade": "nothing",
        "sentence": "Nothing in its metadata identifies a person, a place or a device.",
        "findings": [],
        "not_read": [],
    }


@pytest.mark.parametrize("text", [b"", b"   ", b"0000:00:00 00:00:00", b"Unknown", b"none", b"(not set)"])
def test_a_field_left_empty_tells_nothing(text: bytes) -> None:
    assert report(examine(jpeg({0x013B: text, 0x0110: text})))["grade"] == "nothing"


@pytest.mark.parametrize("name", ["BabyAge", "BabyName"])
def test_a_baby_is_a_person_and_no_place(name: str) -> None:
    first = next(rule for rule in RULES if rule.groups.match("Panasonic") and rule.names.fullmatch(name))
    assert first.subject == "person"


@pytest.mark.parametrize(
    ("packet", "grade", "subject", "tag", "value"),
    [
        (
            (
                '<mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:RegionList><rdf:Bag><rdf:li rdf:parseType="Resource">'
                "<mwg-rs:Name>Ada Byron</mwg-rs:Name><mwg-rs:Type>Face</mwg-rs:Type></rdf:li></rdf:Bag>"
                "</mwg-rs:RegionList></mwg-rs:Regions>"
            ),
            *("identifies", "person", "XMP-mwg-rs:RegionInfo", "Ada Byron"),
        ),
        (
            (
                '<MP:RegionInfo rdf:parseType="Resource"><MPRI:Regions><rdf:Bag><rdf:li>'
                '<rdf:Description MPReg:PersonDisplayName="Ada Byron"/></rdf:li></rdf:Bag></MPRI:Regions>'
                "</MP:RegionInfo>"
            ),
            *("identifies", "person", "XMP-MP:RegionInfoMP", "Ada Byron"),
        ),
        (
            "<xmpMM:History><rdf:Seq>"
            + '<rdf:li stEvt:softwareAgent="Lamp Studio 2" stEvt:action="saved"/>' * 3
            + "</rdf:Seq></xmpMM:History>",
            *("hints", "device", "XMP-xmpMM:History", "Lamp Studio 2"),
        ),
        (
            (
                '<Iptc4xmpExt:LocationShown><rdf:Bag><rdf:li Iptc4xmpExt:City="Musterstadt"/></rdf:Bag>'
                "</Iptc4xmpExt:LocationShown>"
            ),
            *("narrows", "place", "XMP-iptcExt:LocationShown", "Musterstadt"),
        ),
        (
            (
                '<acdsee-rs:Regions rdf:parseType="Resource"><acdsee-rs:RegionList><rdf:Bag>'
                '<rdf:li acdsee-rs:Name="Ada Byron"/></rdf:Bag></acdsee-rs:RegionList></acdsee-rs:Regions>'
            ),
            *("identifies", "person", "XMP-acdsee-rs:Regions", "Ada Byron"),
        ),
        (
            (
                '<mwg-kw:Keywords rdf:parseType="Resource"><mwg-kw:Hierarchy><rdf:Bag>'
                '<rdf:li mwg-kw:Keyword="harbour"/></rdf:Bag></mwg-kw:Hierarchy></mwg-kw:Keywords>'
            ),
            *("hints", "content", "XMP-mwg-kw:KeywordInfo", "harbour"),
        ),
        (
            '<xmpMM:Ingredients><rdf:Bag><rdf:li stRef:filePath="/Users/ada/x.jpg"/></rdf:Bag></xmpMM:Ingredients>',
            *("narrows", "person", "XMP-xmpMM:Ingredients", "/Users/ada/x.jpg"),
        ),
        (
            '<plus:ImageCreator><rdf:Seq><rdf:li plus:ImageCreatorName="Ada"/></rdf:Seq></plus:ImageCreator>',
            *("identifies", "person", "XMP-plus:ImageCreator", "ImageCreatorName: Ada"),
        ),
        (
            "<dc:contributor><rdf:Bag><rdf:li>Ada</rdf:li></rdf:Bag></dc:contributor>",
            *("identifies", "person", "XMP-dc:Contributor", "Ada"),
        ),
    ],
)
def test_values_inside_a_structure_count(packet: str, grade: str, subject: str, tag: str, value: str) -> None:
    head = "".join(f' xmlns:{prefix}="{namespace}"' for prefix, namespace in NAMESPACES.items())
    xmp = f"<rdf:RDF{head}><rdf:Description>{packet}</rdf:Description></rdf:RDF>"
    (finding,) = report(examine(encoded(gradient(), "PNG", pnginfo=_text("XML:com.adobe.xmp", xmp))))["findings"]
    assert (finding["grade"], finding["subject"]) == (grade, subject)
    assert finding["tags"] == [{"tag": tag, "value": value}]


NAMESPACES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "MP": "http://ns.microsoft.com/photo/1.2/",
    "MPRI": "http://ns.microsoft.com/photo/1.2/t/RegionInfo#",
    "MPReg": "http://ns.microsoft.com/photo/1.2/t/Region#",
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
    "stRef": "http://ns.adobe.com/xap/1.0/sType/ResourceRef#",
    "acdsee-rs": "http://ns.acdsee.com/regions/",
    "mwg-kw": "http://www.metadataworkinggroup.com/schemas/keywords/",
    "stEvt": "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "plus": "http://ns.useplus.org/ldf/xmp/1.0/",
    "dc": "http://purl.org/dc/elements/1.1/",
}


def _text(name: str, text: str) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_itxt(name, text)
    return info


def test_the_answer_holds_the_report() -> None:
    answer = document(examine(made.jpeg()))
    assert answer["privacy"]["grade"] == "identifies"
    assert all(len(tag["value"]) <= 120 for finding in answer["privacy"]["findings"] for tag in finding["tags"])


def test_each_rule_says_something_of_its_own() -> None:
    assert len({rule.why for rule in RULES}) == len(RULES)


def test_made_up_names_do_not_fill_memory() -> None:
    reading = examine(made.jpeg())
    for number in range(2 * privacy.MAX_NAMES):
        reading.add("XMP-x", f"SerialNumber{number}", "12", "12")
        reading.add("XMP-x", "Serial" * 50 + f"Number{number}", "12", "12")
    assert "XMP-x:Serial" in str(report(reading))
    remembered = privacy._reasons("XMP-x")
    assert len(remembered) == privacy.MAX_NAMES
    assert max(map(len, remembered)) <= privacy.MAX_REMEMBERED


def test_made_up_groups_do_not_fill_memory() -> None:
    reading = examine(made.jpeg())
    for number in range(2 * privacy.MAX_GROUPS):
        reading.add(f"XMP-{number}", "SerialNumber", "1", "1")
        reading.add(f"XMP-{'x' * privacy.MAX_REMEMBERED}{number}", "SerialNumber", "1", "1")
    before = privacy._reasons.cache_info()
    assert report(reading)["grade"] == "identifies"
    after = privacy._reasons.cache_info()
    assert after.currsize <= privacy.MAX_GROUPS
    # The long ones were not even looked for.
    short = [group for group in reading.groups if len(group) <= privacy.MAX_REMEMBERED]
    assert after.hits + after.misses - before.hits - before.misses <= len(short)


def _packet(namespaces: str, properties: str) -> bytes:
    head = "".join(f' xmlns:{one}="http://{one}"' for one in namespaces.split()) + (
        ' xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:pdf="http://ns.adobe.com/pdf/1.3/"'
        ' xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"'
    )
    xmp = f"<rdf:RDF{head}><rdf:Description>{properties}</rdf:Description></rdf:RDF>"
    return encoded(gradient(), "PNG", pnginfo=_text("XML:com.adobe.xmp", xmp))


@pytest.mark.parametrize(
    "program",
    [
        *(
            "Adobe PDF library 15.00",
            "Skia/PDF m119",
            "macOS Version 13.4 (Build 22F66) Quartz PDFContext",
            "LibreOffice 7.3",
        ),
        *("GPL Ghostscript 9.26", "pdfTeX-1.40.21", "cairo 1.16.0 (https://cairographics.org)", "Microsoft® Word 2016"),
        *("Aspose.PDF for .NET 21.2", "Acrobat Distiller 9.0.0 (Windows)", "GIMP 2.10", "Canva"),
    ],
)
def test_a_program_in_an_author_field_is_not_a_person(program: str) -> None:
    for properties in (f"<pdf:Producer>{program}</pdf:Producer>", f"<pdf:Creator>{program}</pdf:Creator>"):
        (finding,) = report(examine(_packet("", properties)))["findings"]
        assert (finding["grade"], finding["subject"]) == ("hints", "device"), properties
    listed = f"<dc:creator><rdf:Seq><rdf:li>{program}</rdf:li><rdf:li>GIMP</rdf:li></rdf:Seq></dc:creator>"
    assert report(examine(_packet("", listed)))["grade"] == "hints"
    assert report(examine(_packet("", listed.replace("GIMP", "Ada Byron"))))["grade"] == "identifies"


@pytest.mark.parametrize(
    "name", ["Ada Byron", "Apple Martin", "Will Adobe-Smith", "Page Word", "Publisher One", "Pixel"]
)
def test_a_person_with_the_name_of_a_program_is_one(name: str) -> None:
    assert report(examine(_packet("", f"<dc:creator>{name}</dc:creator>")))["grade"] == "identifies"


def test_the_producer_of_a_file_is_a_program_whatever_its_name() -> None:
    assert report(examine(_packet("", "<pdf:Producer>Lamp Studio</pdf:Producer>")))["grade"] == "hints"


@pytest.mark.parametrize(
    ("value", "grade", "subject"),
    [
        ("ask ada@example.org", "identifies", "person"),
        ("+44 20 7946 0958", "identifies", "person"),
        ("https://www.flickr.com/photos/ada/", "identifies", "person"),
        ("file:///home/ada/x.png", "narrows", "person"),
        (r"C:\Users\ada\x.png", "narrows", "person"),
        ("uuid:faf5bdd5-ba3d-11da-ad31-d33d75182f1b", "narrows", "content"),
    ],
)
def test_a_value_that_identifies_counts_in_any_tag(value: str, grade: str, subject: str) -> None:
    (finding,) = report(examine(_packet("made", f"<made:Thing>{value}</made:Thing>")))["findings"]
    assert (finding["grade"], finding["subject"]) == (grade, subject)
    in_structure = f'<made:Thing rdf:parseType="Resource"><made:Part>{value}</made:Part></made:Thing>'
    assert report(examine(_packet("made", in_structure)))["grade"] == grade
    in_list = f"<made:Thing><rdf:Bag><rdf:li>harbour</rdf:li><rdf:li>{value}</rdf:li></rdf:Bag></made:Thing>"
    assert report(examine(_packet("made", in_list)))["grade"] == grade


@pytest.mark.parametrize("value", ["+125.30", "-0.98 0.12", "3/4", "1/250", "user@", "2024-05-03T14:12:31+02:00"])
def test_a_number_is_not_an_address(value: str) -> None:
    (finding, *more) = report(examine(_packet("made", f"<made:Thing>{value}</made:Thing>")))["findings"] or [None]
    assert not more
    assert finding is None or finding["grade"] == "hints"


def test_names_that_a_program_has_prefixed_count() -> None:
    for name, grade in (("exif:Artist", "identifies"), ("xmp:CreatorTool", "hints"), ("xapMM:DocumentID", "narrows")):
        assert report(examine(encoded(gradient(), "PNG", pnginfo=_text(name, "Lamp 12"))))["grade"] == grade


def test_a_camera_is_not_its_owner() -> None:
    assert report(examine(jpeg({0x013B: b"KODAK DC240 ZOOM DIGITAL CAMERA"})))["grade"] == "nothing"


@pytest.mark.parametrize(
    ("text", "grade", "subject"),
    [
        ("48.13333, 11.56666", "identifies", "place"),
        ("48°08'00\"N 11°34'00\"E", "identifies", "place"),
        ("seen at geo:48.1,11.5", "identifies", "place"),
        ("lat=48.13333 lon=11.56666", "identifies", "place"),
        ("https://maps.example/?q=48.13333,11.56666", "identifies", "place"),
        ("camera S/N 12345678", "identifies", "device"),
        ("00:1A:2B:3C:4D:5E", "identifies", "device"),
        ("Photo by Ada Lamp", "identifies", "person"),
        ("call +49 170 1234567", "identifies", "person"),
        ("© 2024 Ada Lamp", "narrows", "person"),
        ("/home/ada/picture.jpg", "narrows", "person"),
        ("1.0478 0.0229 -0.0502", "hints", "content"),
        ("serial numbers of all lamps", "hints", "content"),
        ("made by hand, 24.5 cm", "hints", "content"),
    ],
)
def test_a_free_text_counts_by_what_it_states(text: str, grade: str, subject: str) -> None:
    comment = encoded(gradient(), "JPEG", comment=text.encode())
    for data in (comment, encoded(gradient(), "PNG", pnginfo=_text("Thing", text))):
        (finding,) = report(examine(data))["findings"]
        assert (finding["grade"], finding["subject"]) == (grade, subject)
