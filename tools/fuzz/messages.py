"""Fuzz targets of messages: forms, events, references to data, filters, the broker's log, HTTP heads of the route."""

from __future__ import annotations

import functools
import io
import json
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.servers import ROOT
from tools.fuzz.target import Target, refusing

BOUNDARY = "boundary"
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


def forms() -> Iterator[bytes]:
    """Multipart forms, whole and slightly damaged."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n'.encode()
    tail = f"\r\n--{BOUNDARY}--\r\n".encode()
    yield head + b"Content-Type: image/jpeg\r\n\r\n" + b"\xff\xd8data" + tail
    yield head + b"\r\n" + b"--boundar" + tail
    yield (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="a"\r\n\r\n1'.encode() + b"\r\n" + head + b"\r\nx" + tail
    )
    yield f"--{BOUNDARY}--\r\n".encode()


def uploads(data: bytes) -> None:
    """Read a body as a form; what is kept never exceeds what was sent."""
    from functions.kit.http.body import Body
    from functions.kit.http.settings import Settings, load
    from functions.kit.http.uploads import read_uploads

    settings = load(Settings, "fuzz", {"FUZZ_MAX_BYTES": "3000"})
    body = Body(io.BytesIO(data), len(data) if data[:1] != b"-" else None, settings)
    files = read_uploads(body, f"multipart/form-data; boundary={BOUNDARY}", 4)
    assert sum(len(file.data) for file in files) <= len(data) <= 3000


def content_types() -> Iterator[bytes]:
    """Content types of forms."""
    yield b"multipart/form-data; boundary=abc"
    yield b'multipart/form-data; charset=utf-8; boundary="a b\\"c"'
    yield b"multipart/form-data; boundary*=utf-8''a%20b"


def content_type(data: bytes) -> None:
    """Read a form's boundary out of its type, and a form of that boundary."""
    from functions.kit.http.body import Body
    from functions.kit.http.settings import Settings, load
    from functions.kit.http.uploads import read_uploads

    body = b'--abc\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n--abc--\r\n'
    settings = load(Settings, "fuzz", {})
    read_uploads(Body(io.BytesIO(body), len(body), settings), data.decode("latin-1"), 4)


def events() -> Iterator[bytes]:
    """CloudEvents: headers by line, an empty line, the body."""
    yield b"ce-specversion: 1.0\nce-id: 1\nce-source: /a\nce-type: t\ncontent-type: application/json\n\n{}"
    yield (
        b'content-type: application/cloudevents+json\n\n{"specversion":"1.0","id":"1","source":"/a","type":"t",'
        b'"datacontenttype":"image/png","data_base64":"AAAA","time":"2024-05-03T14:12:00Z"}'
    )
    for case in json.loads((ROOT / "tests/vectors/ce_http.json").read_text()).get("cases", []):
        headers = case.get("headers") or {}
        lines = "".join(f"{name}: {value}\n" for name, value in headers.items())
        yield f"{lines}\n{case.get('body') or ''}".encode()[:2000]


def event(data: bytes) -> None:
    """Decode an event; what was decoded can be sent on, and reads the same."""
    from functions.kit.cloudevents import binding as binding

    head, _, body = data.partition(b"\n\n")
    pairs = [line.partition(":") for line in head.decode("latin-1").splitlines()]
    received = binding.decode([(name.strip(), value.strip()) for name, _, value in pairs], body)
    if received is not None:
        headers, sent = binding.encode(received)
        assert all(value.isascii() and "\n" not in value and "\r" not in value for value in headers.values())
        again = binding.decode(headers, sent)
        assert again is not None
        assert (again.id, again.source, again.type) == (received.id, received.source, received.type)
        json.loads(binding.to_json(received))


def references() -> Iterator[bytes]:
    """Datarefs that are allowed, and similar ones that are not."""
    yield b"https://store.example/a?b=c"
    yield b"http://127.0.0.1:8080/_knative/data/0"
    yield b"https://store.example@[::ffff:127.0.0.1]:8443/"
    yield b"https://STORE.example.:443/%2e%2e/"


def reference(data: bytes) -> None:
    """Decide about a dataref: only addresses of the listed hosts are resolved."""
    from functions.kit.cloudevents import dataref

    allowed = dataref.Allowed.parse(["store.example", "http://127.0.0.1:8080"])
    asked = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["10.0.0.1"]

    url = data.decode("utf-8", "replace")
    if re.match(r"http://127\.0\.0\.1\.*:8080", url, re.IGNORECASE):
        return  # the one origin that would be connected to
    try:
        dataref.fetch(dataref.pin(url, allowed, seconds=1.0, resolver=resolve), limit=1)
    finally:
        assert set(asked) <= {("store.example", 443)}, f"{url!r} led to {asked}"


