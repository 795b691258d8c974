"""Remove from a virtual environment what no image of a function loads: tests, sources, fonts but one, symbols.

Runs in the stage of the Dockerfile that is thrown away: `python slim.py /venv histogram`. The symbols of a shared
library lie behind all that the loader maps and are found by the section table alone, which goes with them.
"""

from __future__ import annotations

import shutil
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

FOLDERS = frozenset(("tests", "test", "sample_data"))
SUFFIXES = frozenset((".pyi", ".h", ".a", ".c", ".cpp", ".pyx", ".pxd", ".pxi"))
# Patterns of paths that no plot, picture or request loads; found by the modules and libraries that a process which has
# drawn every plot and opened every format holds. Of matplotlib: other backends, icons, fonts of TeX and PDF.
UNUSED = (
    "numpy/_pyinstaller",
    "numpy/distutils",
    "numpy/f2py",
    "numpy/fft",
    "numpy/polynomial",
    "numpy/random",
    "numpy/testing",
    "numpy/_core/_simd.*",
    "matplotlib/backends/_tkagg.*",
    "matplotlib/backends/backend_[gnqtw]*",
    "matplotlib/backends/backend_macosx.py",
    "matplotlib/backends/qt_editor",
    "matplotlib/backends/web_backend",
    "matplotlib/mpl-data/fonts/afm",
    "matplotlib/mpl-data/fonts/pdfcorefonts",
    "matplotlib/mpl-data/images",
    "matplotlib/mpl-data/plot_directive",
    "matplotlib/sphinxext",
    "matplotlib/testing",
    "mpl_toolkits/ax*",
    *(f"fontTools/{name}Lib" for name in ("mti", "svg", "t1", "ufo", "volt")),
    *(f"fontTools/{name}" for name in ("cu2qu", "diff", "merge", "qu2cu")),
)
# Packages of which a function loads nothing. The framework's ASGI and reloader are not those of the server here; pyvips
# calls libvips by a compiled module; the base has the system's time zones.
NOT_LOADED = ("anyio", "cffi", "h11", "pycparser", "starlette", "tzdata", "uvicorn", "watchdog")
# The report of a load test may have formulae, whose letters come from other fonts.
ONE_FONT = frozenset(("histogram",))
# The second one draws boxes for letters that the first does not have.
_FONTS, _KEPT = "matplotlib/mpl-data/fonts/ttf", frozenset(("DejaVuSans.ttf", "LastResortHE-Regular.ttf"))
_ELF = b"\x7fELF"
_LITTLE, _WIDE = 1, 2


def mapped_end(data: bytes) -> int:
    """The position in an ELF file behind all that its program headers name; 0 where it is of another kind.

    Args:
        data: a 64-bit little-endian ELF file.
    """
    if data[:4] != _ELF or len(data) < 64 or (data[4], data[5]) != (_WIDE, _LITTLE):
        return 0
    start, size, count = struct.unpack_from("<Q", data, 32)[0], *struct.unpack_from("<HH", data, 54)
    end = start + size * count
    for index in range(count):
        offset, length = struct.unpack_from("<Q16xQ", data, start + size * index + 8)
        end = max(end, offset + length)
    return end if 0 < end <= len(data) else 0


def without_symbols(data: bytes) -> bytes:
    """A shared library without its section table and what lies behind the mapped bytes; other files as they are."""
    end = mapped_end(data)
    if not end:
        return data
    head = bytearray(data[:end])
    struct.pack_into("<Q", head, 40, 0)  # position of the section table
    struct.pack_into("<HH", head, 60, 0, 0)  # its length, and the index of its names
    return bytes(head)


def unused(packages: Path, function: str) -> Iterator[Path]:
    """Files and folders of the installed packages that are never loaded."""
    for path in packages.rglob("*"):
        if (path.is_dir() and path.name in FOLDERS) or (path.suffix in SUFFIXES and path.is_file()):
            yield path
    for pattern in UNUSED:
        yield from packages.glob(pattern)
    if function != "loadtest":
        for name in NOT_LOADED:
            yield from packages.glob(f"{name}*")
    if function in ONE_FONT:
        yield from (path for path in (packages / _FONTS).glob("*") if path.name not in _KEPT)


def slim(environment: Path, function: str) -> int:
    """Remove and shorten; return how many bytes less there are."""
    before = _size(environment)
    (packages,) = environment.glob("lib/python3*/site-packages")
    for path in list(unused(packages, function)):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for library in packages.rglob("*.so*"):
        data = library.read_bytes()
        shorter = without_symbols(data)
        if len(shorter) < len(data):
            library.write_bytes(shorter)
    return before - _size(environment)


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


if __name__ == "__main__":
    print(f"{slim(Path(sys.argv[1]), sys.argv[2]) / 1e6:.1f} MB removed", file=sys.stderr)
