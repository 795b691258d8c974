"""The HTTP binding against its vectors, the SDK, and inputs made to break it."""

from __future__ import annotations

import base64
import json
import os
import re
import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.kit.cloudevents import attributes, binding
from functions.kit.cloudevents.binding import Event, decode, encode
from functions.kit.http.problems import Problem

# From an interoperability study of the CloudEvents 1.0 HTTP binding, specification at cloudevents/spec@c2845a4.
VECTORS = Path(os.environ.get("PIXELAMP_CE_VECTORS") or Path(__file__).parents[3] / "vectors" / "ce_http.json")
CASES = json.loads(VECTORS.read_text())["cases"]
MINIMAL = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t"}
DOCUMENT = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}
STRUCTURED = {"Content-Type": "application/cloudevents+json"}


def outcome(headers: dict[str, str], body: bytes) -> Event | Problem | None:
    try:
        return decode(headers, body)
    except Problem as problem:
        return problem


@pytest.mark.parametrize("case", CASES, ids=[f"cloudevent_vector {case['name']}" for case in CASES])
def test_cloudevent_vector(case):
    got = outcome(case["headers"], base64.b64decode(case["body_base64"]))
    want = case["want"]
    if want["expect"] == "not_an_event":
        assert got is None
    elif want["expect"] == "reject":
        assert isinstance(got, Problem)
        assert got.status in (400, 415)
    elif want["expect"] == "choice":
        assert isinstance(got, Event) or (isinstance(got, Problem) and got.status in (400, 415))
    else:
        assert isinstance(got, Event), got
        assert dict(got.attributes) == want["attributes"]
        assert [type(value) for value in got.attributes.values()] == [
            type(want["attributes"][name]) for name in got.attributes
        ]
        if "data_base64" in want:
            data = base64.b64decode(want["data_base64"])
            if "JSON" in case["why"]:
                assert json.loads(got.data) == json.loads(data)
            else:
                assert (got.data or b"") == data


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("binary specversion 0.3", 400),
        ("binary extension name with dash", 400),
        ("structured deeply nested data", 400),
        ("batch of two", 415),
        ("unknown event format xml", 415),
        ("unknown event format avro", 415),
    ],
)
def test_choices_and_formats_refused(name, status):
    case = next(case for case in json.loads(_own_vectors())["cases"] if case["name"] == name)
    got = outcome(case["headers"], base64.b64decode(case["body_base64"]))
    assert isinstance(got, Problem)
    assert got.status == status


@pytest.mark.parametrize(
    ("name", "attribute", "value"),
    [
        ("binary lone percent (sdk-go sends this)", "subject", "100%"),
        ("binary header ce-extensions", "extensions", "boo"),
        ("structured member named extensions", "extensions", "boo"),
    ],
)
def test_choices_taken(name, attribute, value):
    case = next(case for case in json.loads(_own_vectors())["cases"] if case["name"] == name)
    got = outcome(case["headers"], base64.b64decode(case["body_base64"]))
    assert isinstance(got, Event)
    assert got.get(attribute) == value


def _own_vectors() -> str:
    return (Path(__file__).parents[3] / "vectors" / "ce_http.json").read_text()


@pytest.mark.parametrize(
    ("header", "value", "word"),
    [
        ("ce-datacontenttype", "image/png", "ce-datacontenttype"),
        ("ce-data", "x", "data"),
        ("ce-subject", "", "subject"),
        ("ce-subject", "a%00b", "subject"),
        ("ce-subject", "%ED%A0%80", "subject"),
        ("ce-subject", '"no end', "subject"),
        ("ce-time", "2026-02-30T00:00:00Z", "time"),
        ("ce-time", "2026-02-03 10:00:00", "time"),
        ("ce-time", "2026-02-03T10:00:00", "time"),
        ("ce-source", "a b", "source"),
        ("ce-source", "/%zz", "source"),
        ("ce-dataschema", "/relative", "dataschema"),
        ("ce-my_ext", "x", "my_ext"),
        ("ce-", "x", "name"),
        ("Content-Type", "jpeg", "datacontenttype"),
    ],
)
def test_binary_refused(header, value, word):
    got = outcome({**MINIMAL, header: value}, b"")
    assert isinstance(got, Problem)
    assert got.status == 400
    assert word in got.detail


