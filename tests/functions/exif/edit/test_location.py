"""`remove=gps` in everything that is not Exif: makers' records, videos and pictures behind the image, extended XMP."""

from __future__ import annotations

import io
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import functions_framework
import piexif
import pytest
from flask.testing import FlaskClient
from PIL import Image

import functions.exif.main
from functions.exif.edit.blocks import video
from functions.exif.edit.errors import Broken
from functions.exif.edit.strip import strip
from tests.functions.exif import made
from tests.functions.exif.tiffs import ascii_field, directory, long
from tests.images import encoded, gradient

GPS = {"gps"}
LATITUDE = ((48, 1), (8, 1), (137154, 9973))
LOCATED = piexif.dump(
    {"0th": {0x010F: b"Lamp Works"}, "GPS": {1: b"N", 2: LATITUDE, 3: b"E", 4: ((11, 1), (34, 1), (34046, 997))}}
)


@pytest.fixture(scope="module")
def client() -> FlaskClient:
    return functions_framework.create_app("exif", functions.exif.main.__file__, "http").test_client()


def box(kind: bytes, *bodies: bytes) -> bytes:
    body = b"".join(bodies)
    return struct.pack(">I", 8 + len(body)) + kind + body


def full(kind: bytes, *bodies: bytes) -> bytes:
    return box(kind, bytes(4), *bodies)


def movie(*inside: bytes, samples: bytes = b"") -> bytes:
    return (
        box(b"ftyp", b"mp42\0\0\0\0mp42isom") + box(b"moov", full(b"mvhd", bytes(96)), *inside) + box(b"mdat", samples)
    )


def placed() -> bytes:
    return box(b"udta", box(b"\xa9xyz", b"\0\x12\x15\xc7+48.1370+011.5750/"))


def keyed() -> bytes:
    names = [b"com.apple.quicktime.make", b"com.apple.quicktime.location.ISO6709"]
    keys = full(b"keys", struct.pack(">I", len(names)), *(box(b"mdta", name) for name in names))
    values = [b"Lamp Works", b"+48.1370+011.5750/"]
    items = [
        box(struct.pack(">I", number), box(b"data", struct.pack(">II", 1, 0), value))
        for number, value in enumerate(values, 1)
    ]
    return box(b"meta", full(b"hdlr", b"\0\0\0\0mdta", bytes(12)), keys, box(b"ilst", *items))


def track(handler: bytes, place: int, sizes: tuple[int, ...]) -> bytes:
    table = box(
        b"stbl",
        full(b"stsd", struct.pack(">I", 1), box(b"gpmd", bytes(8))),
        full(b"stsz", struct.pack(f">II{len(sizes)}I", 0, len(sizes), *sizes)),
        full(b"stsc", struct.pack(">IIII", 1, 1, len(sizes), 1)),
        full(b"stco", struct.pack(">II", 1, place)),
    )
    return box(b"trak", box(b"mdia", full(b"hdlr", b"\0\0\0\0" + handler, bytes(12)), box(b"minf", table)))


def telemetry() -> bytes:
    """A video whose track of data has two samples with a position in each."""
    samples = b"N48.1370E11.5750" * 2
    head = len(movie(track(b"meta", 0, (16, 16)), track(b"vide", 0, (4,)))) - 8
    place = head + 8
    return movie(track(b"meta", place, (16, 16)), track(b"vide", place + 32, (4,)), samples=samples + b"seen")


def trailer(data: bytes = b"") -> bytes:
    return encoded(gradient(), "JPEG") + data


MOTION = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:c="http://ns.google.com/photos/1.0/camera/" c:MotionPhoto="1"'
    b' c:MotionPhotoVersion="1"/></rdf:RDF></x:xmpmeta>'
)


def motion(clip: bytes) -> bytes:
    plain = encoded(gradient(), "JPEG", exif=LOCATED)
    return plain[:2] + made.segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + MOTION) + plain[2:] + clip


