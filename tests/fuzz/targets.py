"""What is fuzzed: one function per parser, that takes any bytes and may only refuse them in the ways it promises.

A target raises nothing but a defect. Problems below 500 and the named errors of each parser are answers.
"""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from functions.kit.problems import Problem

ROOT = Path(__file__).parents[2]
BOUNDARY = "boundary"


@dataclass(frozen=True)
class Target:
    """A parser under fuzzing.

    Attributes:
        run: gives it some bytes.
        seeds: inputs to begin with.
        longest: bytes of the largest input that is made.
        seconds: a single input that takes longer is a hang.
    """

    run: Callable[[bytes], None]
    seeds: Callable[[], Iterator[bytes]]
    longest: int = 4096
    seconds: float = 1.0


def refusing(run: Callable[[bytes], object]) -> Callable[[bytes], None]:
    """Take a client's mistake for an answer, and a status of 500 or more for a defect."""

    @functools.wraps(run)
    def guarded(data: bytes) -> None:
        try:
            run(data)
        except Problem as problem:
            if problem.status >= 500:
                raise AssertionError(f"{problem.status} {problem.slug}: {problem.detail}") from problem
            json.loads(problem.encode("id"))

    return guarded


def images() -> Iterator[bytes]:
    """A small image in every format that Pillow writes here, with metadata where the format has a place for it."""
    from PIL import Image

    picture = Image.effect_noise((24, 16), 40).convert("RGB")
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0x9003] = "2024:05:03 14:12:00"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 8.0, 14.0), 3: "E", 4: (11.0, 34.0, 32.0)})
    for form in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF"):
        buffer = io.BytesIO()
        picture.save(buffer, form, exif=exif.tobytes())
        yield buffer.getvalue()
    for form in ("GIF", "BMP", "JPEG2000", "PPM", "TGA", "ICO"):
        buffer = io.BytesIO()
        picture.save(buffer, form)
        yield buffer.getvalue()
    buffer = io.BytesIO()
    picture.save(buffer, "GIF", save_all=True, append_images=[picture.rotate(90), picture.rotate(180)])
    yield buffer.getvalue()


def exif_blocks() -> Iterator[bytes]:
    """Exif blocks out of the images, in both byte orders."""
    from functions.exif.scan import scan

    for data in images():
        found = scan(data)
        for block in found.blocks if found else ():
            yield bytes(block.data)
    yield b"II*\0\x08\0\0\0" + b"\x01\0\x0f\x01\x02\0\x04\0\0\0abc\0" + bytes(4)
    yield b"MM\0*\0\0\0\x08" + b"\0\x01\x01\x0f\0\x02\0\0\0\x04abc\0" + bytes(4)


def examine(data: bytes) -> None:
    """Scan a file and read its metadata into every form of answer."""
    from functions.exif import answer

    reading = answer.examine(data)
    if reading is not None:
        json.dumps(answer.document(reading, raw=True, thumbnail=True), allow_nan=False)
        answer.table(reading)


def walk(data: bytes) -> None:
    """Walk the directories of an Exif block."""
    from functions.exif.ifd import walk as walk_block

    walk_block(data)


def clean(data: bytes) -> None:
    """Make a clean copy; cleaning that again takes nothing more, or is refused where the file was damaged."""
    from functions.exif import editing

    copy = editing.clean(data).data
    again = editing.clean(copy)
    assert len(again.data) <= len(copy)


def open_pixels(data: bytes) -> None:
    """Open and decode an image within limits."""
    from functions.kit.images import open_image
    from functions.kit.settings import Settings, load

    settings = load(Settings, "fuzz", {"FUZZ_MAX_PIXELS": "100000"})
    with open_image(data, settings) as image:
        image.load()


