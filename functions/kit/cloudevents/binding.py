"""HTTP protocol binding of CloudEvents 1.0: binary and structured mode in, binary mode out.

Pure functions over headers and bytes. The CloudEvents SDK is not used: its `from_http` deviates from the specification
(an image body with a malformed header causes a 500), and importing it costs cold-start time. Tests compare with it.

Where the specification leaves a choice to the receiver, this one refuses specversion 0.3 by default; leaves a `%` that
starts no escape unchanged (sdk-go, which Knative uses, does not encode); and refuses attribute names outside
`[a-z0-9]+`, batches (415), and JSON nested beyond the recursion limit.

Source: https://github.com/cloudevents/spec, spec.md, http-protocol-binding.md and json-format.md of version 1.0.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Never, TypeAlias

from functions.kit.cloudevents.attributes import (
    REQUIRED,
    Attribute,
    canonical,
    check,
    from_header,
    malformed,
    percent_encode,
)
from functions.kit.http import jsontext
from functions.kit.http.problems import Problem
from functions.kit.jsontypes import JsonObject

Headers: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]

STRUCTURED = "application/cloudevents"
BATCH = "application/cloudevents-batch"
JSON_FORMAT = "application/cloudevents+json"
JSON = "application/json"
EVERY_VERSION = ("1.0", "0.3")

_CHARSET = r";\s*charset\s*=\s*\"?([\w.:\-]+)"


@dataclass(frozen=True)
class Event:
    """One CloudEvent.

    Attributes:
        attributes: context attributes and extensions by name, including `datacontenttype` if known. Values are text,
            except integers and booleans from JSON.
        data: bytes of the payload, or None. JSON data of a structured event is serialised again.
        implied: media type of the data without `datacontenttype`: JSON for JSON data of a structured event
            (json-format.md 3.1.2).
    """

    attributes: Mapping[str, Attribute]
    data: bytes | None = None
    implied: str = ""

    def get(self, name: str) -> str:
        """An attribute in its canonical string form; `""` if it is not set."""
        value = self.attributes.get(name)
        return "" if value is None else canonical(value)

    def having(self, **attributes: Attribute) -> Event:
        """The same event with further attributes."""
        return replace(self, attributes={**self.attributes, **attributes})

    @property
    def id(self) -> str:
        """The id, unique with `source`; the same in a redelivery."""
        return self.get("id")

    @property
    def source(self) -> str:
        """URI-reference of the producer."""
        return self.get("source")

    @property
    def type(self) -> str:
        """The type, such as `dev.pixelamp.image.uploaded`."""
        return self.get("type")

    @property
    def media_type(self) -> str:
        """`datacontenttype` in lower case without parameters, or the implied type, or `""`."""
        return bare(self.get("datacontenttype") or self.implied)


def unsupported(detail: str) -> Problem:
    """415: an event format or a batch that is not accepted."""
    return Problem(415, "unsupported-event-format", "Event format not accepted", detail, accepted=[JSON_FORMAT])


def bare(content_type: str) -> str:
    """A media type in lower case without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def is_json(media_type: str) -> bool:
    """Whether a media type without parameters declares JSON: `*/json` or `*/*+json`."""
    return media_type.endswith(("/json", "+json"))


def claimed(headers: Headers) -> bool:
    """Whether a message is a CloudEvent by its media type or by the header of any required attribute.

    One required attribute is enough: an event that lost a header is a malformed event, not an upload. Another `ce-…`
    header is not enough.
    """
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    for name, value in pairs:
        lower = name.lower()
        if lower == "content-type" and bare(value).startswith(STRUCTURED):
            return True
        if lower.startswith("ce-") and lower[3:] in REQUIRED:
            return True
    return False


def decode(headers: Headers, body: bytes, versions: Container[str] = ("1.0",)) -> Event | None:
    """Decode the CloudEvent of an HTTP message.

    Args:
        headers: headers as a mapping or as pairs, names in any case. Values as in WSGI, bytes above 0x7F as Latin-1.
        body: the whole body.
        versions: values of `specversion` that are accepted. Knative's broker accepts `EVERY_VERSION`.

    Returns:
        The event, or None for another message.

    Raises:
        Problem: 400 if the event is malformed, 415 if its format or a batch is not accepted.
    """
    pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
    if not claimed(pairs):
        return None
    content_type = next((value.strip() for name, value in pairs if name.lower() == "content-type"), "")
    media_type = bare(content_type)
    if media_type.startswith(BATCH):
        raise unsupported("a batch of events is not accepted; send each event by itself")
    if media_type.startswith(STRUCTURED):
        _check_format(media_type, content_type)
        return _from_json(body, versions)
    return _from_headers(pairs, content_type, body, versions)