@pytest.mark.parametrize("clip", [movie(placed()), movie(keyed()), telemetry()], ids=["user data", "keys", "track"])
def test_a_motion_photo_keeps_its_video_without_the_location(clip: bytes, client: FlaskClient) -> None:
    source = motion(clip)
    answer = client.post("/strip?remove=gps", data=source)
    assert answer.status_code == 200
    assert "X-Warning" not in answer.headers
    assert "gps" in answer.headers["X-Removed"]
    kept = answer.data[-len(clip) :]
    assert len(answer.data) == len(source)
    assert kept[4:8] == b"ftyp"
    assert b"48.1370" not in answer.data
    assert b"c:MotionPhoto" in answer.data
    if b"seen" in clip:
        assert kept.endswith(b"seen")
    if b"Lamp Works" in clip:
        assert b"Lamp Works" in kept
    assert strip(answer.data, remove=GPS).data == answer.data


def test_exiftool_finds_no_location_in_a_cleaned_video(program: Callable[[str], str], tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    for clip in (movie(placed()), movie(keyed())):
        path.write_bytes(clip)
        command = [program("exiftool"), "-ee", "-a", "-G1", "-*GPS*", path]
        assert "48 deg" in subprocess.run(command, capture_output=True, text=True).stdout
        found = video.without_location(clip)
        assert found.data is not None
        path.write_bytes(found.data)
        assert subprocess.run(command, capture_output=True, text=True).stdout == ""


def test_a_video_that_cannot_be_searched_goes_with_what_announces_it(client: FlaskClient) -> None:
    clip = movie() + box(b"moof", full(b"mfhd", bytes(4)))
    answer = client.post("/strip?remove=gps", data=motion(clip))
    assert "video" in answer.headers["X-Warning"]
    assert b"ftyp" not in answer.data
    assert b"MotionPhoto" not in answer.data


def fff(order: str, version: int) -> bytes:
    """A FLIR file of two records: a raw block, and a position."""
    head = struct.pack(f"{order}4s16sIII", b"FFF\0", b"TESTCAM", version, 64, 2).ljust(64, b"\0")
    raw = struct.pack(order + "HHIIII", 1, 2, 0, 1, 128, 40).ljust(32, b"\0")
    gps = struct.pack(order + "HHIIII", 0x2B, 2, 0, 2, 168, 100).ljust(32, b"\0")
    place = struct.pack("<I4sc3xc3x4x", 1, b"\2\2\0\0", b"N", b"E").ljust(32, b"\0") + struct.pack(
        "<dd", 48.137, 11.575
    )
    return head + raw + gps + b"R" * 40 + place.ljust(100, b"\0")


@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize(("order", "version"), [("<", 101), (">", 100)])
def test_flirs_position_goes_and_its_other_records_stay(order: str, version: int, pieces: int) -> None:
    record = fff(order, version)
    size = -(-len(record) // pieces)
    plain = encoded(gradient(), "JPEG")
    segments = [
        made.segment(0xE1, b"FLIR\0\1" + bytes((number, pieces - 1)) + record[number * size : (number + 1) * size])
        for number in range(pieces)
    ]
    source = plain[:2] + b"".join(segments) + plain[2:]
    result = strip(source, remove=GPS)
    assert struct.pack("<d", 48.137) not in result.data
    assert b"R" * 10 in result.data
    assert len(result.data) == len(source)
    assert [one.kind for one in result.removed] == ["gps"]
    assert strip(result.data, remove=GPS).removed == ()


def samsung(*blocks: tuple[int, bytes, bytes]) -> bytes:
    out, places = b"", []
    for kind, name, value in blocks:
        body = struct.pack("<HHI", 0, kind, len(name)) + name + value
        places.append((kind, len(out), len(body)))
        out += body
    entries = b"".join(struct.pack("<HHII", 0, kind, len(out) - start, size) for kind, start, size in places)
    head = b"SEFH" + struct.pack("<II", 106, len(blocks)) + entries
    return out + head + struct.pack("<I", len(head)) + b"SEFT"


def test_samsungs_country_of_the_cell_goes_and_its_other_blocks_stay() -> None:
    tail = samsung((0x0A01, b"Image_UTC_Data", b"1714738351000"), (0x0AA1, b"MCC_Data", b"262"))
    result = strip(trailer(tail), remove=GPS)
    assert b"1714738351000" in result.data
    assert b"MCC_Data\0\0\0" in result.data
    assert result.data.endswith(tail[-20:])
    clip = movie(placed())
    both = trailer(samsung((0x0A30, b"MotionPhoto_Data", clip), (0x0AA1, b"MCC_Data", b"262")))
    result = strip(both, remove=GPS)
    assert len(result.data) == len(both)
    assert (b"48.1370" in result.data, b"262" in result.data) == (False, False)


def test_cell_towers_in_xmp_are_a_location() -> None:
    packet = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description rdf:about="" xmlns:cell="http://developer.sonyericsson.com/cell/1.0/" cell:mcc="262"'
        b' cell:mnc="02"><cell:cellid>12345</cell:cellid></rdf:Description></rdf:RDF></x:xmpmeta>'
    )
    plain = encoded(gradient(), "JPEG")
    source = plain[:2] + made.segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet) + plain[2:]
    result = strip(source, remove=GPS).data
    assert (b"12345" in result, b'"262"' in result) == (False, False)