def forms() -> Iterator[bytes]:
    """Multipart forms, whole and nearly so."""
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
    from functions.kit.settings import Settings, load
    from functions.kit.uploads import Body, read_uploads

    settings = load(Settings, "fuzz", {"FUZZ_MAX_BYTES": "3000"})
    body = Body(io.BytesIO(data), len(data) if data[:1] != b"-" else None, settings)
    files = read_uploads(body, f"multipart/form-data; boundary={BOUNDARY}", 4)
    assert sum(len(file.data) for file in files) <= len(data) <= 3000


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
    from functions.kit import events as binding

    head, _, body = data.partition(b"\n\n")
    pairs = [line.partition(":") for line in head.decode("latin-1").splitlines()]
    received = binding.decode([(name.strip(), value.strip()) for name, _, value in pairs], body)
    if received is not None:
        headers, sent = binding.encode(received)
        again = binding.decode(headers, sent)
        assert again is not None
        assert (again.id, again.source, again.type) == (received.id, received.source, received.type)


def settings(data: bytes) -> None:
    """Load settings from an environment; mistakes are named, secrets are not shown."""
    from functions.kit.settings import SettingsError, load
    from functions.stress.plan import StressSettings

    lines = [line.partition("=") for line in data.decode("utf-8", "replace").split("\n")]
    environment = {name.strip().upper(): value for name, _, value in lines}
    secret = environment.get("STRESS_TOKEN", "")
    try:
        load(StressSettings, "stress", environment)
    except SettingsError as error:
        assert all(mistake.startswith("invalid STRESS_") for mistake in error.mistakes)
        elsewhere = any(secret in value for name, value in environment.items() if name != "STRESS_TOKEN")
        assert len(secret) < 12 or elsewhere or secret not in str(error)


def environments() -> Iterator[bytes]:
    """Environments, one variable a line."""
    yield b"STRESS_MAX_BYTES=1000\nSTRESS_TOKEN=abc\nSTRESS_LOG_FORMAT=json\nSTRESS_MAX_SECONDS=2.5"
    yield b"STRESS_MAX_BYTES=-1\nSTRESS_WORKERS=many\nSTRESS_MAX_SECONDS=nan\nSTRESS_CORS_ORIGINS=http://a,http://b"


def plans(data: bytes) -> None:
    """Parse the parameters of a burn and decide; no plan is beyond the caps."""
    from functions.kit.options import parse_options
    from functions.kit.settings import load
    from functions.stress.main import PARAMETERS
    from functions.stress.plan import Room, StressSettings, decide

    limits = load(StressSettings, "stress", {})
    pairs = [part.partition("=") for part in data.decode("utf-8", "replace").split("&") if part]
    values = parse_options(PARAMETERS, [(name, value) for name, _, value in pairs])
    try:
        plan = decide(values, Room(1.5, 2**30, 2**31), limits)
    except Problem as problem:
        if problem.status == 503:  # memory that is not free at the moment
            return
        raise
    assert 0 <= plan.seconds <= 60
    assert 0 <= plan.hold <= 60
    assert 0 <= plan.wait <= 60
    assert 1 <= plan.cores <= 2
    assert 0 <= plan.share <= 1
    assert plan.memory <= 2**29


def queries() -> Iterator[bytes]:
    """Parameters of a burn."""
    yield b"seconds=2&load=50&cores=1&relative_to=core"
    yield b"seconds=1e1&load=99.5&relative_to=quota&memory_mb=5&hold=3&sleep_ms=10&jitter_ms=5&seed=-3"


def manifests() -> Iterator[bytes]:
    """The repository's own manifests and a few shapes of YAML."""
    for path in sorted((ROOT / "knative").rglob("*.yaml"))[:12]:
        yield path.read_bytes()[:4000]
    yield b"a: &a [1, *a]\n"
    yield b"- - - - {a: b}\n---\n!!binary aGk=\n"


def manifest(data: bytes) -> None:
    """Read a manifest file and check it; all that is wrong is a finding."""
    import tempfile

    from knative.local.check import as_json, check

    with tempfile.NamedTemporaryFile(suffix=".yaml", dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as file:
        file.write(data)
        file.flush()
        json.loads(as_json(check([file.name])))


TARGETS = {
    "uploads": Target(refusing(uploads), forms),
    "events": Target(refusing(event), events),
    "settings": Target(refusing(settings), environments),
    "plans": Target(refusing(plans), queries, longest=512),
    "ifd": Target(refusing(walk), exif_blocks),
    "exif": Target(refusing(examine), images),
    "strip": Target(refusing(clean), images),
    "images": Target(refusing(open_pixels), images),
    "manifests": Target(refusing(manifest), manifests),
}
