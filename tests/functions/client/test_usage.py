"""Usage of the command `pixelamp`: refused arguments, addresses without a server, exit codes, completion."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from functions.client.__main__ import main
from tests.servers import ROOT, free_port


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
