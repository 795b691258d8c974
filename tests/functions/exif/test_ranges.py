"""Ranges of a file: what the first one holds, what it needs, and two requests that come to the answer of the file."""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path
from typing import Any

import pytest
from functions_framework import create_app

from functions.exif import ranges
from functions.exif.answer import document, examine
from functions.kit.http.byteranges import MAX_RANGES, joined, pieces
from functions.kit.http.problems import Problem
from tests.functions.exif import made
from tests.functions.exif.containers import CONTAINERS, EXIF, MAKE, chunk, heic, png
from tests.functions.exif.test_schemas import check
from tests.functions.exif.tiffs import ascii_field, long, tiff
from tests.functions.kit.cloudevents.test_ranged import serving
from tests.images import encoded, gradient
from tests.servers import ROOT

MIB = 2**20
FIRST = 480 * 2**10
MOST = 2**31


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def answer(body: bytes, content_range: str | None, content_type: str = "") -> dict[str, Any]:
    source = joined(pieces(body, content_range, content_type), MOST, "EXIF_READ_BYTES")
    reading = examine(source)
    assert reading is not None
    return {**document(reading), "ranges": ranges.report(source)}


def first(data: bytes, size: int = FIRST) -> dict[str, Any]:
    return answer(data[:size], f"bytes 0-{min(size, len(data)) - 1}/{len(data)}")


def second(data: bytes, needs: list[dict[str, int]], size: int = FIRST) -> dict[str, Any]:
    spans = [(0, min(size, len(data))), *((need["offset"], need["offset"] + need["bytes"]) for need in needs)]
    body = b"".join(
        b"\r\n--B\r\nContent-Range: bytes %d-%d/%d\r\n\r\n" % (low, high - 1, len(data)) + data[low:high]
        for low, high in spans
    )
    return answer(body[2:] + b"\r\n--B--\r\n", None, 'multipart/byteranges; boundary="B"')


def complete(data: bytes, size: int = FIRST) -> tuple[dict[str, Any], int]:
    """The answer of the second request, and the bytes that both took."""
    needs = first(data, size)["ranges"]["needs"]
    assert len(needs) < MAX_RANGES
    sent = min(size, len(data)) * (2 if needs else 1) + sum(need["bytes"] for need in needs)
    return (second(data, needs, size) if needs else first(data, size)), sent


def test_the_first_megabyte_of_a_raw_is_enough():
    block = tiff([ascii_field(0x010F, "Canon Incorporated"), (0xC612, 1, 4, b"\1\4\0\0"), long(0x111, 2 * MIB)])
    data = block.ljust(2 * MIB, b"\0") + noise(MIB) * 10
    result = first(data)
    assert result["groups"]["IFD0"]["Make"]["value"] == "Canon Incorporated"
    assert result["ranges"] == {"bytes": len(data), "received": FIRST, "needs": []}
    check("Metadata", result)


@pytest.mark.parametrize("build", ["directory", "png", "heic"])
def test_two_requests_come_to_the_metadata_of_the_file(build: str):
    if build == "directory":
        block = tiff([ascii_field(0x010F, "Canon Incorporated"), long(0x100, 7)])
        at = 9 * MIB
        moved = tiff([ascii_field(0x010F, "Canon Incorporated"), long(0x100, 7)])[8:]
        moved = moved.replace(struct.pack("<I", 8 + 30), struct.pack("<I", at + 30))
        data = b"II*\0" + struct.pack("<I", at) + noise(at - 8) + moved
        assert block[8:10] == moved[:2]
    elif build == "png":
        data = png(chunk(b"IDAT", noise(20 * MIB)) + chunk(b"eXIf", MAKE))
    else:
        data = heic(b"")
        data = data[: data.index(b"mdat") - 4]
        far = 12 * MIB
        item = struct.pack(">I", 6) + b"Exif\0\0" + MAKE
        old = struct.pack(">II", len(data) + 8, len(item))
        assert data.count(old) == 1
        data = data.replace(old, struct.pack(">II", far + 8, len(item)))
        free = far - len(data)
        data += (
            struct.pack(">I4s", free, b"free") + bytes(free - 8) + struct.pack(">I4s", len(item) + 8, b"mdat") + item
        )
    result, sent = complete(data)
    assert result["groups"]["IFD0"]["Make"]["value"] == "Canon Incorporated"
    assert sent <= 1_500_000