@pytest.mark.parametrize(
    ("header", "value", "want"),
    [
        ("ce-subject", " \tx ", "x"),
        ("ce-subject", "50% off %E2%82%AC", "50% off €"),
        ("ce-subject", '"%41\\\\"', "A\\"),
        ("ce-subject", 'say "hi"', 'say "hi"'),
        ("ce-subject", "Zürich".encode().decode("latin-1"), "Zürich"),
        ("ce-subject", "Z\xfcrich", "Zürich"),
        ("ce-subject", "€", "€"),
        ("ce-myext", "", ""),
        ("ce-time", "2026-02-03t10:00:60.123456789+23:59", "2026-02-03t10:00:60.123456789+23:59"),
        # sdk-go does not encode: a URI's own escapes must survive; nor may an encoder's be left in.
        ("ce-source", "/a%20b", "/a%20b"),
        ("ce-source", "/a%2520b", "/a%20b"),
        ("ce-dataref", "https://h/a%20b.jpg", "https://h/a%20b.jpg"),
    ],
)
def test_binary_value(header, value, want):
    got = outcome({**MINIMAL, header: value}, b"")
    assert isinstance(got, Event), got
    assert got.get(header[3:]) == want


def test_attribute_twice_is_refused():
    with pytest.raises(Problem, match="twice"):
        decode([*MINIMAL.items(), ("CE-Id", "2")], b"")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"id": ""}, "id"),
        ({"id": None}, "id"),
        ({"id": 5}, "id"),
        ({"specversion": "1.1"}, "specversion"),
        ({"subject": ""}, "subject"),
        ({"time": "yesterday"}, "time"),
        ({"time": 5}, "time"),
        ({"Ext": "v"}, "Ext"),
        ({"ext": 1.5}, "ext"),
        ({"ext": 2**31}, "ext"),
        ({"ext": [1]}, "ext"),
        ({"ext": "a\u0007"}, "ext"),
        ({"ext": "\ud800"}, "ext"),
        ({"ext": "\ufffe"}, "ext"),
        ({"data": 1, "data_base64": "AA=="}, "both"),
        ({"data_base64": None}, "base64"),
        ({"data_base64": "_-8="}, "base64"),
        ({"data_base64": "AA==\n"}, "base64"),
        ({"datacontenttype": "text/plain", "data": {"a": 1}}, "text"),
        ({"datacontenttype": "text/plain; charset=ascii", "data": "é"}, "charset"),
        ({"datacontenttype": "text/plain; charset=nonsense", "data": "é"}, "charset"),
        ({"datacontenttype": "nonsense", "data": "é"}, "datacontenttype"),
    ],
)
def test_structured_refused(change, word):
    got = outcome(STRUCTURED, json.dumps({**DOCUMENT, **change}).encode())
    assert isinstance(got, Problem)
    assert got.status == 400
    assert word in got.detail


@pytest.mark.parametrize(
    ("change", "data"),
    [
        ({}, None),
        ({"data": None}, b"null"),
        ({"data": "x", "datacontenttype": "application/vnd.a+json; charset=utf-8"}, b'"x"'),
        ({"data": "<x/>", "datacontenttype": "text/xml"}, b"<x/>"),
        ({"data": "é", "datacontenttype": "text/plain; charset=latin1"}, b"\xe9"),
        ({"data_base64": ""}, b""),
        ({"data": {"deep": {"a": 1, "b": 2}}}, b'{"deep":{"a":1,"b":2}}'),
    ],
)
def test_structured_data(change, data):
    got = outcome(STRUCTURED, json.dumps({**DOCUMENT, **change}).encode())
    assert isinstance(got, Event), got
    assert got.data == data


@pytest.mark.parametrize(
    ("content_type", "data"),
    [
        ("image/jpeg", b"\xff\xd8"),
        ("", b"\xff"),
        ("application/json", b"{"),
        ("application/json", b"\xff"),
        ("application/json", b"NaN"),
    ],
)
def test_structured_mode_takes_any_data(content_type, data):
    attributes = {**DOCUMENT, **({"datacontenttype": content_type} if content_type else {})}
    back = decode(STRUCTURED, binding.to_json(Event(attributes, data)))
    assert (back.data, back.attributes) == (data, attributes)


def test_half_a_surrogate_pair_survives_structured_mode():
    event = Event({**DOCUMENT, "datacontenttype": "application/json"}, b'"\\ud800"')
    assert decode(STRUCTURED, binding.to_json(event)).data == event.data


