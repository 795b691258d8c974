"""Content credentials made by hand: JUMBF boxes with CBOR and JSON."""

from __future__ import annotations

import json
import struct
from typing import Any

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
