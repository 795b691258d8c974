"""XMP, IPTC and ICC on their own: odd forms of writing, and packets that are refused."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.exif.blocks import icc, iptc, namespaces, properties, rdf, xmp
from tests.functions.exif import made

RDF = (
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:%s="%s">'
    b"<rdf:Description %s>%s</rdf:Description></rdf:RDF>"
)


def read_xmp(packet: bytes) -> tuple[dict[str, Any], list[str]]:
    rows: dict[str, Any] = {}
    warnings: list[str] = []

    def put(group: str, name: str, _value: Any, printed: Any) -> None:
        rows[f"{group}:{name}"] = printed

    xmp.read(packet, put, warnings.append, lambda *_: None)
    return rows, warnings


def described(prefix: bytes, uri: bytes, attributes: bytes = b"", inner: bytes = b"") -> dict[str, Any]:
    return read_xmp(RDF % (prefix, uri, attributes, inner))[0]


IPTC_CORE, OWN = b"http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/", b"http://example.org/own/"


def test_text_that_looks_like_a_fraction_or_a_moment_stays_text_where_the_property_is_known() -> None:
    contact = (
        b'<Iptc4xmpCore:CreatorContactInfo rdf:parseType="Resource">'
        b"<Iptc4xmpCore:CiTelWork>089/1234567</Iptc4xmpCore:CiTelWork></Iptc4xmpCore:CreatorContactInfo>"
    )
    found = described(b"Iptc4xmpCore", IPTC_CORE, inner=contact)
    assert found == {"XMP-iptcCore:CreatorContactInfo": {"CiTelWork": "089/1234567"}}
    tiff = described(b"tiff", b"http://ns.adobe.com/tiff/1.0/", b'tiff:Copyright="2023/2024" tiff:XResolution="144/2"')
    assert tiff == {"XMP-tiff:Copyright": "2023/2024", "XMP-tiff:XResolution": "72"}
    dublin = described(b"dc", b"http://purl.org/dc/elements/1.1/", b'dc:source="2024-05-03T10:00:00"')
    assert dublin == {"XMP-dc:Source": "2024-05-03T10:00:00"}


def test_in_an_unknown_namespace_texts_like_numbers_and_dates_are_read_as_such() -> None:
    found = described(b"own", OWN, b'own:ratio="1/4" own:seen="2024-05-03T10:00:00" own:dateOfDay="2024-05-03"')
    assert found == {
        "XMP-own:Ratio": "0.25",
        "XMP-own:Seen": "2024:05:03 10:00:00",
        "XMP-own:DateOfDay": "2024-05-03",
    }


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (
            described(b"a", b"http://ns.adobe.com/tiff/1.0/", b'a:Orientation="6"'),
            {"XMP-tiff:Orientation": "Rotate 90 CW"},
        ),
        (
            described(
                b"xap",
                b"http://ns.adobe.com/xap/1.0/",
                b"",
                b"<xap:CreateDate>2024-05-03T14:12:31+02:00</xap:CreateDate>",
            ),
            {"XMP-xmp:CreateDate": "2024:05:03 14:12:31+02:00"},
        ),
        (
            described(b"exif", b"http://ns.adobe.com/exif/1.0/", b'exif:ExposureTime="1/200" exif:FNumber="28/10"'),
            {"XMP-exif:ExposureTime": "1/200", "XMP-exif:FNumber": "2.8"},
        ),
        (
            described(
                b"mm",
                b"http://ns.adobe.com/xap/1.0/mm/",
                b"",
                b'<mm:DerivedFrom rdf:parseType="Resource"><mm:documentID>x</mm:documentID></mm:DerivedFrom>',
            ),
            {"XMP-xmpMM:DerivedFrom": {"DocumentID": "x"}},
        ),
        (
            described(
                b"dc",
                b"http://purl.org/dc/elements/1.1/",
                b"",
                b'<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Berg</rdf:li>'
                b'<rdf:li xml:lang="en">Hill</rdf:li></rdf:Alt></dc:title>',
            ),
            {"XMP-dc:Title": "Berg", "XMP-dc:Title-en": "Hill"},
        ),
    ],
)
def test_a_property_is_read_in_each_way_of_writing_it(packet: dict[str, Any], expected: dict[str, Any]):
    assert packet == expected


@pytest.mark.parametrize(
    "packet",
    [
        b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
        b"<a>" * 100,
        b"<a>" + b"<b/>" * 30_000 + b"</a>",
        b"x" * (rdf.MAX_PACKET + 1),
    ],
    ids=["doctype", "deep", "wide", "long"],
)
def test_a_packet_with_what_no_packet_needs_is_refused(packet: bytes):
    rows, warnings = read_xmp(packet)
    assert (rows, len(warnings)) == ({}, 1)


def test_a_packet_that_breaks_off_keeps_what_came_before():
    rows, warnings = read_xmp(made.XMP[: made.XMP.index(b"<dc:rights>")])
    assert rows["XMP-dc:Creator"] == ["Erika Mustermann"]
    assert "broken" in warnings[0]


def test_coordinates_are_signed_by_their_side():
    assert properties.decimal("33,51.59S") == pytest.approx(-33.859833)
    assert properties.decimal("151.2") == 151.2
    assert properties.decimal("somewhere") is None


@pytest.mark.parametrize(
    ("prefix", "uri", "field", "text"),
    [
        (b"t", b"http://ns.adobe.com/tiff/1.0/", b"Orientation", "²"),
        (b"t", b"http://ns.adobe.com/tiff/1.0/", b"Orientation", "1" * 5000),
        (b"p", b"http://ns.adobe.com/photoshop/1.0/", b"ColorMode", "²"),
        (b"p", b"http://ns.adobe.com/photoshop/1.0/", b"ColorMode", "3" * 5000),
        (b"m", b"http://ns.adobe.com/xap/1.0/", b"Rating", "1" * 5000 + "/2"),
        (b"m", b"http://ns.adobe.com/xap/1.0/", b"Rating", "1" + "0" * 400 + "/2"),
        (b"e", b"http://ns.adobe.com/exif/1.0/", b"GPSLatitude", "1" * 400 + "N"),
    ],
)
def test_an_invalid_number_stays_text(prefix: bytes, uri: bytes, field: bytes, text: str):
    (printed,) = described(prefix, uri, b'%s:%s="%s"' % (prefix, field, text.encode())).values()
    assert text in printed


@pytest.mark.parametrize("held", [b"<rdf:Bag><rdf:li>2</rdf:li></rdf:Bag>", b"<rdf:Description e:Mode='1'/>"])
@pytest.mark.parametrize(
    "outer",
    [
        b"<e:Flash rdf:parseType='Resource'><e:Return>%s</e:Return></e:Flash>",
        b"<e:ComponentsConfiguration><rdf:Seq><rdf:li>%s</rdf:li></rdf:Seq></e:ComponentsConfiguration>",
        b"<e:YCbCrSubSampling><rdf:Seq><rdf:li>%s</rdf:li></rdf:Seq></e:YCbCrSubSampling>",
    ],
)
def test_a_list_or_structure_where_text_belongs_is_shown_as_it_is(outer: bytes, held: bytes):
    (printed,) = described(b"e", b"http://ns.adobe.com/exif/1.0/", b"", outer % held).values()
    assert printed in ({"Return": ["2"]}, {"Return": {"Mode": "1"}}, [["2"]], [{"Mode": "1"}])


def test_a_prefix_means_what_its_packet_binds_it_to():
    for uri, group in ((b"http://ns.adobe.com/tiff/1.0/", "tiff"), (b"http://ns.adobe.com/exif/1.0/", "exif")) * 2:
        assert described(b"a", uri, b'a:Software="b"') == {f"XMP-{group}:Software": "b"}


def test_made_up_names_do_not_fill_memory():
    names = [f"Z{number:05d}" for number in range(4 * namespaces.MAX_NAMES)]
    rows = described(b"q", b"urn:q", " ".join(f'q:{name}="1"' for name in names).encode())
    assert len(rows) == len(names)
    assert len(described(b"q", b"urn:q", b'q:%s="1"' % (b"y" * 10**6))) == 1
    known = namespaces.table({"q": "q"})
    assert len(known) <= namespaces.MAX_NAMES
    assert max(map(len, known)) <= namespaces.MAX_REMEMBERED
    for number in range(2 * namespaces.MAX_TABLES):
        described(b"q%d" % number, b"http://ns.adobe.com/tiff/1.0/", b'q%d:Make="1"' % number)
    assert namespaces._table.cache_info().currsize <= namespaces.MAX_TABLES


def nothing(*_: object) -> None:
    """Take warnings and rows that a test has no use for."""


def read_iptc(data: bytes) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    iptc.read(data, lambda name, _value, printed: rows.__setitem__(name, printed), nothing, nothing)
    return rows


def test_iptc_repeats_dates_and_characters():
    utf8 = b"\x1c\1\x5a\0\3\x1b%G"
    records = made.iim(
        (25, b"a"), (25, "ü".encode()), (55, b"20240503"), (60, b"141231+0200"), (10, b"5"), (0, b"\0\4")
    )
    assert read_iptc(utf8 + records) == {
        "CodedCharacterSet": "UTF8",
        "Keywords": ["a", "ü"],
        "DateCreated": "2024:05:03",
        "TimeCreated": "14:12:31+02:00",
        "Urgency": "5 (normal urgency)",
        "ApplicationRecordVersion": 4,
    }
    assert read_iptc(made.iim((90, "Köln".encode("cp1252"))))["City"] == "Köln"


def test_an_extended_dataset_has_its_length_in_bytes_of_its_own():
    assert read_iptc(struct.pack(">BBBHI", 0x1C, 2, 90, 0x8004, 4) + b"Bonn") == {"City": "Bonn"}


def test_a_profile_says_what_it_is():
    rows: dict[str, Any] = {}
    icc.read(
        made.profile(),
        "",
        lambda group, name, _v, printed: rows.__setitem__(f"{group}:{name}", printed),
        nothing,
        nothing,
    )
    assert rows["ICC-header:ColorSpaceData"] == "RGB "
    assert rows["ICC-header:ProfileClass"] == "Display Device Profile"
    assert "sRGB" in rows["ICC_Profile:ProfileDescription"]


@given(st.binary(max_size=300), st.sampled_from([b"", b"\x1c\2", b"<x:xmpmeta>", bytes(36) + b"acsp"]))
def test_any_bytes_are_survived(data: bytes, start: bytes):
    read_xmp(start + data)
    read_iptc(start + data)
    icc.read(start + data.ljust(100, b"\1"), "", nothing, nothing, nothing)