def test_what_no_range_holds_is_not_read():
    picture = encoded(gradient(), "JPEG", exif=EXIF)
    scan = picture[picture.index(b"\xff\xda") :][:-2]
    data = picture[:-2] + noise(8 * MIB).replace(b"\xff", b"\xfe") + scan[14:] + b"\xff\xd9"
    result, _ = complete(data, 64 * 1024)
    assert result["groups"]["IFD0"]["Make"]["value"] == "Canon Incorporated"
    parts = result["privacy"]["not_read"]
    assert any(part["kind"] == "not received" for part in parts)
    assert result["privacy"]["grade"] != "nothing"


@pytest.mark.parametrize("name", [*CONTAINERS, *(f"full {name}" for name in made.all_of_them())])
def test_every_prefix_is_answered(name: str):
    data = made.all_of_them()[name[5:]] if name.startswith("full ") else CONTAINERS[name]()
    for size in (16, 64, 200, 1000, len(data) // 2, len(data) - 1, len(data)):
        if 16 <= size <= len(data):
            source = joined(pieces(data[:size], f"bytes 0-{size - 1}/{len(data)}", ""), MOST, "")
            reading = examine(source)
            if reading is not None:
                needs = ranges.needed(source)
                assert all(size <= need.start < need.end <= len(data) for need in needs)
                json.dumps(document(reading), allow_nan=False)


def test_a_file_that_claims_two_gigabytes_takes_no_memory():
    import tracemalloc

    size = 2**31 - 1
    claims = [
        b"\xff\xd8\xff\xe0\0\4ab" + b"\xff\xda\0\4ab" + bytes(100),
        struct.pack(">I4s", 24, b"ftyp")
        + b"heic\0\0\0\0mif1heic"
        + struct.pack(">I4s", size - 24, b"moov")
        + bytes(40),
        struct.pack(">I4s", 24, b"ftyp")
        + b"heic\0\0\0\0mif1heic"
        + struct.pack(">I4s", 2**31 - 30, b"uuid")
        + bytes(90),
        b"II*\0\x08\0\0\0\1\0\xbc\2\1\0\xff\xff\xff\x7f\x40\0\0\0" + bytes(40),
        b"8BPS\0\1" + bytes(20) + struct.pack(">II", 0, size - 100) + bytes(50),
        b"GIF89a\1\0\1\0\0\0\0!\xfe\xff" + bytes(100),
        b"RIFF\xff\xff\xff\x7fWEBPEXIF\xff\xff\xff\x7f" + bytes(50),
    ]
    for claim in claims:
        tracemalloc.start()
        source = joined(pieces(claim, f"bytes 0-{len(claim) - 1}/{size}", ""), MOST, "")
        reading = examine(source)
        assert reading is not None
        document(reading)
        ranges.needed(source)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 16 * MIB, claim[:12]


@pytest.mark.parametrize(
    ("content_range", "words"),
    [
        ("bytes 0-9/*", "expected bytes FIRST-LAST/SIZE"),
        ("bytes 5-2/10", "must ascend"),
        ("bytes 0-10/10", "must ascend"),
        ("bytes 0-8/10", "the body has 10"),
    ],
)
def test_ranges_that_do_not_fit_are_refused(content_range: str, words: str):
    with pytest.raises(Problem, match=words) as caught:
        joined(pieces(bytes(10), content_range, ""), MOST, "EXIF_READ_BYTES")
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "body",
    [b"", b"--B--\r\n", b"--B\r\n\r\nabc\r\n--B--", b"--B\r\nContent-Range: bytes 0-2/9\r\n\r\nabc", b"--B\r\n" * 20],
)
def test_broken_multipart_ranges_are_refused(body: bytes):
    with pytest.raises(Problem) as caught:
        joined(pieces(body, None, "multipart/byteranges; boundary=B"), MOST, "EXIF_READ_BYTES")
    assert caught.value.status == 400


def test_a_file_above_the_limit_is_refused():
    with pytest.raises(Problem) as caught:
        joined(pieces(b"ab", "bytes 0-1/100", ""), 50, "EXIF_READ_BYTES")
    assert caught.value.status == 413


def test_a_table_of_ranges_is_refused():
    client = create_app("exif", str(ROOT / "functions/exif/main.py"), "http").test_client()
    headers = {"Content-Range": "bytes 0-99/1000", "Content-Type": "image/png", "Accept": "application/json"}
    data = png(chunk(b"IDAT", bytes(900)))[:100]
    assert client.post("/exif?flat=1", data=data, headers=headers).status_code == 400
    result = client.post("/exif", data=data, headers=headers)
    assert (result.status_code, result.get_json()["ranges"]["received"]) == (200, 100)