@pytest.mark.parametrize("identifier", [b"EXIF\0\0", b"exif\0\0", b"PARROT\0"])
def test_a_position_under_another_identifier_goes(identifier: bytes) -> None:
    plain = encoded(gradient(), "JPEG")
    source = plain[:2] + made.segment(0xE1, identifier + LOCATED[6:]) + plain[2:]
    result = strip(source, remove=GPS)
    assert b"Lamp Works" in result.data
    assert struct.pack(">II", 137154, 9973) not in result.data
    assert b"Lamp Works" not in strip(source).data


def test_pictures_behind_the_image_stay_without_their_location() -> None:
    second = encoded(gradient(size=(20, 10)), "JPEG", exif=LOCATED)
    source = trailer(second)
    result = strip(source, remove=GPS).data
    assert len(result) == len(source)
    kept = result[-len(second) :]
    with Image.open(io.BytesIO(kept)) as image:
        image.load()
    assert b"Lamp Works" in kept
    assert struct.pack(">II", 137154, 9973) not in kept
    assert strip(source).data == trailer()


def test_a_multi_picture_file_keeps_every_picture_and_its_index() -> None:
    buffer = io.BytesIO()
    gradient().save(
        buffer, "MPO", save_all=True, append_images=[gradient(size=(32, 24)), gradient(size=(20, 10))], exif=LOCATED
    )
    source = buffer.getvalue()
    for options in ({"remove": GPS}, {}):
        result = strip(source, **options).data
        assert struct.pack(">II", 137154, 9973) not in result
        with Image.open(io.BytesIO(source)) as before, Image.open(io.BytesIO(result)) as after:
            assert after.n_frames == 3
            for frame in range(3):
                before.seek(frame)
                after.seek(frame)
                assert after.tobytes() == before.tobytes()


def panasonic() -> bytes:
    """An Exif block with a note of Panasonic that names a city; its offsets count from the block's header."""
    fields = [ascii_field(0x010F, "Panasonic"), ascii_field(0x0110, "DMC-TZ10")]
    image = 8 + len(directory([*fields, long(0x8769, 0)], 8))
    note = image + 2 + 12 + 4
    inner = [ascii_field(0x0025, "SN-0815-4711"), ascii_field(0x006D, "Musterstadt"), ascii_field(0x0069, "Germany")]
    body = b"Panasonic\0\0\0" + directory(inner, note + 12)
    block = b"II*\0\x08\0\0\0" + directory([*fields, long(0x8769, image)], 8)
    return block + directory([(0x927C, 7, len(body), body)], image)


