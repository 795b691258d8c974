"""Large images against libvips, and the values of a camera raw's sensor against rawpy and numpy."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile

from tests.servers import ROOT, clean_environment
from tools.bench.harness import Bench
from tools.bench.sizes.pictures import MEGA, photograph
from tools.figures import LEAST_PAIRS

SIZES = ((12_500, 8_000), (20_000, 10_000))
RAW_SIZE = 6000, 4000
ROUNDS = LEAST_PAIRS
WALL, MEMORY, RAW = 1.25, 150.0, 0.8


def jpeg(path: Path, width: int, height: int) -> None:
    """A baseline JPEG of one photograph beside itself, written in strips."""
    import pyvips

    tile = photograph(3000, 2000)
    image = pyvips.Image.new_from_memory(tile.tobytes(), 3000, 2000, 3, "uchar")
    image.replicate(-(-width // 3000), -(-height // 2000)).crop(0, 0, width, height).jpegsave(str(path), Q=90)


def once(name: str, path: Path) -> tuple[float, float]:
    """Wall seconds of the work in a process of its own, and how much its memory or its child's rose, in MB."""
    command = [sys.executable, "-m", "tools.bench.sizes.large", name, str(path)]
    done = subprocess.run(
        command, cwd=ROOT, env=clean_environment(VIPS_CONCURRENCY="1"), capture_output=True, text=True, check=True
    )
    seconds, megabytes = json.loads(done.stdout)
    return seconds, megabytes


def worker(name: str, path: str) -> None:
    """Count once, after the modules were imported, and print the figures."""
    import resource

    import pyvips

    from functions.histogram.analysis import analyse
    from functions.histogram.main import HistogramSettings
    from functions.kit.http.spool import mapped  # noqa: F401 - what a request has imported

    data = Path(path).read_bytes()
    began = time.perf_counter()
    if name == "ours":
        analyse(data, HistogramSettings(decode_seconds=600))
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024 - len(data) / 2**20
    else:
        pyvips.Image.new_from_file(path, access="sequential").hist_find().write_to_memory()
        memory = 0.0
    print(json.dumps([time.perf_counter() - began, memory]))


def images(bench: Bench, folder: Path) -> None:
    """R, G, B and L of 100 and 200 megapixels, the start of the process included, against R, G and B by libvips."""
    for width, height in SIZES:
        path = folder / f"{width}.jpg"
        jpeg(path, width, height)
        pairs, peaks = [], []
        for turn in range(ROUNDS + 1):
            order = ("ours", "vips") if turn % 2 else ("vips", "ours")
            found = {name: once(name, path) for name in order}
            if turn:
                pairs.append((found["ours"][0], found["vips"][0]))
                peaks.append(found["ours"][1])
        size = round(width * height / MEGA)
        bench.ratios(f"{size} MP JPEG, R G B L: against libvips R G B", pairs, WALL, "s wall")
        bench.figure(f"{size} MP JPEG: peak memory beside the file", peaks, MEMORY, "MB")
        path.unlink()


def raw(width: int, height: int) -> bytes:
    """A Bayer DNG of 14 bits."""
    buffer = io.BytesIO()
    values = np.random.default_rng(3).integers(500, 16000, (height, width), "u2")
    described = [
        (50706, "B", 4, bytes([1, 4, 0, 0]), True),
        (271, "s", 0, "Maker", True),
        (272, "s", 0, "Model", True),
        (50708, "s", 0, "Maker Model", True),
        (50721, "2i", 9, (1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1), True),
        (50728, "2I", 3, (1, 1, 1, 1, 1, 1), True),
    ]
    pattern = [
        (33421, "H", 2, (2, 2), True),
        (33422, "B", 4, bytes([0, 1, 1, 2]), True),
        (50714, "H", 1, 512, True),
        (50717, "H", 1, 16383, True),
    ]
    with tifffile.TiffWriter(buffer) as writer:
        thumbnail = np.full((8, 12, 3), 50, "u1")
        writer.write(thumbnail, photometric="rgb", subifds=1, subfiletype=1, extratags=described, metadata=None)
        writer.write(values, photometric="cfa", subfiletype=0, extratags=pattern, metadata=None)
    return buffer.getvalue()


def sensor(bench: Bench) -> None:
    """A sensor of 24 megapixels by channel."""
    import rawpy

    from functions.histogram.counting import sensor as counting

    data = raw(*RAW_SIZE)

    def by_hand() -> object:
        with rawpy.imread(io.BytesIO(data)) as found:
            values, colours = found.raw_image_visible, found.raw_colors_visible
            return [np.bincount(values[colours == index], minlength=65536) for index in range(4)]

    bench.paired("24 MP raw, sensor by channel: against rawpy and numpy", lambda: counting.count(data), by_hand, RAW, 7)


def run(bench: Bench) -> None:
    """All figures of large images and raws."""
    sensor(bench)
    with tempfile.TemporaryDirectory() as name:
        images(bench, Path(name))


if __name__ == "__main__":
    worker(*sys.argv[1:])
