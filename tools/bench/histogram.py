"""Histogram: counting against its peers, and plots against matplotlib.

Each counting peer runs in a process of its own, as Pillow's arena belongs to a process; they take turns, and each
tells the CPU time of its own work.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from tests.images import encoded
from tests.servers import ROOT, clean_environment
from tools.bench.harness import Bench
from tools.bench.sizes import large
from tools.bench.sizes.pictures import MEGA, photograph
from tools.figures import LEAST_PAIRS

ROUNDS = 9
SIZE, FILL = (6000, 4000), 32
SMOKE = {
    "ROUNDS": 1,
    "SIZE": (600, 400),
    "FILL": 1,
    "LEAST_PAIRS": 1,
    "large.SIZES": ((1250, 800),),
    "large.RAW_SIZE": (600, 400),
    "large.ROUNDS": 1,
}
COUNTING = (("pillow", 0.75), ("numpy", 0.20), ("opencv", 1.0), ("vips", 1.12), ("decode", 1.6))
NAMES = {
    "pillow": "Pillow with its default arena",
    "numpy": "np.histogram × 4",
    "opencv": "OpenCV imdecode + calcHist",
    "vips": "libvips hist_find of R G B",
    "decode": "decoding alone, same settings",
}


def works(data: bytes) -> dict[str, Callable[[], object]]:
    """R, G, B and L of an image, each peer's way."""

    def ours() -> object:
        from functions.histogram.counting.plain import count
        from functions.kit.http.settings import Settings
        from functions.kit.images.opening import open_image

        with open_image(data, Settings()) as image:
            return count(image)

    def decode() -> object:
        from functions.kit.http.settings import Settings
        from functions.kit.images.opening import open_image

        with open_image(data, Settings()) as image:
            return image.size

    def pillow() -> object:
        image = Image.open(io.BytesIO(data))
        return image.histogram(), image.convert("L").histogram()

    def numpy() -> object:
        import numpy as np

        image = Image.open(io.BytesIO(data))
        bands = [np.asarray(image)[..., band] for band in range(3)] + [np.asarray(image.convert("L"))]
        return [np.histogram(band, bins=256, range=(0, 256)) for band in bands]

    def opencv() -> object:
        import cv2
        import numpy as np

        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        bands = [cv2.calcHist([image], [band], None, [256], [0, 256]) for band in range(3)]
        return [*bands, cv2.calcHist([gray], [0], None, [256], [0, 256])]

    def vips() -> object:
        import pyvips

        pyvips.cache_set_max(0)
        return pyvips.Image.new_from_buffer(data, "", access="sequential").hist_find().write_to_memory()

    return {"ours": ours, "pillow": pillow, "numpy": numpy, "opencv": opencv, "vips": vips, "decode": decode}


def worker(name: str, path: str) -> None:
    """A process of one peer: for each line it reads it works once and prints its CPU seconds."""
    work = works(Path(path).read_bytes())[name]
    work()
    for _ in sys.stdin:
        before = time.process_time()
        work()
        print(time.process_time() - before, flush=True)