def test_place_names_in_a_maker_note_go_and_the_rest_of_it_stays(program: Callable[[str], str], tmp_path: Path) -> None:
    plain = encoded(gradient(), "JPEG")
    source = plain[:2] + made.segment(0xE1, b"Exif\0\0" + panasonic()) + plain[2:]
    path = tmp_path / "picture.jpg"
    command = [
        program("exiftool"),
        "-G1",
        "-s",
        "-Panasonic:City",
        "-Panasonic:Country",
        "-Panasonic:InternalSerialNumber",
    ]
    path.write_bytes(source)
    assert "Musterstadt" in subprocess.run([*command, path], capture_output=True, text=True).stdout
    result = strip(source, remove=GPS)
    assert (len(result.data), [one.kind for one in result.removed]) == (len(source), ["gps"])
    path.write_bytes(result.data)
    shown = subprocess.run([*command, path], capture_output=True, text=True).stdout
    assert ("Musterstadt" in shown, "Germany" in shown, "0815" in shown) == (False, False, True)
    assert strip(result.data, remove=GPS).removed == ()


def test_a_thumbnail_with_a_location_of_its_own_loses_it() -> None:
    thumbnail = encoded(gradient(size=(16, 12)), "JPEG", exif=LOCATED)
    first = directory([ascii_field(0x010F, "Lamp Works")], 8)
    at = 8 + len(first)
    places = [long(0x0201, at + 2 + 2 * 12 + 4), long(0x0202, len(thumbnail))]
    block = b"II*\0\x08\0\0\0" + directory([ascii_field(0x010F, "Lamp Works")], 8, following=at)
    plain = encoded(gradient(), "JPEG")
    exif = b"Exif\0\0" + block + directory(places, at) + thumbnail
    source = plain[:2] + made.segment(0xE1, exif) + plain[2:]
    assert struct.pack(">II", 137154, 9973) in source
    result = strip(source, remove=GPS)
    assert struct.pack(">II", 137154, 9973) not in result.data
    assert len(result.data) == len(source)
    assert strip(result.data, remove=GPS).removed == ()


def test_a_text_of_a_png_that_states_a_position_goes() -> None:
    data = encoded(gradient(), "PNG")
    texts = made.chunk(b"tEXt", b"Comment\0GPS 48.137 N 11.575 E") + made.chunk(b"tEXt", b"Title\0Harbour")
    result = strip(data[:33] + texts + data[33:], remove=GPS).data
    assert (b"48.137" in result, b"Harbour" in result) == (False, True)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_copy_of_the_position_that_no_directory_names_goes(order: str) -> None:
    position = struct.pack(order + "IIIIII", 48, 1, 8, 1, 1320, 100)
    gps = directory([(1, 2, 2, b"N\0"), (2, 5, 3, position)], 200, order)
    fields = [
        *(long(0x100, 4, order=order), long(0x101, 4, order=order), long(0x111, 400, order=order)),
        *(long(0x117, 16, order=order), long(0x8825, 200, order=order)),
    ]
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8) + directory(fields, 8, order)
    data = head.ljust(200, b"\0") + gps
    data = data.ljust(300, b"\0") + position + bytes(400 - 300 - len(position)) + bytes(range(16))
    assert data.count(position) == 2
    result = strip(data, (), ("gps",))
    assert position not in result.data
    assert result.data[400:416] == bytes(range(16))
    assert strip(result.data, (), ("gps",)).data == result.data


def test_the_packet_of_a_gif_ends_where_its_trailer_says() -> None:
    """Bytes of a packet pass for lengths of blocks: a packet of another length must end the run all the same."""
    packet = made.XMP.replace(b"</rdf:RDF>", b"\xc3\xa9" * 60 + b"</rdf:RDF>")
    whole = encoded(gradient(), "GIF")
    for broken in range(0, 240, 7):
        trailer = bytearray(b"\1" + bytes(range(255, -1, -1)) + b"\0")
        trailer[broken + 1] ^= 0x55
        data = whole[:-1] + b"!\xff\x0bXMP DataXMP" + packet + bytes(trailer) + b";"
        try:
            result = strip(data, (), ("gps",)).data
        except Broken:
            continue
        assert strip(result, (), ("gps",)).data == result
        assert Image.open(io.BytesIO(result)).tobytes() == Image.open(io.BytesIO(whole)).tobytes()
