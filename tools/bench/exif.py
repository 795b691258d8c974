"""Reading metadata against Pillow, piexif and ExifTool, over real photographs where PIXELAMP_PHOTOS names some."""

from __future__ import annotations

import gc
import io
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import piexif
from PIL import Image

from functions.exif.answer import document, examine, flat
from functions.exif.blocks.ifd import walk
from functions.exif.scan.files import scan
from functions.kit.http.jsontext import encode
from tests.images import encoded, gradient
from tests.servers import FunctionServer, Server, free_port
from tools.bench.harness import Bench, cpu_nanoseconds, memory_bytes

# Passes of ours for one of ExifTool's: both sides run about as long, so that what the other left in the CPU's caches
# weighs as little on the one as on the other.
PASSES = 20
PAIRS = 7
SMOKE = {"PASSES": 1, "PAIRS": 1, "MOST_FILES": 2}
MOST_FILES = 60  # compared with ExifTool, evenly chosen: a run of the area takes three minutes
# Pillow's own directories: IFD0, then Exif, GPS, Interop and IFD1 through get_ifd.
POINTERS = (0x8769, 0x8825, 0xA005, 1)


def _photographs() -> list[Path]:
    folders = os.environ.get("PIXELAMP_PHOTOS", "").split(os.pathsep)
    found = {path for folder in folders if folder for path in Path(folder).rglob("*")}
    return sorted(path for path in found if path.is_file() and path.suffix != ".tsv")


def _made() -> bytes:
    """A JPEG with 40 tags, for a run without photographs."""
    exif = {
        "0th": {piexif.ImageIFD.Make: b"Canon", piexif.ImageIFD.Model: b"Canon EOS 5D", 0x112: 1, 0x11A: (72, 1)},
        "Exif": {
            piexif.ExifIFD.ExposureTime: (1, 200),
            piexif.ExifIFD.FNumber: (28, 10),
            piexif.ExifIFD.ISOSpeedRatings: 400,
            piexif.ExifIFD.DateTimeOriginal: b"2024:05:03 14:12:00",
            **{number: 1 for number in range(0xA401, 0xA40B) if number not in (0xA404, 0xA407)},
        },
        "GPS": {1: b"N", 2: ((47, 1), (22, 1), (318, 100)), 3: b"E", 4: ((8, 1), (32, 1), (0, 1))},
    }
    return encoded(gradient(size=(320, 240)), "JPEG", exif=piexif.dump(exif))


def _answer(data: bytes) -> bytes:
    reading = examine(data)
    return encode(document(reading)) if reading is not None else b""


def _flat(data: bytes) -> bytes:
    """Everything as one flat table, as ExifTool prints it, read as `?flat=1` reads it."""
    reading = examine(data, rows_only=True)
    return encode(flat(reading)) if reading is not None else b""


def _exif(data: bytes) -> bytes:
    """All Exif directories, printed: what Pillow reads, which prints nothing."""
    reading = examine(data, exif_only=True)
    return encode(flat(reading)) if reading is not None else b""


def _parse(data: bytes) -> list[Any]:
    found = scan(data, whole=False)
    return [walk(block.data) for block in found.blocks if block.kind == "exif"] if found else []


def _pillow(data: bytes) -> Any:
    with Image.open(io.BytesIO(data)) as image:
        exif = image.getexif()
        return dict(exif), [dict(exif.get_ifd(pointer)) for pointer in POINTERS]


def _succeeds(work: Callable[[bytes], Any], data: bytes) -> bool:
    try:
        return bool(work(data))
    except Exception:  # noqa: BLE001 - the peers raise what they like on broken files
        return False


def _over(work: Callable[[bytes], Any], files: list[bytes]) -> Callable[[], None]:
    def run() -> None:
        for data in files:
            work(data)

    return run


