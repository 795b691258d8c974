"""What is removed from an image's environment: nothing that is loaded, and libraries work without their symbols."""

from __future__ import annotations

import ctypes.util
import importlib.util
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from knative.image import slim


def library(package: str, pattern: str) -> Path:
    """A shared library of an installed package."""
    found = importlib.util.find_spec(package)
    assert found is not None
    assert found.origin is not None
    return next(iter(sorted(Path(found.origin).parent.glob(pattern))))


@pytest.mark.parametrize(
    ("package", "pattern"), [("kiwisolver", "_cext*.so"), ("xxhash", "_xxhash*.so"), ("PIL", "_imaging.*.so")]
)
def test_a_library_without_symbols_is_the_same_to_the_loader(tmp_path: Path, package: str, pattern: str) -> None:
    original = library(package, pattern)
    data = original.read_bytes()
    shorter = slim.without_symbols(data)
    assert len(shorter) <= len(data)
    assert struct.unpack_from("<Q", shorter, 40)[0] == 0
    # Apart from where the section table is, the bytes that are left are those of the library.
    assert shorter[64:] == data[64 : len(shorter)]
    assert slim.without_symbols(shorter) == shorter
    copied = tmp_path / original.name
    copied.write_bytes(shorter)
    text = f"import ctypes; ctypes.PyDLL({str(copied)!r})"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)
    if package != "PIL":  # that one finds its libraries beside itself
        assert done.returncode == 0, done.stderr


def test_other_files_are_left_alone() -> None:
    assert slim.without_symbols(b"GIF89a") == b"GIF89a"
    assert slim.without_symbols(b"\x7fELF") == b"\x7fELF"
    small = bytearray(Path(ctypes.util.__file__).read_bytes())
    assert slim.without_symbols(bytes(small)) == bytes(small)
    narrow = b"\x7fELF\x01\x01" + bytes(100)  # 32 bits
    assert slim.without_symbols(narrow) == narrow
    beyond = bytearray(b"\x7fELF\x02\x01" + bytes(100))
    struct.pack_into("<Q", beyond, 32, 2**40)
    assert slim.without_symbols(bytes(beyond)) == bytes(beyond)


def test_what_is_removed(tmp_path: Path) -> None:
    packages = tmp_path / "lib/python3.13/site-packages"
    kept = [
        "numpy/__init__.py",
        "numpy/typing/__init__.py",
        "matplotlib/mpl-data/fonts/ttf/DejaVuSans.ttf",
        "matplotlib/mpl-data/matplotlibrc",
        "one/testing.py",
        "_cffi_backend.so",
        "fontTools/ttLib/__init__.py",
        "matplotlib/backends/backend_mixed.py",
        "matplotlib/backends/backend_pdf.py",
    ]
    removed = [
        "numpy/f2py/__init__.py",
        "numpy/_core/tests/test_umath.py",
        "matplotlib/mpl-data/fonts/ttf/cmr10.ttf",
        "matplotlib/mpl-data/sample_data/msft.csv",
        "one/module.pyi",
        "cffi/api.py",
        "fontTools/ufoLib/__init__.py",
        "matplotlib/backends/backend_qtagg.py",
        "numpy/random/__init__.py",
        "numpy/_core/_simd.so",
        "starlette/routing.py",
        "starlette-1.10.0.dist-info/METADATA",
        "one/module.pyx",
    ]
    for name in kept + removed:
        path = packages / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 10)
    assert slim.slim(tmp_path, "histogram") == 10 * len(removed)
    assert sorted(str(path.relative_to(packages)) for path in packages.rglob("*") if path.is_file()) == sorted(kept)


def test_a_load_test_keeps_its_fonts(tmp_path: Path) -> None:
    font = tmp_path / "lib/python3.13/site-packages/matplotlib/mpl-data/fonts/ttf/cmr10.ttf"
    font.parent.mkdir(parents=True)
    font.write_bytes(b"font")
    assert slim.slim(tmp_path, "loadtest") == 0
    assert font.exists()


def test_a_load_test_keeps_what_functions_alone_do_not_load(tmp_path: Path) -> None:
    kept = tmp_path / "lib/python3.13/site-packages/cffi/api.py"
    kept.parent.mkdir(parents=True)
    kept.write_text("")
    slim.slim(tmp_path, "loadtest")
    assert kept.exists()
