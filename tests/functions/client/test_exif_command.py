"""The subcommand `exif`: tables, clean copies, copies with new fields, thumbnails."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from functions.client.__main__ import main
from tests.functions.client.conftest import PHOTO
from tests.images import encoded, gradient
from tests.servers import ROOT, FunctionServer

SAMPLE = ROOT / "docs" / "sample.jpg"


@pytest.fixture
def exif(servers: Callable[..., FunctionServer]) -> str:
    return servers("exif").url


def test_exif_reports_and_cleans(
    servers: Callable[..., FunctionServer], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Lampmaker"
    (folder / "c.jpg").write_bytes(encoded(gradient(), "JPEG", exif=exif))
    url = servers("exif").url
    clean = folder / "clean"
    assert main(["exif", str(folder / "c.jpg"), "--url", url, "-o", "text", "--strip", "--out", str(clean)]) == 0
    assert "Make" in (said := capsys.readouterr().out)
    assert "Lampmaker" in said
    assert b"Lampmaker" not in (clean / "c.jpg").read_bytes()
    assert main(["exif", str(folder / "c.jpg"), "--url", url, "-o", "csv", "--tags", "Make"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["group"], row["tag"], row["value"]) for row in rows] == [("IFD0", "Make", "Lampmaker")]


def test_copies_of_equal_names_stand_in_folders_as_the_pictures_do(
    servers: Callable[..., FunctionServer], folder: Path
) -> None:
    for name, size in (("x", 10), ("y", 20)):
        (folder / "two" / name).mkdir(parents=True)
        (folder / "two" / name / "same.jpg").write_bytes(encoded(gradient(size=(size, size)), "JPEG"))
    out = folder / "copies"
    url = servers("exif").url
    assert main(["exif", str(folder / "two"), "--url", url, "-o", "json", "--strip", "--out", str(out)]) == 0
    for name, size in (("x", 10), ("y", 20)):
        with Image.open(out / name / "same.jpg") as copy:
            assert copy.size == (size, size)


@pytest.mark.parametrize("alone", [["--strip"], ["--out", "copies"]])
def test_copies_need_a_folder_and_a_folder_copies(alone: list[str], folder: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["exif", str(folder / "a.jpg"), *alone])
    assert ended.value.code == 2


def test_exif_never_overwrites_the_picture_itself(
    servers: Callable[..., FunctionServer], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["exif", str(folder / "a.jpg"), "--url", servers("exif").url, "--strip", "--out", str(folder)]) == 1
    assert (folder / "a.jpg").read_bytes() == PHOTO
    assert "is one of the pictures themselves" in capsys.readouterr().err


def test_a_flat_table_and_a_row_of_csv_a_photo(exif: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["exif", str(SAMPLE), "--flat", "--tags", "Make,Model", "--url", exif]) == 0
    assert json.loads(capsys.readouterr().out)["IFD0:Make"] == "Lumenworks"
    assert main(["exif", str(SAMPLE), "--flat", "--csv", "--url", exif]) == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["file"], row["IFD0:Make"]) == (str(SAMPLE), "Lumenworks")


def test_fields_are_set_in_a_copy(exif: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["exif", str(SAMPLE), "--set", "artist=Ada", "--set", "copyright=Ada 2026", "--out", str(tmp_path)]
    assert main([*command, "--url", exif]) == 0
    copy = json.loads(capsys.readouterr().out)["copy"]
    with Image.open(copy) as image:
        assert (image.getexif()[0x013B], image.getexif()[0x8298]) == ("Ada", "Ada 2026")


def test_a_clean_copy_keeps_and_removes_what_is_named(
    exif: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def tags(*options: str) -> set[str]:
        assert main(["exif", str(SAMPLE), "--strip", *options, "--out", str(tmp_path), "--url", exif]) == 0
        with Image.open(json.loads(capsys.readouterr().out)["clean_copy"]) as image:
            return {*map(str, image.getexif()), *(["gps"] if image.getexif().get_ifd(0x8825) else [])}

    assert "315" in tags("--keep", "artist")
    assert "gps" not in tags("--remove", "gps")
    assert {"271", "272"} <= tags("--remove", "gps")


def test_a_thumbnail_is_written(exif: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "with.jpg"
    thumbnail = encoded(gradient(size=(16, 12)), "JPEG")
    path.write_bytes(piexif_insert(thumbnail))
    assert main(["exif", str(path), "--thumbnail", "--out", str(tmp_path / "out"), "--url", exif]) == 0
    with Image.open(json.loads(capsys.readouterr().out)["thumbnail"]) as image:
        assert image.size == (16, 12)
    assert main(["exif", str(SAMPLE), "--thumbnail", "--out", str(tmp_path / "out"), "--url", exif]) == 1
    assert "no thumbnail" in capsys.readouterr().err


def piexif_insert(thumbnail: bytes) -> bytes:
    import piexif

    out = io.BytesIO()
    piexif.insert(piexif.dump({"0th": {271: b"x"}, "1st": {259: 6}, "thumbnail": thumbnail}), PHOTO, out)
    return out.getvalue()
