"""The command `pixelamp` against real servers: files in, results out, exit codes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from functions.client.__main__ import main
from functions.histogram.analysis import analyse
from functions.kit.settings import Settings
from tests.images import encoded, gradient
from tests.servers import FunctionServer, free_port

PHOTO = encoded(gradient(size=(120, 80)), "JPEG")
COUNTS = analyse(PHOTO, Settings()).document()["histogram"]


@pytest.fixture
def url(servers: Callable[..., FunctionServer]) -> str:
    return servers("histogram").url


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.jpg").write_bytes(PHOTO)
    (tmp_path / "deep/b.PNG").write_bytes(encoded(gradient("L")))
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


def test_one_file_is_one_object(url: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["histogram", str(folder / "a.jpg"), "--url", url]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["file"] == str(folder / "a.jpg")
    assert result["histogram"] == COUNTS


def test_a_folder_is_its_images_in_order(url: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["histogram", str(folder), "--url", url]) == 0
    assert [each["file"] for each in json.loads(capsys.readouterr().out)] == [
        str(folder / "a.jpg"),
        str(folder / "deep/b.PNG"),
    ]


def test_a_glob_and_a_file_twice_count_once(url: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(folder / "**/*.*g"), str(folder / "a.jpg"), "--url", url, "-o", "ndjson", "--jobs", "2"]
    assert main(["histogram", *arguments]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [Path(json.loads(line)["file"]).name for line in lines] == ["a.jpg"]


def test_a_refused_file_does_not_stop_the_others(url: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [str(folder / name) for name in ("notes.txt", "a.jpg")]
    assert main(["histogram", *paths, "--url", url]) == 1
    captured = capsys.readouterr()
    refused, counted = json.loads(captured.out)
    assert refused["error"].startswith("422 Not a readable image")
    assert counted["histogram"] == COUNTS
    assert "notes.txt: 422" in captured.err


def test_options_reach_the_function(url: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--bins", "4", "--channels", "red", "--region", "0,0,10,10", "--normalize", "--cumulative"]
    assert main(["histogram", str(folder / "a.jpg"), "--url", url, *options]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["bins"], list(result["channels"]), result["region"]) == (4, ["red"], [0, 0, 10, 10])
    assert result["histogram"][-1] == 1


def test_csv_is_one_table(url: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["histogram", str(folder), "--url", url, "-o", "csv", "--bins", "2"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(Path(row["file"]).name, row["level"]) for row in rows] == [
        ("a.jpg", "0"),
        ("a.jpg", "128"),
        ("b.PNG", "0"),
        ("b.PNG", "128"),
    ]
    assert (rows[0]["gray"], rows[2]["red"]) == ("", "")
    assert int(rows[0]["luminance"]) == sum(COUNTS[:128])


def test_text_draws_the_histogram(
    url: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["histogram", str(folder / "a.jpg"), "--url", url, "-o", "text"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("a.jpg: 120 × 80, JPEG, RGB")
    assert sum("█" in line for line in lines) >= 4
    assert any(line.startswith("  luminance") for line in lines)
    assert all(len(line) <= 80 for line in lines if "█" in line or "#" in line)


@pytest.mark.parametrize(("name", "magic"), [("p.png", b"\x89PNG"), ("p.svg", b"<svg"), ("p.pdf", b"%PDF")])
def test_a_plot_is_written(
    url: str, folder: Path, tmp_path: Path, name: str, magic: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / name
    arguments = [str(folder / "a.jpg"), "--url", url, "--plot", str(target), "--width", "300", "--theme", "dark"]
    assert main(["histogram", *arguments]) == 0
    assert target.read_bytes().startswith(magic)
    if name == "p.png":
        assert Image.open(io.BytesIO(target.read_bytes())).size == (300, 400)


def test_plots_of_several_go_into_a_folder(url: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["histogram", str(folder), "--url", url, "--plot", str(folder / "plots")]) == 0
    assert sorted(path.name for path in (folder / "plots").iterdir()) == ["a.jpg.png", "b.PNG.png"]


@pytest.mark.parametrize("start", [[], ["histogram"]])
@pytest.mark.parametrize("path", ["/process-image", "/histogram/process-image"])
def test_octo_lamps_own_flags(
    url: str, folder: Path, start: list[str], path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    plot = folder / "out.png"
    arguments = ["--image", str(folder / "a.jpg"), "--url", url + path, "--histogram", str(plot)]
    assert main([*start, *arguments]) == 0
    assert json.loads(capsys.readouterr().out)["histogram"] == COUNTS
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_the_subcommand_may_stand_behind_the_flags(url: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--url", url, "histogram", str(folder / "a.jpg")]) == 0
    assert json.loads(capsys.readouterr().out)["histogram"] == COUNTS
    with pytest.raises(SystemExit):
        main(["--url", url, "exif", "--plot", "p.png", "a.jpg"])
    assert "unrecognized arguments: --plot" in capsys.readouterr().err  # it is histogram that has it


def test_a_host_below_localhost_is_this_machine(url: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port = url.rpartition(":")[2]
    address = f"http://histogram.default.localhost:{port}"
    assert main(["histogram", str(folder / "a.jpg"), "--url", address]) == 0
    assert json.loads(capsys.readouterr().out)["histogram"] == COUNTS


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["histogram"],
        ["histogram", "/nowhere/at/all.jpg"],
        ["histogram", "/nowhere/*.jpg"],
        ["histogram", __file__, "--plot", "plot.gif"],
        ["histogram", __file__, "--jobs", "0"],
        ["exif"],
        ["nonsense"],
    ],
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: pixelamp" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["histogram"], ["exif"], ["stress"]])
def test_nobody_there(command: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = [] if command == ["stress"] else [str(folder / "a.jpg")]
    arguments = [*command, *file, "--url", f"http://127.0.0.1:{free_port()}", "--retries", "0"]
    assert main(arguments) == 3
    assert "no answer from http://127.0.0.1" in capsys.readouterr().err


def test_exif_tells_and_cleans(
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
    assert "is the picture itself" in capsys.readouterr().err


def test_stress(servers: Callable[..., FunctionServer], capsys: pytest.CaptureFixture[str]) -> None:
    url = servers("stress").url
    assert main(["stress", "--seconds", "0.1", "--load", "20", "--url", url]) == 0
    assert json.loads(capsys.readouterr().out)
    assert main(["stress", "--cpu", "--url", url]) == 0
    assert "cpu" in json.loads(capsys.readouterr().out)
    assert main(["stress", "--seconds", "-1", "--url", url]) == 1
    assert "400 Option not allowed" in capsys.readouterr().err
