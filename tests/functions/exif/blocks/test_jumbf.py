"""Content credentials: boxes, CBOR, rows, and what the answer states of them."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest

from functions.exif.answer import document, examine, flat
from functions.exif.blocks import cbor

TYPE = bytes.fromhex("00110010800000aa00389b71")


def encoded(value: Any) -> bytes:
    """CBOR of a value by RFC 8949, in its shortest form."""
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    if isinstance(value, str):
        return _head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return _head(4, len(value)) + b"".join(map(encoded, value))
    if isinstance(value, dict):
        return _head(5, len(value)) + b"".join(encoded(key) + encoded(item) for key, item in value.items())
    return b"\xf6"


def _head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes((major << 5 | number,))
    return bytes((major << 5 | 25,)) + struct.pack(">H", number)


def box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(data), kind) + data


def superbox(kind: bytes, label: str, *content: bytes) -> bytes:
    return box(b"jumb", box(b"jumd", kind + TYPE + b"\3" + label.encode() + b"\0") + b"".join(content))


def manifest(*assertions: bytes, claim: dict[str, Any], signed: bool = True) -> bytes:
    signature = superbox(
        b"c2cs", "c2pa.signature", box(b"cbor", b"\xd2" + encoded([b"\xa1\1\x26", {}, None, b"s" * 64]))
    )
    return superbox(
        b"c2pa",
        "c2pa",
        superbox(
            b"c2ma",
            "urn:uuid:1",
            superbox(b"c2as", "c2pa.assertions", *assertions),
            superbox(b"c2cl", "c2pa.claim", box(b"cbor", encoded(claim))),
            signature if signed else b"",
        ),
    )


def jpeg(store: bytes) -> bytes:
    segment = b"JP\0\1\0\0\0\1" + store
    start = b"\xff\xd8\xff\xeb" + struct.pack(">H", 2 + len(segment)) + segment
    return start + b"\xff\xc0\0\x0b\x08\0\1\0\1\1\1\x11\0" + b"\xff\xda\0\x08\1\1\0\0\x3f\0\0\xff\xd9"


ACTIONS = {
    "actions": [
        {
            "action": "c2pa.created",
            "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture",
        },
        {"action": "c2pa.cropped", "when": "2024-05-03T14:12:00Z", "softwareAgent": {"name": "Crop", "version": "2b"}},
    ]
}
WORK = {"@context": "https://schema.org", "@type": "CreativeWork", "author": [{"@type": "Person", "name": "Ana Ruiz"}]}
SIGNED = manifest(
    superbox(b"cbor", "c2pa.actions", box(b"cbor", encoded(ACTIONS))),
    superbox(b"json", "stds.schema-org.CreativeWork", box(b"json", json.dumps(WORK).encode())),
    superbox(b"cbor", "c2pa.ingredient", box(b"cbor", encoded({"dc:title": "raw.dng", "relationship": "parentOf"}))),
    claim={"claim_generator": "lamp/1.0", "dc:title": "a.jpg", "dc:format": "image/jpeg", "alg": "sha256"},
)


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