def encode(event: Event) -> tuple[dict[str, str], bytes]:
    """Encode an event as headers and body in binary content mode.

    Raises:
        ValueError: an attribute is missing or not allowed.
    """
    try:
        check(event.attributes, EVERY_VERSION)
    except Problem as problem:
        raise ValueError(problem.detail) from None
    headers = {
        f"ce-{name}": percent_encode(canonical(value))
        for name, value in event.attributes.items()
        if name != "datacontenttype"
    }
    content_type = event.get("datacontenttype") or event.implied
    if content_type:
        headers["content-type"] = content_type
    return headers, event.data or b""


def to_json(event: Event) -> bytes:
    """Encode an event in the JSON event format: JSON data as JSON, other data in base64."""
    document: JsonObject = dict(event.attributes)
    if event.data is not None:
        try:
            if not is_json(event.media_type):
                raise ValueError
            document["data"] = json.loads(event.data, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            document["data_base64"] = base64.b64encode(event.data).decode()
    return jsontext.encode(document)


def _check_format(media_type: str, content_type: str) -> None:
    if media_type != JSON_FORMAT:
        raise unsupported(f"{media_type[:80]!r} is not accepted; send {JSON_FORMAT}, or binary mode")
    charset = re.search(_CHARSET, content_type, re.IGNORECASE)
    if charset and charset[1].lower() not in {"utf-8", "utf8", "us-ascii"}:
        raise unsupported(f"charset {charset[1][:40]!r} is not accepted; JSON is UTF-8")


def _from_headers(pairs: Iterable[tuple[str, str]], content_type: str, body: bytes, versions: Container[str]) -> Event:
    attributes: dict[str, Attribute] = {}
    for header, raw in pairs:
        lower = header.lower()
        if not lower.startswith("ce-"):
            continue
        name = lower[3:]
        if name == "datacontenttype":
            raise malformed("ce-datacontenttype must not be present: in binary mode Content-Type is the attribute")
        if name in attributes:
            raise malformed(f"attribute {name[:40]!r} is present twice")
        attributes[name] = from_header(name, raw)
    if content_type:
        attributes["datacontenttype"] = content_type
    check(attributes, versions)
    return Event(attributes, body)


def _from_json(body: bytes, versions: Container[str]) -> Event:
    members = _parse_object(body)
    if "data" in members and "data_base64" in members:
        raise malformed("the event has both data and data_base64")
    attributes = {
        name: value for name, value in members.items() if name not in ("data", "data_base64") and value is not None
    }
    if attributes.get("specversion") == "0.3" and attributes.pop("datacontentencoding", None) == "base64":
        members["data_base64"] = members.pop("data", None)  # how version 0.3 states binary data
    check(attributes, versions)
    if "data_base64" in members:
        return Event(attributes, _from_base64(members["data_base64"]))
    if "data" not in members:
        return Event(attributes)
    content_type = str(attributes.get("datacontenttype", ""))
    return Event(attributes, _serialise(members["data"], content_type), "" if content_type else JSON)


def _parse_object(body: bytes) -> JsonObject:
    """Parse a JSON object; refuse a member that occurs twice, since parsers disagree on which one counts."""
    outermost: list[tuple[str, Any]] = []

    def keep(pairs: list[tuple[str, Any]]) -> JsonObject:
        nonlocal outermost
        outermost = pairs  # Objects end from the inside out: the last one is the event.
        return dict(pairs)

    try:
        members = json.loads(body.decode(), object_pairs_hook=keep, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise malformed("the event is not UTF-8") from None
    except RecursionError:
        raise malformed("the event's JSON is nested too deeply") from None
    except ValueError as error:
        raise malformed(f"the event is not JSON: {str(error)[:120]}") from None
    if not isinstance(members, dict):
        raise malformed("the event is not a JSON object")
    if len(outermost) != len(members):
        raise malformed("the event has a member twice")
    return members


def _no_constant(name: str) -> Never:
    raise ValueError(f"{name} is not JSON")


def _from_base64(value: Any) -> bytes:
    try:
        # TypeError if it is not text, ValueError if it is not base64 (RFC 4648, section 4, with padding).
        return binascii.a2b_base64(value, strict_mode=True)
    except (TypeError, ValueError):
        raise malformed("data_base64 is not padded base64 text") from None


def _serialise(data: object, content_type: str) -> bytes:
    if is_json(bare(content_type) or JSON):
        try:
            return jsontext.encode(data)
        except RecursionError:
            raise malformed("the event's data is nested too deeply") from None
    if not isinstance(data, str):
        raise malformed(f"data must be text, since datacontenttype {content_type[:60]!r} is not JSON")
    charset = re.search(_CHARSET, content_type, re.IGNORECASE)
    try:
        return data.encode(charset[1] if charset else "utf-8")
    except (LookupError, UnicodeError):
        raise malformed("data cannot be written in the charset of datacontenttype") from None
