"""The command `pixelamp` against real servers: files in, results out, exit codes."""

from __future__ import annotations

import argparse
import csv
import io
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

from functions.client import photos, transport
from functions.client.__main__ import main
from functions.histogram.analysis import analyse
from functions.kit.http.settings import Settings
from tests.functions.client.conftest import PHOTO
from tests.images import encoded, gradient
from tests.servers import FunctionServer

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
