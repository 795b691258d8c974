"""Attributes of a CloudEvent: allowed values, and their form in headers.

Source: https://github.com/cloudevents/spec, spec.md (Type System, Context Attributes), http-protocol-binding.md 3.1.3.
"""

from __future__ import annotations

import re
from collections.abc import Container
from datetime import date
from typing import TypeAlias

from functions.kit.http.problems import Problem
from functions.kit.jsontypes import JsonMapping

Attribute: TypeAlias = str | int | bool

REQUIRED = ("specversion", "id", "source", "type")

_URIS = frozenset({"source", "dataschema", "dataref"})
# Patterns as text: `re` compiles and caches them at the first event, not during a cold start.
_ESCAPES = r"(?:%[0-9A-Fa-f]{2})+"
_URI_REFERENCE = r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+"
_SCHEME = r"[A-Za-z][A-Za-z0-9+.\-]*:"
_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_MEDIA_TYPE = rf"{_WORD}/{_WORD} *(?:;[ -~]*)?"
_TIMESTAMP = (
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
# Characters not allowed in a String: controls, surrogates and noncharacters (spec.md, Type System).
_FORBIDDEN = (
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
    + "]"
)
_UNSAFE = r"[^\x21\x23\x24\x26-\x7e]"  # everything but printable ASCII without space, `"` and `%`


def malformed(detail: str) -> Problem:
    """400: an invalid CloudEvent."""
    return Problem(400, "malformed-event", "Malformed CloudEvent", detail)


def canonical(value: Attribute) -> str:
    """The canonical string form of an attribute's value (spec.md, Type System)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def from_header(name: str, raw: str) -> str:
    """Decode the value of an attribute from its header (http-protocol-binding.md 3.1.3.2).

    Raises:
        Problem: 400 for malformed quotes or escapes.
    """
    text = raw.strip(" \t")
    try:
        # WSGI decodes bytes as Latin-1. Senders that do not percent-encode send UTF-8 (sdk-go) or Latin-1 (the Python
        # SDK); text from elsewhere is unchanged.
        text = text if text.isascii() else text.encode("latin-1").decode()
    except UnicodeError:
        pass
    if text.startswith('"'):
        text = _unquote(name, text)
    try:
        decoded = percent_decode(text)
    except UnicodeDecodeError:
        raise malformed(f"attribute {name[:40]!r} has percent-escapes that are not UTF-8") from None
    if name in _URIS and not re.fullmatch(_URI_REFERENCE, decoded) and re.fullmatch(_URI_REFERENCE, text):
        # Escapes from a sender that does not percent-encode (sdk-go) belong to the URI.
        return text
    return decoded


def _unquote(name: str, text: str) -> str:
    match = re.fullmatch(r'"((?:[^"\\]|\\.)*)"', text)
    if not match:
        raise malformed(f"attribute {name[:40]!r} is an unterminated quoted string")
    return re.sub(r"\\(.)", r"\1", match[1])


def percent_encode(text: str) -> str:
    """Encode the value of an attribute for a header (http-protocol-binding.md 3.1.3.2)."""
    return re.sub(_UNSAFE, lambda hit: "".join(f"%{byte:02X}" for byte in hit[0].encode()), text)


def percent_decode(text: str) -> str:
    """Percent-decode once; a `%` that starts no escape is unchanged.

    Raises:
        ValueError: the escapes are not UTF-8.
    """
    if "%" not in text:
        return text
    return re.sub(_ESCAPES, lambda hit: bytes.fromhex(hit[0].replace("%", "")).decode(), text)


def check(attributes: JsonMapping, versions: Container[str] = ("1.0",)) -> None:
    """Refuse attributes that the specification does not allow.

    Args:
        attributes: context attributes and extensions by name.
        versions: values of `specversion` that are accepted.

    Raises:
        Problem: 400, naming the attribute.
    """
    for name in REQUIRED:
        if name not in attributes:
            raise malformed(f"required attribute {name!r} is missing")
    for name, value in attributes.items():
        if not (name.isascii() and name.isalnum() and name == name.lower()) or name == "data":
            raise malformed(f"attribute name {name[:40]!r} is not allowed; use lower-case letters and digits")
        _check_type(name, value)
    if attributes["specversion"] not in versions:
        raise malformed(f"specversion {attributes['specversion'][:20]!r} is not accepted; send '1.0'")
    _check_values(attributes)


def _check_values(attributes: JsonMapping) -> None:
    """Refuse values of the specification's own attributes that break their rules."""
    for name in (*REQUIRED, "subject", "dataschema", "datacontenttype", "time"):
        if attributes.get(name) == "":
            raise malformed(f"attribute {name!r} must not be empty")
    for name in _URIS:
        if attributes.get(name) and not re.fullmatch(_URI_REFERENCE, attributes[name]):
            raise malformed(f"attribute {name!r} is not a URI-reference (RFC 3986)")
    if "dataschema" in attributes and not re.match(_SCHEME, attributes["dataschema"]):
        raise malformed("attribute 'dataschema' is not an absolute URI (RFC 3986)")
    if "time" in attributes:
        _check_time(attributes["time"])
    if "datacontenttype" in attributes and not re.fullmatch(_MEDIA_TYPE, attributes["datacontenttype"]):
        raise malformed("attribute 'datacontenttype' is not a media type (RFC 2046)")


def _check_type(name: str, value: object) -> None:
    text_only = name in (*REQUIRED, *_URIS, "subject", "time", "datacontenttype")
    if isinstance(value, str):
        if not (value.isascii() and value.isprintable()) and re.search(_FORBIDDEN, value):
            raise malformed(f"attribute {name[:40]!r} contains a character that is not allowed")
    elif text_only:
        raise malformed(f"attribute {name!r} must be text")
    elif not isinstance(value, int):
        raise malformed(f"attribute {name[:40]!r} must be text, an integer or a boolean")
    elif not -(2**31) <= value < 2**31:
        raise malformed(f"attribute {name[:40]!r} is an integer beyond 32 bits")


def _check_time(text: str) -> None:
    match = re.fullmatch(_TIMESTAMP, text)
    try:
        if not match:
            raise ValueError
        date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        raise malformed("attribute 'time' is not a timestamp (RFC 3339)") from None