def test_the_client_sends_ranges_of_a_large_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from functions.client import exif

    monkeypatch.setattr(exif, "LARGE", MIB)
    data = png(chunk(b"IDAT", noise(3 * MIB)) + chunk(b"eXIf", MAKE))
    path = tmp_path / "large.png"
    path.write_bytes(data)
    sent = []

    class Service:
        def result(
            self, method: str, *, data: bytes, params: Any, shape: Any, headers: dict[str, str]
        ) -> dict[str, Any]:
            sent.append(len(data))
            return answer(data, headers.get("Content-Range"), headers.get("Content-Type", ""))

    result = exif.read(Service(), path, {})  # type: ignore[arg-type]
    assert result["groups"]["IFD0"]["Make"]["value"] == "Canon Incorporated"
    assert len(sent) == 2
    assert sum(sent) <= 1_500_000


def test_photographs_in_ranges_have_the_tags_of_the_whole(photos: list[Path]):
    for path in photos:
        data = path.read_bytes()
        reading = examine(data)
        if reading is None or len(data) < 200_000 or reading.scan.format in ("PSD", "PSB"):
            continue
        result, _ = complete(data, 128 * 1024)
        whole = document(reading)
        lost = {
            (group, name)
            for group, tags in whole["groups"].items()
            for name in tags
            if name not in result["groups"].get(group, {}) and group in ("IFD0", "ExifIFD", "GPS")
        }
        named = {part["place"] for part in result["privacy"]["not_read"] if part["kind"] == "not received"}
        assert all(any(place.startswith(group) for place in named) for group, _ in lost), (path.name, sorted(lost))


@pytest.fixture(scope="module")
def raw() -> bytes:
    """A raw of 120 MB: its first directory at the beginning, another one and a packet at the end."""
    size, pixels = 120_000_000, 119_900_000
    first = tiff([ascii_field(0x010F, "Canon Incorporated"), (0xC612, 1, 4, b"\1\4\0\0"), long(0x02BC, 0)])
    packet = made.XMP
    entry = struct.pack("<HHII", 0x02BC, 1, len(packet), pixels)
    at = first.index(struct.pack("<H", 0x02BC))
    data = bytearray(first[:at] + entry + first[at + 12 :])
    data += bytes(pixels - len(data)) + packet
    return bytes(data.ljust(size, b"\0"))


def client() -> Any:
    app = create_app("exif", str(ROOT / "functions/exif/main.py"), "http")
    return app.test_client()


def test_a_raw_behind_a_url_costs_two_requests_and_less_than_a_megabyte(raw: bytes, monkeypatch: pytest.MonkeyPatch):
    with serving(data=raw) as store:
        origin = f"http://127.0.0.1:{store.server_address[1]}"
        monkeypatch.setenv("EXIF_DATAREF_HOSTS", origin)
        response = client().post(f"/exif?url={origin}/photos/a.dng")
        result = response.get_json()
    assert response.status_code == 200
    assert result["name"] == "a.dng"
    assert result["groups"]["IFD0"]["Make"]["value"] == "Canon Incorporated"
    assert any(group.startswith("XMP-") for group in result["groups"])
    assert result["fetched"] == {"bytes": len(raw), "fetched": store.sent, "requests": len(store.seen)}
    assert store.sent <= 1_500_000
    assert len(store.seen) == 2
    check("Metadata", result)


def test_a_dataref_is_read_by_ranges(raw: bytes, monkeypatch: pytest.MonkeyPatch):
    with serving(data=raw) as store:
        origin = f"http://127.0.0.1:{store.server_address[1]}"
        monkeypatch.setenv("EXIF_DATAREF_HOSTS", origin)
        headers = {
            "ce-id": "1",
            "ce-specversion": "1.0",
            "ce-source": "/test",
            "ce-type": "dev.pixelamp.image.uploaded",
        }
        response = client().post("/exif", headers={**headers, "ce-dataref": f"{origin}/a.dng"})
        reply = response.get_json()
    assert reply["image"] == {"dataref": f"{origin}/a.dng", "bytes": len(raw)}
    assert reply["results"]["exif"]["fetched"]["fetched"] == store.sent <= 1_500_000
    assert reply["results"]["exif"]["groups"]["IFD0"]["Make"]["value"] == "Canon Incorporated"


def test_a_url_is_refused_unless_its_host_is_allowed():
    response = client().post("/exif?url=http://127.0.0.1:9/a.jpg")
    assert response.status_code == 422
    assert "EXIF_DATAREF_HOSTS" in response.get_json()["detail"]
    response = client().post("/exif?url=https://store.example/a.jpg", data=b"body")
    assert response.status_code == 400