def filters() -> Iterator[bytes]:
    """A Trigger's filters and an event's attributes, a line each."""
    attributes = b'\n{"type":"dev.pixelamp.x","source":"/a","subject":"b","level":"3"}'
    yield b'{"filter":{"attributes":{"type":"dev.pixelamp.x","source":""}}}' + attributes
    yield b'{"filters":[{"any":[{"prefix":{"type":"dev."}},{"suffix":{"source":"a"}}]},{"not":{}}]}' + attributes
    yield b'{"filters":[{"all":[{"exact":{"level":"3"}},{"not":{"exact":{"subject":"c"}}}]}]}' + attributes
    yield b'{"filters":[{"cesql":"type = 3"}]}' + attributes


def filtered(data: bytes) -> None:
    """Check a Trigger as the webhook does, and run the filters of one that passes."""
    from knative.local.check import eventing_rules
    from knative.local.eventing.filters import FilterError, of_trigger
    from knative.local.manifests import eventing_schema
    from knative.local.manifests.cluster import Cluster
    from knative.local.manifests.decoding import decode

    first, _, second = data.partition(b"\n")
    try:
        spec, event = json.loads(first), json.loads(second)
    except (ValueError, RecursionError):
        return
    if not isinstance(event, dict):
        return
    event = {str(name): str(value) for name, value in event.items()}
    trigger = {"metadata": {"name": "t"}, "spec": spec}
    decoded, findings = decode(trigger, eventing_schema.TRIGGER, "Trigger")
    if findings:
        return
    refused = list(eventing_rules.trigger(decoded, Cluster()))
    if any("filter" in str(finding.paths) for finding in refused):
        return
    try:
        verdict = of_trigger(decoded["spec"])(event)
        inverse = of_trigger({"filters": [{"not": {"all": decoded["spec"].get("filters") or []}}]})(event)
    except FilterError:
        return
    assert verdict in (True, False, None)
    if decoded["spec"].get("filters"):
        assert inverse is (None if verdict is None else not verdict)


@functools.cache
def _log() -> bytes:
    """The log of a broker with two events, one delivered, one pending."""
    from knative.local.eventing.event_log import Arrival, EventLog

    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        log = EventLog(Path(folder))
        attributes = {"id": "1", "source": "/a", "type": "t", "specversion": "1.0"}
        deliveries = (("Trigger default/x", "subscriber", {"host": "x.default"}, {"extra": "1"}),)
        first = log.arrive(log._db, Arrival("broker default/images", attributes, b"data", 255, deliveries), None, 1.0)
        log.arrive(log._db, Arrival("broker default/images", {**attributes, "id": "2"}, None, 9, deliveries), None, 2.0)
        log.settle(log._db, first[1][0], "done", code=202, error="", seconds=0.1, now=3.0)
        log._db.execute("pragma wal_checkpoint(truncate)")
        log.close()
        return Path(folder, "events.sqlite").read_bytes()


def changes() -> Iterator[bytes]:
    """Changes to the log of a broker: places and bytes, three to each."""
    yield b""
    yield b"\0\0\0" + b"\x10\0\1"
    yield b"".join(bytes((place >> 8, place & 255, 0x22)) for place in range(8000, 8192, 7))


def damaged_log(data: bytes) -> None:
    """Open a damaged log and resume its pending deliveries: it is read, or refused as unreadable."""
    from knative.local.eventing.event_log import EventLog

    changed = bytearray(_log())
    for at in range(0, len(data) - 2, 3):
        changed[((data[at] << 8) | data[at + 1]) % len(changed)] = data[at + 2]
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        Path(folder, "events.sqlite").write_bytes(changed)
        try:
            log = EventLog(Path(folder))
        except (OSError, sqlite3.Error):
            return
        try:
            for due in log.pending(log._db):
                assert isinstance(due.due, float)
                stored = log.event(log._db, due.event)
                assert stored is None or stored.attributes["id"]
        except sqlite3.Error:
            pass
        finally:
            log.close()


TARGETS = {
    "uploads": Target(refusing(uploads), forms),
    "types": Target(refusing(content_type), content_types, 256),
    "events": Target(refusing(event), events),
    "datarefs": Target(refusing(reference), references, 512),
    "filters": Target(filtered, filters),
    "log": Target(damaged_log, changes, 256),
}
