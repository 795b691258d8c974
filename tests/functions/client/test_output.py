"""What the command prints where its output cannot take it: a sentence and an exit code, never a traceback."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from functions.client import histogram, output
from functions.client.photos import Outcome
from functions.histogram.analysis import analyse
from functions.kit.http.settings import Settings
from tests.images import encoded, gradient
from tests.servers import ROOT, FunctionServer

FULL = Path("/dev/full")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "Zürich.png"
    path.write_bytes(encoded(gradient()))
    return path


def pixelamp(
    *arguments: object, shell: str = "", stdout: int = subprocess.PIPE, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """The command in a process of its own; `shell` is what is written behind it."""
    command = ["sh", "-c", f'exec "$@" {shell}', "sh", sys.executable, "-m", "functions.client", *map(str, arguments)]
    # Buffered, as for most: what is left in the buffer is written, or cannot be, when the command ends.
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "", **environment}
    return subprocess.run(command, env=variables, stdout=stdout, stderr=subprocess.PIPE, timeout=60, check=False)


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")
@pytest.mark.parametrize("form", ["text", "json", "ndjson", "csv"])
def test_a_full_disk_is_reported(form: str, photo: Path, servers: Callable[..., FunctionServer]) -> None:
    url = servers("histogram").url
    ended = pixelamp("histogram", photo, "--url", url, "-o", form, shell=">/dev/full")
    assert ended.stderr.decode() == "pixelamp: standard output: No space left on device\n"
    assert ended.returncode == 4


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")
def test_a_full_disk_is_reported_for_little_output_too(servers: Callable[..., FunctionServer]) -> None:
    ended = pixelamp("stress", "--cpu", "--url", servers("stress").url, shell=">/dev/full")
    assert (ended.returncode, ended.stderr) == (4, b"pixelamp: standard output: No space left on device\n")


def test_a_closed_output_is_reported(photo: Path, servers: Callable[..., FunctionServer]) -> None:
    ended = pixelamp("histogram", photo, "--url", servers("histogram").url, shell=">&-")
    assert (ended.returncode, ended.stderr) == (4, b"pixelamp: standard output is closed\n")


def test_a_pipe_closed_by_its_reader_is_not_a_failure(photo: Path, servers: Callable[..., FunctionServer]) -> None:
    paths = [photo] + [photo.with_name(f"{number}.png") for number in range(40)]
    for path in paths:
        path.write_bytes(photo.read_bytes())
    url = servers("histogram").url
    ended = pixelamp("histogram", *paths, "--url", url, "-o", "ndjson", shell="| head -c 10")
    assert (ended.stdout[:9], ended.stderr) == (b'{"file": ', b"")


class Slow(BaseHTTPRequestHandler):
    """Answers the first file alone; the others are kept waiting until the test is over."""

    def do_POST(self) -> None:
        if self.rfile.read(int(self.headers["Content-Length"])) != b"0":
            self.server.over.wait()
            return
        body = b'{"groups": {}, "summary": "none", "privacy": {}}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: the test's output is its own."""


@pytest.fixture
def slow() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        server.over = threading.Event()
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.over.set()
        server.shutdown()
        thread.join()


def many(folder: Path, url: str) -> list[object]:
    """A command of several uploads at the same time, whose patience is longer than the test's."""
    paths = [folder / f"{number}.png" for number in range(3)]
    for path in paths:
        path.write_text(path.stem)
    return ["exif", *paths, "--url", url, "-o", "ndjson", "--jobs", 3, "--timeout", 1000]


def test_a_reader_who_has_seen_enough_waits_for_no_upload_that_is_under_way(slow: str, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = pixelamp(*many(tmp_path, slow), stdout=writing)
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (-signal.SIGPIPE, b"")  # as of any program before `| head`


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")
def test_a_full_disk_waits_for_no_upload_that_is_under_way(slow: str, tmp_path: Path) -> None:
    ended = pixelamp(*many(tmp_path, slow), shell=">/dev/full")
    assert (ended.returncode, ended.stderr) == (4, b"pixelamp: standard output: No space left on device\n")


@pytest.mark.parametrize(
    ("form", "broken"),
    [
        ("text", {"size": []}),
        ("text", {"figures": {"red": 1}}),
        ("csv", {"bins": 0}),
        ("csv", {"channels": {"red": [1]}}),
    ],
)
def test_an_answer_of_another_form_costs_its_file_alone(
    photo: Path, form: str, broken: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    good = analyse(photo.read_bytes(), Settings()).document()
    outcomes = [Outcome(Path("odd.png"), {**good, **broken}), Outcome(photo, good)]
    out = io.StringIO()
    assert output.write(outcomes, form, histogram._text, histogram._rows, several=True, out=out) == 1
    assert capsys.readouterr().err.startswith("pixelamp: odd.png: unexpected form of the response")
    assert photo.name in out.getvalue()
    assert "odd.png" not in out.getvalue()


def test_letters_that_the_terminal_does_not_have_are_replaced(
    photo: Path, servers: Callable[..., FunctionServer]
) -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    ended = pixelamp("histogram", photo, "--url", servers("histogram").url, "-o", "text", **ascii_only)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert b"Z?rich.png: 64 ? " in ended.stdout


def test_json_is_the_same_in_every_encoding(photo: Path, servers: Callable[..., FunctionServer]) -> None:
    url = servers("histogram").url
    printed = [
        pixelamp("histogram", photo, "--url", url, "-o", "json", PYTHONIOENCODING=encoding).stdout
        for encoding in ("ascii", "latin-1", "utf-8")
    ]
    assert {json.loads(each)["file"] for each in printed} == {str(photo)}


def test_a_file_name_outside_unicode_is_not_a_failure(photo: Path, servers: Callable[..., FunctionServer]) -> None:
    odd = Path(os.fsdecode(os.fsencode(photo.parent) + b"/caf\xe9.png"))
    odd.write_bytes(photo.read_bytes())
    for form in ("text", "csv", "json", "ndjson"):
        ended = pixelamp("histogram", odd, "--url", servers("histogram").url, "-o", form, PYTHONIOENCODING="utf-8")
        assert (ended.returncode, ended.stderr) == (0, b"")
        if "json" in form:  # for programs, which find the file by it
            assert os.fsencode(json.loads(ended.stdout)["file"]) == os.fsencode(odd)
        else:
            assert b"caf?.png" in ended.stdout


def test_a_folder_that_cannot_be_created_is_reported(photo: Path, servers: Callable[..., FunctionServer]) -> None:
    ended = pixelamp("exif", photo, "--url", servers("exif").url, "--strip", "--out", photo / "below")
    assert ended.returncode == 1
    assert ended.stderr.decode() == f"pixelamp: {photo}: [Errno 20] Not a directory: '{photo / 'below'}'\n"
