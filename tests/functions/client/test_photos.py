"""Which files the command's arguments name, and where what is made of them goes."""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path

import pytest

from functions.client import exif, histogram, photos
from functions.exif.scan.files import FORMATS
from functions.exif.scan.files import scan as exif_scan

ROOT = Path(__file__).parents[3]
PHOTOS = os.environ.get("PIXELAMP_PHOTOS")


def names(*arguments: object, below: Path) -> list[str]:
    found = photos.expand([str(argument) for argument in arguments], histogram.SUFFIXES)
    return [str(path.absolute().relative_to(below)) for path in found]


DOCUMENTS = {"EPS", "PostScript", "PDF", "SVG", "XMP", "C2PA"}  # read where they are named, not looked for


def test_a_folder_is_searched_for_every_format_of_pictures_that_exif_reads() -> None:
    endings = {".tif" if name == "BigTIFF" else f".{name.lower()}" for name in FORMATS if name not in DOCUMENTS}
    assert endings <= exif.SUFFIXES


@pytest.mark.parametrize(("page", "suffixes"), [("exif", exif.SUFFIXES), ("histogram", histogram.SUFFIXES)])
def test_a_folder_is_searched_for_what_the_functions_page_takes(page: str, suffixes: frozenset[str]) -> None:
    html = (ROOT / f"functions/{page}/page.html").read_text(encoding="utf-8")
    accepted = re.search(r'accept="image/\*,([^"]+)"', html)
    assert accepted
    documents = {".ps", *(f".{name.lower()}" for name in DOCUMENTS)}
    assert set(accepted[1].split(",")) - documents <= suffixes


def test_histogram_looks_for_no_raw_files() -> None:
    assert not {".cr2", ".nef", ".jxl", ".psd"} & histogram.SUFFIXES


@pytest.mark.skipif(not PHOTOS, reason="PIXELAMP_PHOTOS names no folder")
def test_of_real_photographs_none_that_exif_reads_is_left_out() -> None:
    folders = [folder for folder in str(PHOTOS).split(os.pathsep) if folder]
    files = (path for folder in folders for path in Path(folder).rglob("*") if path.is_file())
    readable = {path.resolve() for path in files if exif_scan(path.read_bytes())}
    assert readable
    assert readable <= {path.resolve() for path in photos.expand(folders, exif.SUFFIXES)}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "c/d").mkdir(parents=True)
    (tmp_path / "c/.hidden").mkdir()
    for name in ("c/1.png", "c/d/2.png", "c/.hidden/3.png"):
        (tmp_path / name).touch()
    return tmp_path


def test_a_loop_of_links_is_gone_through_once(tree: Path) -> None:
    (tree / "c/d/again").symlink_to(tree / "c")
    (tree / "c/also").symlink_to(tree)  # two loops are 2⁴⁰ paths
    assert names(tree / "c/**/*.png", below=tree) == ["c/1.png", "c/d/2.png"]


def test_a_link_to_a_folder_elsewhere_is_followed(tree: Path) -> None:
    (tree / "e").symlink_to(tree / "c/d")
    (tree / "c/f").symlink_to(tree / "e")
    assert names(tree / "e/**/*.png", below=tree) == ["e/2.png"]
    (tree / "o/p").mkdir(parents=True)
    (tree / "o/p/link").symlink_to(tree / "c/d")
    assert names(tree / "o/**/*.png", below=tree) == ["o/p/link/2.png"]


def test_a_file_of_two_names_counts_once(tree: Path) -> None:
    (tree / "c/0.png").symlink_to(tree / "c/1.png")
    assert names(tree / "c/0.png", tree / "c/1.png", tree / "c/d/../1.png", below=tree) == ["c/0.png"]


@pytest.mark.parametrize("pattern", ["c/**/*.png", "**/*.png", "c/**", "**/d/**/*.png", "*/**/d/*", "c/**/**/*.png"])
def test_globs_find_what_the_glob_module_finds(pattern: str, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    matched = glob.glob(pattern, recursive=True)  # noqa: PTH207 - it is what is compared with
    expected = sorted({name for name in matched if Path(name).is_file()})
    assert expected
    assert names(pattern, below=tree) == expected


def test_a_folder_whose_name_is_a_pattern_is_gone_through(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tree / "c/[x]").mkdir()
    (tree / "c/[x]/4.png").touch()
    monkeypatch.chdir(tree)
    assert "c/[x]/4.png" in names("c/**/*.png", below=tree)


def test_a_name_that_is_too_long_names_nothing() -> None:
    with pytest.raises(photos.NoFilesError, match="too long"):
        photos.expand(["x" * 5000], histogram.SUFFIXES)


def test_copies_never_leave_their_folder(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    paths = [Path("c/d/2.png"), Path("c/d/../1.png")]
    copies = photos.Copies(tree / "out", paths)
    assert [copies.place(path, ".svg") for path in paths] == [tree / "out/d/2.png.svg", tree / "out/1.png.svg"]


def test_a_copy_takes_the_place_of_no_picture(tree: Path) -> None:
    copies = photos.Copies(tree, [tree / "c/1.png", tree / "c/d/2.png"])
    (tree / "link").symlink_to(tree / "c/d/2.png")
    for target in (tree / "c/1.png", tree / "link"):
        with pytest.raises(OSError, match="is one of the pictures themselves"):
            copies.write(target, b"x")
    assert (tree / "c/1.png").read_bytes() == (tree / "c/d/2.png").read_bytes() == b""
