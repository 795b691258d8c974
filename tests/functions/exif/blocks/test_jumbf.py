"""Content credentials: boxes, CBOR, rows, and what the answer states of them."""

from __future__ import annotations

from typing import Any

import pytest

from functions.exif.answer import document, examine, flat
from functions.exif.blocks import cbor
from tests.functions.exif.credentials import SIGNED, box, jpeg, manifest, superbox


def test_rows_are_named_as_by_exiftool():
    reading = examine(jpeg(SIGNED))
    assert reading is not None
    rows = flat(reading)
    assert rows["JUMBF:JUMDType"] == "(c2pa)-0011-0010-800000aa00389b71"
    assert rows["JUMBF:JUMDLabel"] == "c2pa"
    assert rows["CBOR:Claim_generator"] == "lamp/1.0"
    assert rows["CBOR:Title"] == "raw.dng"  # the first in the file
    assert rows["CBOR:Actions"][1]["softwareAgent"] == {"name": "Crop", "version": "2b"}
    assert rows["JSON:Context"] == "https://schema.org"
    assert rows["JSON:Author"] == {"@type": "Person", "name": "Ana Ruiz"}
    assert rows["CBOR:Item0"] == "(Binary data 3 bytes, use -b option to extract)"
    assert not reading.scan.unread


def test_the_answer_states_the_active_manifest_and_that_nothing_was_verified():
    reading = examine(jpeg(SIGNED))
    assert reading is not None
    assert document(reading)["content_credentials"] == {
        "manifests": 1,
        "label": "urn:uuid:1",
        "claim_generator": "lamp/1.0",
        "title": "a.jpg",
        "format": "image/jpeg",
        "assertions": ["c2pa.actions", "stds.schema-org.CreativeWork", "c2pa.ingredient"],
        "actions": [
            {"action": "c2pa.created", "source": "digitalCapture"},
            {"action": "c2pa.cropped", "when": "2024-05-03T14:12:00Z", "software": "Crop 2b"},
        ],
        "ingredients": [{"title": "raw.dng", "relationship": "parentOf"}],
        "authors": ["Ana Ruiz"],
        "signature": "present",
        "trust": "not checked",
    }


def test_a_manifest_without_a_signature_says_so():
    reading = examine(jpeg(manifest(claim={"claim_generator": "x"}, signed=False)))
    assert reading is not None
    assert document(reading)["content_credentials"]["signature"] == "absent"


def test_an_author_in_content_credentials_is_a_person_by_name():
    reading = examine(jpeg(SIGNED))
    assert reading is not None
    findings = document(reading)["privacy"]["findings"]
    named = [
        tag["tag"]
        for one in findings
        if (one["grade"], one["subject"]) == ("identifies", "person")
        for tag in one["tags"]
    ]
    assert "JSON:Author" in named


@pytest.mark.parametrize(
    "broken",
    [
        SIGNED[:-20],
        SIGNED[:200],
        superbox(b"cbor", "x", box(b"cbor", b"\x9f" * 3000)),
        superbox(b"cbor", "x", box(b"cbor", b"\x9b" + b"\xff" * 8)),
        superbox(b"cbor", "x", box(b"cbor", b"\x5b" + b"\xff" * 8)),
        superbox(b"json", "x", box(b"json", b"[" * 9000)),
        box(b"jumb", b"\0\0\0\1jumb" * 40),
    ],
)
def test_broken_boxes_are_named_as_not_read(broken: bytes):
    reading = examine(jpeg(broken))
    assert reading is not None
    assert reading.scan.unread
    document(reading)


# Appendix A of RFC 8949.
@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("1864", 100),
        ("1bffffffffffffffff", 18446744073709551615),
        ("c249010000000000000000", 18446744073709551616),
        ("3903e7", -1000),
        ("f93c00", 1.0),
        ("fb3ff199999999999a", 1.1),
        ("f5", True),
        ("4401020304", b"\1\2\3\4"),
        ("62c3bc", "\u00fc"),
        ("83010203", [1, 2, 3]),
        ("a26161016162820203", {"a": 1, "b": [2, 3]}),
        ("5f42010243030405ff", b"\1\2\3\4\5"),
        ("9f018202039f0405ffff", [1, [2, 3], [4, 5]]),
        ("bf6346756ef563416d7421ff", {"Fun": True, "Amt": -2}),
        ("c074323031332d30332d32315432303a30343a30305a", "2013-03-21T20:04:00Z"),
    ],
)
def test_cbor(data: str, value: Any):
    assert cbor.decode(bytes.fromhex(data)) == [value]


@pytest.mark.parametrize("data", ["18", "62c3", "ff", "9f01", "1c", "5f01", "d9"])
def test_broken_cbor_is_an_error(data: str):
    with pytest.raises(cbor.CborError):
        cbor.decode(bytes.fromhex(data))