def peak(path: str) -> None:
    """Prints how much the peak of memory rises with one image, after a small one has loaded what is needed."""
    small = works(encoded(Image.new("RGB", (8, 8)), "JPEG"))["ours"]
    small()
    status = Path("/proc/self/status")
    before = _resident(status.read_text(), "VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    works(Path(path).read_bytes())["ours"]()
    print(_resident(status.read_text(), "VmHWM") - before)


def _resident(status: str, name: str) -> int:
    return 1024 * int(status.partition(f"{name}:")[2].split()[0])


@contextmanager
def workers(path: Path) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """A process for each peer and for ours."""
    started = {
        name: subprocess.Popen(
            [sys.executable, "-m", "tools.bench.histogram", "worker", name, str(path)],
            cwd=ROOT,
            env=clean_environment(OPENCV_FOR_THREADS_NUM="1", VIPS_CONCURRENCY="1"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("ours", *NAMES)
    }
    try:
        yield started
    finally:
        for process in started.values():
            process.stdin.close()
            process.wait()
            process.stdout.close()


def once(process: subprocess.Popen[str]) -> float:
    process.stdin.write("\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def counting(bench: Bench, folder: Path) -> None:
    """24 megapixels: R, G, B and L."""
    path = folder / "24mp.jpg"
    path.write_bytes(encoded(photograph(*SIZE), "JPEG", quality=90))
    times: dict[str, list[float]] = {}
    with workers(path) as processes:
        for turn in range(ROUNDS + 1):
            order = list(processes) if turn % 2 else list(reversed(processes))
            for name in order:
                seconds = once(processes[name])
                if turn:
                    times.setdefault(name, []).append(seconds * 1000)
    for name, bound in COUNTING:
        pairs = list(zip(times["ours"], times[name], strict=True))
        bench.ratios(f"24 MP JPEG, R G B L: against {NAMES[name]}", pairs, bound, "ms CPU")
    rise = subprocess.run(
        [sys.executable, "-m", "tools.bench.histogram", "peak", str(path)],
        cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    per_pixel = (int(rise) - path.stat().st_size) / (SIZE[0] * SIZE[1])
    bench.figure("24 MP JPEG: peak memory beside the file", per_pixel, 5.5, "bytes a pixel")


def plots(bench: Bench) -> None:
    """640 × 400, four series."""
    from functions.histogram.analysis import analyse
    from functions.histogram.plots import raster, svg
    from functions.kit.http.settings import Settings

    chart = analyse(encoded(photograph(1200, 800), "JPEG"), Settings()).chart(marks=True, title="Histogram")

    def stairs() -> None:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6.4, 4), dpi=100)
        axes = figure.add_subplot(title="Histogram", xlabel=chart.x_name, ylabel=chart.y_name)
        axes.grid(axis="y")
        for name, counts in [*chart.fills.items(), ("black", chart.outline)]:
            axes.stairs(counts, color=name, alpha=0.5, fill=name != "black", label=name)
        axes.legend()
        figure.savefig(io.BytesIO(), format="png")

    bench.paired("PNG plot: against matplotlib stairs", lambda: raster.render(chart), stairs, 0.05)
    bench.paired("SVG plot: against matplotlib stairs", lambda: svg.render(chart), stairs, 0.01)
    bench.figure("PNG plot: size", len(raster.render(chart)), 6000, "bytes")


def refused(bench: Bench) -> None:
    """32 MB of each kind whose header costs much, against eight passes of a hash over it and 50 ms."""
    from xxhash import xxh3_128

    from functions.kit.http.problems import Problem
    from functions.kit.http.settings import Settings
    from functions.kit.images.opening import open_pixels
    from tests.functions.kit.images import hostile

    settings = Settings(max_bytes=64 * MEGA)
    for kind, make in hostile.files(FILL * MEGA).items():
        data, pairs = make(), []
        for turn in range(LEAST_PAIRS + 1):
            before = time.process_time()
            xxh3_128(data).digest()
            allowed = 8 * (time.process_time() - before) + 0.05
            before = time.process_time()
            try:
                with open_pixels(data, settings):
                    pass
            except Problem:
                pass
            if turn:
                pairs.append(((time.process_time() - before) * 1000, allowed * 1000))
        bench.ratios(f"{FILL} MB of {kind}: against 8 hash passes and 50 ms", pairs, 1.0, "ms CPU")


def run(bench: Bench) -> None:
    """All figures of the histogram function."""
    with tempfile.TemporaryDirectory() as name:
        counting(bench, Path(name))
        refused(bench)
        plots(bench)
    large.run(bench)


if __name__ == "__main__":
    {"worker": worker, "peak": peak}[sys.argv[1]](*sys.argv[2:])
