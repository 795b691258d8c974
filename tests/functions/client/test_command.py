"""The command `pixelamp` against real servers: files in, results out, exit codes."""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from functions.client import photos, stress, transport
from functions.client.__main__ import main
from functions.histogram.analysis import analyse
from functions.kit.http.settings import Settings
from tests.images import encoded, gradient
from tests.servers import ROOT, FunctionServer, free_port

PHOTO = encoded(gradient(size=(120, 80)), "JPEG")
COUNTS = analyse(PHOTO, Settings()).document()["histogram"]


class ForeignOriginError(BaseHTTPRequestHandler):
    """Sends everybody to a description, as a proxy that takes http for https does."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(301)
        self.send_header("Location", "/described")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        if self.path != "/described":
            return self.do_POST()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "16")
        self.end_headers()
        self.wfile.write(b'{"name": "exif"}')
        return None

    def log_message(self, *_: object) -> None:
        pass


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
    plots = folder / "plots"
    assert main(["histogram", str(folder), "--url", url, "--plot", str(plots)]) == 0
    assert [plots / "a.jpg.png", plots / "deep/b.PNG.png"] == sorted(plots.rglob("*.png"))
    assert main(["histogram", str(folder / "deep/b.PNG"), "--url", url, "--plot", str(plots)]) == 0
    assert (plots / "b.PNG.png").read_bytes() == (plots / "deep/b.PNG.png").read_bytes()


def test_a_plot_of_one_picture_goes_into_a_folder_that_is_named_as_one(url: str, folder: Path) -> None:
    assert main(["histogram", str(folder / "a.jp*"), "--url", url, "--plot", f"{folder}/new/"]) == 0
    assert (folder / "new/a.jpg.png").read_bytes().startswith(b"\x89PNG")


def test_an_empty_address_variable_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXELAMP_URL", "")
    parser = argparse.ArgumentParser()
    transport.add_arguments(parser)
    assert parser.parse_args([]).url == transport.DEFAULT_URL


def test_plots_of_equal_names_stand_in_folders_as_the_pictures_do(url: str, folder: Path) -> None:
    for name, mode in (("x", "L"), ("y", "RGB")):
        (folder / "two" / name).mkdir(parents=True)
        (folder / "two" / name / "same.png").write_bytes(encoded(gradient(mode)))
    plots = folder / "plots"
    assert main(["histogram", str(folder / "two"), "--url", url, "--plot", str(plots)]) == 0
    assert (plots / "x/same.png.png").read_bytes() != (plots / "y/same.png.png").read_bytes()


def test_a_plot_never_takes_the_place_of_a_picture(url: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = folder / "deep/b.PNG"
    before = picture.read_bytes()
    assert main(["histogram", str(picture), "--url", url, "--plot", str(picture)]) == 1
    assert picture.read_bytes() == before
    assert "is one of the pictures themselves" in capsys.readouterr().err


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
        ["histogram", __file__, "--url", "http://[::1"],
        ["histogram", __file__, "--url", "http://host:99999"],
        ["histogram", __file__, "--url", "ftp://host"],
        ["histogram", __file__, "--token", "schlüssel"],
        ["exif"],
        ["exif", __file__, "--timeout", "0"],
        ["exif", __file__, "--timeout", "-1"],
        ["exif", __file__, "--timeout", "1e300"],
        ["exif", __file__, "--retries", "-1"],
        ["exif", __file__, "--retries", "²"],
        ["stress", "--seconds", "nan"],
        ["stress", "--hold", "inf"],
        ["send", __file__, "--to", "http://[::1"],
        ["send", __file__, "--timeout", "0"],
        ["events", "--at", "http://[::1"],
        ["nonsense"],
    ],
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    message, hint = capsys.readouterr().err.splitlines()
    assert message.startswith("pixelamp")
    assert hint.endswith("--help")


def test_a_wrong_address_in_the_environment_is_wrong_usage_of_what_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXELAMP_URL", "http://[::1")
    for command in (["exif", __file__], ["stress"], ["send", __file__], ["events"]):
        with pytest.raises(SystemExit) as ended:
            main(command)
        assert ended.value.code == 2


@pytest.mark.parametrize("command", [["histogram"], ["exif"], ["stress"]])
def test_an_address_without_a_server_is_reported(
    command: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = [] if command == ["stress"] else [str(folder / "a.jpg")]
    arguments = [*command, *file, "--url", f"http://127.0.0.1:{free_port()}", "--retries", "0"]
    assert main(arguments) == 3
    assert "no response from http://127.0.0.1" in capsys.readouterr().err


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


@pytest.mark.parametrize(
    ("answer", "code", "text"),
    [
        ({"ended": "completed", "shortfall": None}, 0, ""),
        ({"ended": "server stopped"}, 1, "the burn ended early: server stopped"),
        ({"achieved": {}}, 0, ""),
        (
            {
                "ended": "short",
                "shortfall": {"requested": 80, "achieved": 41.2, "reason": "no free core", "detail": "waited 3 s"},
            },
            1,
            "the load fell short: requested 80 %, achieved 41.2 %: no free core: waited 3 s",
        ),
        (
            {
                "ended": "over",
                "excess": {"requested": 1, "achieved": 8.2, "reason": "start of the process", "detail": "0.07 s"},
            },
            1,
            "the load was exceeded: requested 1 %, achieved 8.2 %: start of the process: 0.07 s",
        ),
    ],
)
def test_a_load_that_was_not_held_ends_in_1(
    answer: dict[str, Any], code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stress.outcome(answer) == code
    assert text in capsys.readouterr().err


def test_stress(servers: Callable[..., FunctionServer], capsys: pytest.CaptureFixture[str]) -> None:
    url = servers("stress").url
    assert main(["stress", "--sleep-ms", "20", "--nice", "0", "--url", url]) == 0
    assert json.loads(capsys.readouterr().out)
    assert main(["stress", "--cpu", "--url", url]) == 0
    assert "cpu" in json.loads(capsys.readouterr().out)
    assert main(["stress", "--seconds", "-1", "--url", url]) == 1
    assert "400 Option not allowed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "hold", "sleep_ms", "length"),
    [(None, None, None, 10), (0, None, None, 0), (0, 15, None, 15), (20, 15, 500, 20.5), (-1, None, -5, 0)],
)
def test_the_length_of_the_work_comes_on_top_of_the_wait(
    seconds: float | None, hold: float | None, sleep_ms: float | None, length: float
) -> None:
    assert stress.length(argparse.Namespace(seconds=seconds, hold=hold, sleep_ms=sleep_ms, levels=None)) == length
    levels = argparse.Namespace(seconds=None, hold=hold, sleep_ms=None, levels="1x500ms,10..20x1m,5x2s")
    assert stress.length(levels) == max(62.5, hold or 0)


def test_memory_held_longer_than_the_wait_is_not_a_failure(servers: Callable[..., FunctionServer]) -> None:
    hold = ["--seconds", "0", "--memory-mb", "1", "--hold", "2"]
    assert main(["stress", *hold, "--timeout", "0.9", "--retries", "0", "--url", servers("stress").url]) == 0


@pytest.mark.parametrize(
    ("command", "address"),
    [
        (["histogram", "a.jpg"], "exif"),
        (["histogram", "a.jpg", "--plot", "p.png"], "exif"),
        (["exif", "a.jpg"], "exif/strip"),
        (["exif", "a.jpg"], "exif?flat=1"),
        (["exif", "a.jpg", "-o", "csv"], "histogram"),
        (["exif", "a.jpg", "-o", "text"], "histogram"),
    ],
)
def test_another_functions_address_is_recognised(
    command: list[str],
    address: str,
    servers: Callable[..., FunctionServer],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folder)
    there = servers("histogram" if address == "histogram" else "exif").url
    assert main([*command, "--url", f"{there}/{address}"]) == 1
    assert f"is not the function {command[0]}" in capsys.readouterr().err
    assert not (folder / "p.png").exists()


def test_a_redirect_is_not_taken_for_the_result(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), ForeignOriginError) as moved:
        thread = threading.Thread(target=moved.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{moved.server_port}"
        plot = folder / "rp.png"
        codes = [
            main([*command, "--url", url])
            for command in (
                ["exif", str(folder / "a.jpg"), "-o", "csv"],
                ["histogram", str(folder / "a.jpg"), "--plot", str(plot)],
                ["stress"],
                ["stress", "--cpu"],
            )
        ]
        moved.shutdown()
        thread.join()
    assert codes == [1, 1, 1, 1]
    assert capsys.readouterr().err.count("redirected to /described") == 4
    assert not plot.exists()


SAMPLE = ROOT / "docs" / "sample.jpg"


@pytest.fixture
def exif(servers: Callable[..., FunctionServer]) -> str:
    return servers("exif").url


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


def test_pictures_are_compared_with_the_first(url: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["histogram", str(folder), "--compare", "--csv", "--figures", "--url", url]) == 0
    first, second = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert first["compare_earth_movers"] == ""
    assert float(second["compare_earth_movers"]) > 0
    assert first["luminance_mean"]


def test_options_of_counting_reach_the_function(url: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["histogram", str(folder / "a.jpg"), "--percentiles", "25,75", "--colours", "0", "--range", "0,127"]
    assert main([*command, "--url", url]) == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result["percentiles"]["luminance"]) == {"25", "75"}
    assert result["colours"] == []


@pytest.mark.parametrize("function", ["histogram", "exif"])
def test_standard_input_is_a_file(
    function: str, servers: Callable[..., FunctionServer], monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    photos._standard_input.cache_clear()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(PHOTO)))
    assert main([function, "-", "--url", servers(function).url]) == 0
    assert json.loads(capsys.readouterr().out)["file"] == "-"
    photos._standard_input.cache_clear()


def test_what_a_folder_holds_beside_is_counted(url: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "README").write_text("no image")
    assert main(["histogram", str(folder), "--url", url]) == 0
    told = capsys.readouterr().err
    assert "2 files skipped: " in told
    assert "1 .txt" in told
    assert "1 without an ending" in told


def test_samples_arrive_as_lines_while_it_burns(
    servers: Callable[..., FunctionServer], capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["stress", "--seconds", "1", "--load", "5", "--format", "ndjson", "--url", servers("stress").url])
    *samples, last = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all("cpu_percent" in sample for sample in samples)
    assert (code == 0) == (last["result"]["ended"] == "completed")


def test_a_limit_is_refused_with_the_way_to_raise_it(
    servers: Callable[..., FunctionServer], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = servers("histogram", HISTOGRAM_MAX_PIXELS="100").url
    assert main(["histogram", str(folder / "a.jpg"), "--url", small]) == 1
    told = capsys.readouterr().err
    assert "the limit is 100 pixels (HISTOGRAM_MAX_PIXELS); to raise it: HISTOGRAM_MAX_PIXELS=… make serve" in told
    assert "kn service update histogram --env HISTOGRAM_MAX_PIXELS=…" in told


def test_options_of_the_service_may_come_first(url: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--timeout", "30", "--url", url, "histogram", str(folder / "a.jpg")]) == 0
    assert json.loads(capsys.readouterr().out)["histogram"] == COUNTS


def test_the_page_is_opened(url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: not opened.append(address))
    assert main(["open", "histogram", "--url", url]) == 0
    assert opened == [f"{url}/histogram"]
    monkeypatch.setattr("webbrowser.open", lambda _address: False)
    assert main(["open", "--url", url]) == 1
    assert "no browser could be started" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_its_completion(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert "pixelamp" in capsys.readouterr().out


def test_subcommands_are_completed(tmp_path: Path) -> None:
    answer = tmp_path / "answer"
    line = "pixelamp hist"
    environment = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_STDOUT_FILENAME": str(answer), "COMP_LINE": line}
    environment |= {"COMP_POINT": str(len(line)), "_ARGCOMPLETE_IFS": "\n"}
    command = [sys.executable, "-m", "functions.client"]
    subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=False, timeout=60)
    assert answer.read_text().strip() == "histogram"


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        (0, ["histogram", "{folder}/a.jpg"]),
        (1, ["histogram", "{folder}/notes.txt"]),
        (2, ["histogram"]),
        (2, ["exif", "{folder}/a.jpg", "--strip"]),
        (2, ["exif", "{folder}/a.jpg", "--set", "colour=red", "--out", "{folder}/out"]),
        (2, ["exif", "{folder}/a.jpg", "--keep", "icc"]),
        (2, ["histogram", "{folder}/a.jpg", "--compare"]),
        (3, ["histogram", "{folder}/a.jpg", "--url", "http://127.0.0.1:1", "--retries", "0"]),
        (4, ["histogram", "{folder}/a.jpg", "--output", "json", ">/dev/full"]),
    ],
)
def test_the_table_of_exit_codes(code: int, arguments: list[str], url: str, folder: Path) -> None:
    full = arguments[-1].startswith(">")
    words = [word.format(folder=folder) for word in arguments if not word.startswith(">")]
    if "--url" not in words:
        words += ["--url", url]
    with Path("/dev/full" if full else os.devnull).open("w") as out:
        done = subprocess.run(
            [sys.executable, "-m", "functions.client", *words],
            cwd=ROOT,
            stdout=out,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == code, done.stderr
    assert f"| {code} |" in (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