def test_data_that_stood_as_json_stays_json_in_binary_mode():
    event = decode(STRUCTURED, json.dumps({**DOCUMENT, "data": {"a": 1}}).encode())
    assert event.media_type == "application/json"
    assert "datacontenttype" not in event.attributes
    headers, body = encode(event.having(subject="s"))
    assert (headers["content-type"], body) == ("application/json", b'{"a":1}')


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"\xef\xbb\xbf{}",
        b'{"specversion":"1.0","id":"1","id":"2","source":"/s","type":"t"}',
        b'{"specversion":"1.0","id":"1","source":"/s","type":"t","data":NaN}',
        b'{"specversion":"1.0","id":"1","source":"/s","type":"t","data":' + b"9" * 5000 + b"}",
    ],
)
def test_structured_body_refused(body):
    got = outcome(STRUCTURED, body)
    assert isinstance(got, Problem)
    assert got.status == 400


@pytest.mark.parametrize(
    "content_type",
    [
        "application/cloudevents",
        "application/cloudevents+json; charset=utf-16",
        "application/cloudevents+protobuf",
        "APPLICATION/CloudEvents-Batch+JSON",
    ],
)
def test_unknown_format(content_type):
    got = outcome({"content-type": content_type}, json.dumps(DOCUMENT).encode())
    assert isinstance(got, Problem)
    assert got.status == 415


@pytest.mark.parametrize(
    ("headers", "claimed"),
    [
        ({"ce-foo": "bar", "content-type": "multipart/form-data; boundary=x"}, False),
        ({"CE-Id": "1"}, True),
        ({"content-type": "application/json"}, False),
        ({}, False),
    ],
)
def test_claim(headers, claimed):
    assert binding.claimed(headers) is claimed


TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=[chr(c) for c in range(0xFDD0, 0xFDF0)]).filter(
        lambda c: not re.search(attributes._FORBIDDEN, c)
    ),
    min_size=1,
)


@given(id_=TEXT, subject=TEXT, data=st.binary(), number=st.integers(-(2**31), 2**31 - 1), flag=st.booleans())
@settings(max_examples=60, deadline=None)
def test_encode_then_decode(id_, subject, data, number, flag):
    event = Event(
        {
            "specversion": "1.0",
            "id": id_,
            "source": "/s%20t",
            "type": "t",
            "subject": subject,
            "exti": number,
            "extb": flag,
            "datacontenttype": "image/jpeg",
        },
        data,
    )
    headers, body = encode(event)
    assert all(value.isascii() and value.isprintable() and " " not in value for value in headers.values())
    back = decode(headers, body)
    assert back is not None
    assert {name: back.get(name) for name in back.attributes} == {n: event.get(n) for n in event.attributes}
    assert back.data == data


@given(
    headers=st.dictionaries(
        st.sampled_from([*MINIMAL, "ce-subject", "ce-time", "content-type", "ce-x"]), st.text(max_size=20)
    ),
    body=st.binary(max_size=60),
    structured=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_no_input_breaks_the_decoder(headers, body, structured):
    if structured:
        headers = {**headers, "content-type": "application/cloudevents+json"}
    got = outcome({**MINIMAL, **headers}, body)
    assert isinstance(got, Event) or (isinstance(got, Problem) and 400 <= got.status < 500)


def test_encode_refuses_an_invalid_event():
    with pytest.raises(ValueError, match="'type'"):
        encode(Event({"specversion": "1.0", "id": "1", "source": "/s"}))


@pytest.mark.parametrize("mode", ["binary", "structured"])
@pytest.mark.parametrize("subject", ["plain", 'Zürich 50 % "q"'])
def test_sdk_writes_we_read(mode, subject):
    from cloudevents.http import CloudEvent, to_binary, to_structured

    data = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00"
    attributes = {"id": "1", "source": "/s", "type": "t", "datacontenttype": "image/jpeg", "subject": subject}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        headers, body = (to_binary if mode == "binary" else to_structured)(CloudEvent(attributes, data))
    got = decode(headers, body)
    assert isinstance(got, Event)
    assert got.data == data
    assert {name: got.get(name) for name in attributes} == attributes


@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_we_write_sdk_reads(mode):
    from cloudevents.http import from_http

    event = Event(
        {
            "specversion": "1.0",
            "id": "1",
            "source": "/s",
            "type": "t",
            "subject": "a/b.jpg",
            "datacontenttype": "application/json",
            "knativebrokerttl": "254",
            "time": "2026-02-03T10:00:00Z",
        },
        b'{"results":{"exif":{"n":1}}}',
    )
    headers, body = encode(event) if mode == "binary" else (STRUCTURED, binding.to_json(event))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        got = from_http({name.lower(): value for name, value in headers.items()}, body)
    assert got.data == json.loads(event.data)
    assert {name: got[name] for name in event.attributes} == dict(event.attributes)


def test_the_sdk_is_not_imported():
    import subprocess
    import sys

    script = "import sys, functions.kit.cloudevents.binding; sys.exit('cloudevents' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