class _ExifTool:
    """One `exiftool -stay_open` process, asked file by file."""

    def __init__(self, program: str) -> None:
        self._process = subprocess.Popen(
            [program, "-stay_open", "True", "-@", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, path: Path, *options: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = "\n".join(("-j", "-G1", "-struct", *options, str(path), "-execute", ""))
        self._process.stdin.write(asked.encode())
        self._process.stdin.flush()
        while not self._process.stdout.readline().startswith(b"{ready}"):
            pass

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(b"-stay_open\nFalse\n")
        self._process.stdin.close()
        self._process.wait(10)


def run(bench: Bench) -> None:
    """Print the ratios to each peer and how even our own times are."""
    warnings.simplefilter("ignore")
    paths = _photographs()
    contents = {path: path.read_bytes() for path in paths} if paths else {Path("made.jpg"): _made()}
    if not paths:
        bench.note("PIXELAMP_PHOTOS names no folder: one made JPEG stands in")
    with_exif = [data for data in contents.values() if data[:2] == b"\xff\xd8" and _succeeds(_parse, data)]
    both_pillow = [data for data in with_exif if _succeeds(_pillow, data)]
    bench.paired(
        f"Exif parsed, printed and as JSON, against Pillow reading all IFDs ({len(both_pillow)} JPEGs)",
        _over(_exif, both_pillow),
        _over(_pillow, both_pillow),
        0.6,
    )
    bench.paired(
        "the whole answer with XMP, IPTC, ICC, maker note, summary and privacy report, against the same",
        _over(_answer, both_pillow),
        _over(_pillow, both_pillow),
    )
    both_piexif = [data for data in with_exif if _succeeds(piexif.load, data)]
    bench.paired(
        f"parse, against piexif ({len(both_piexif)} JPEGs that it reads)",
        _over(_parse, both_piexif),
        _over(piexif.load, both_piexif),
        1.5,
    )
    _even(bench, list(contents.values()))
    _memory(bench)
    _against_exiftool(bench, contents)


def _even(bench: Bench, files: list[bytes]) -> None:
    gc.collect()
    times = []
    for data in files:
        best = min(_timed(_answer, data) for _ in range(5))
        times.append(best * 1000)
    times.sort()
    middle, top = statistics.median(times), times[min(int(len(times) * 0.99), len(times) - 1)]
    bench.figure("p99 of the answers' CPU over their median", top / middle, 5, "×", note=f"{middle:.3f} / {top:.3f} ms")


def _timed(work: Callable[[bytes], Any], data: bytes) -> float:
    before = time.process_time()
    work(data)
    return time.process_time() - before


def _against_exiftool(bench: Bench, contents: dict[Path, bytes]) -> None:
    program = shutil.which("exiftool")
    paths = [path for path in contents if path.exists()]
    paths = paths[:: -(-len(paths) // MOST_FILES) or 1]
    if program is None or not paths:
        bench.note("ExifTool is not compared: it is not installed, or there are no files for it")
        return
    tool = _ExifTool(program)
    try:
        for path in paths[:5]:
            tool.ask(path)
        # The bound is of Exif, as with the other two readers; the cost of the other blocks is printed beside it.
        for name, work, options, bound in (
            ("Exif parsed, printed and as JSON", _exif, ("-fast2", "-EXIF:All"), 1 / 40),
            # Without -fast2, which leaves out makers' notes.
            ("the flat table of everything", _flat, (), 1 / 25),
        ):
            ours = _over(work, [contents[path] for path in paths])
            pairs = []
            for _ in range(PAIRS):
                before, theirs_before = time.process_time(), cpu_nanoseconds(tool.pid)
                for _ in range(PASSES):
                    ours()
                mine = (time.process_time() - before) / PASSES
                for path in paths:
                    tool.ask(path, *options)
                pairs.append((mine * 1000, (cpu_nanoseconds(tool.pid) - theirs_before) / 1e6))
            against = " ".join(("against exiftool -stay_open", *options[:1]))
            bench.ratios(f"{name}, {against} ({len(paths)} files)", pairs, bound, "ms cpu")
        _file_by_file(bench, tool, {path: contents[path] for path in paths})
    finally:
        tool.close()


def _file_by_file(bench: Bench, tool: _ExifTool, contents: dict[Path, bytes]) -> None:
    """Wall time as one client sees it: one file, then the same file of the peer, so that neither's caches stay warm."""
    pairs = []
    for path, data in contents.items():
        mine, theirs = [], []
        for _ in range(3):
            start = time.perf_counter()
            _answer(data)
            middle = time.perf_counter()
            tool.ask(path)
            mine.append((middle - start) * 1000)
            theirs.append((time.perf_counter() - middle) * 1000)
        pairs.append((statistics.median(mine), statistics.median(theirs)))
    bench.ratios(f"our whole answer, against exiftool -stay_open, file by file ({len(pairs)})", pairs, None, "ms wall")


def _memory(bench: Bench) -> None:
    """What the function holds above a bare one under the framework's own command line, at rest and after a picture."""
    picture = _made()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "main.py").write_text('def hello(request):\n    return "hello"\n')
        framework = str(Path(sys.executable).parent / "functions-framework")
        port = free_port()
        command = [framework, "--source", str(Path(folder) / "main.py"), "--target", "hello"]
        hello = Server(port, command, {"PORT": str(port)}, "/")
        ours = FunctionServer("exif")
        try:
            bare, ready = memory_bytes(hello.process.pid), memory_bytes(ours.process.pid)
            assert ours.post("/", data=picture).status_code == 200
            hello.get("/")
            after_bare, after = memory_bytes(hello.process.pid), memory_bytes(ours.process.pid)
        finally:
            ours.stop()
            hello.stop()
    for moment, mine, theirs in (("ready", ready, bare), ("after its first picture", after, after_bare)):
        note = f"PSS {mine / 2**20:.1f} / {theirs / 2**20:.1f} MB"
        bench.figure(f"memory above a bare function, {moment}", (mine - theirs) / 2**20, 5, "MB", note=note)
