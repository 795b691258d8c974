"""README and docs are true: their commands run, their settings are the code's, their links lead somewhere."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from functions import registry
from functions.kit.http.settings import table
from tests.conftest import FUNCTIONS
from tests.servers import ROOT, Engine, free_port

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# A fence says how its commands are shown to work: `sh` alone is run here against the local engine.
FENCE = re.compile(r"^```sh(?: needs=(\w+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [
    (match[1], match[2], f"{page.name} line {text[: match.start()].count(chr(10)) + 2}")
    for page in PAGES
    for text in [page.read_text(encoding="utf-8")]
    for match in FENCE.finditer(text)
]
NEEDS = {None, "cluster", "terminal", "time"}
# What a page shows at full length runs here for seconds; whole scenarios are run by the tests of the load suite.
SHORTER = [
    (r"^make (.*)$", rf"make --directory {ROOT} --dry-run \1"),
    # The objective of 1 s depends on the load of the machine.
    (r"--rate 1000 --connections 100 --duration 60", "--rate 20 --connections 10 --duration 2 --objective 60"),
    (r"http://INGRESS", "$PIXELAMP_URL"),
    (r"default\.example\.com", "default.localhost"),
    (r"^locust --master .*$", ":"),  # several machines; tests/loadtest/test_locust.py makes do with one
    (r"^locust (.*?)(?: --headless.*| +#.*)?$", r"locust \1 --headless --only-summary -u 2 -r 2 -t 4s"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the same content as a clone, where commands may write."""
    for name in ("docs", "knative", "loadtest", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


@pytest.mark.slow  # CI runs them all the same, beside the soak
@pytest.mark.parametrize(
    "commands",
    [pytest.param(text, id=where) for needs, text, where in BLOCKS if needs is None],
)
def test_the_commands_of_a_block_run(engine: Engine, folder: Path, commands: str):
    run(commands, engine, folder)


def run(commands: str, engine: Engine, folder: Path) -> None:
    """Run them as a reader does, against the engine of the tests."""
    commands = commands.replace("127.0.0.1:8080", f"127.0.0.1:{engine.port}").replace(
        "localhost:8080", f"localhost:{engine.port}"
    )
    # -f turns an error of the service into an error of the command.
    commands = re.sub(r"\bcurl ", "curl -fsS ", commands)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    address = {"PIXELAMP_URL": engine.url, "LOCUST_HOST": engine.url}
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), **address}
    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=90,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize(
    "commands",
    [pytest.param(text, id=where) for needs, text, where in BLOCKS if needs == "time"],
)
def test_the_long_commands_of_a_block_run_for_seconds(engine: Engine, folder: Path, commands: str):
    for long, short in SHORTER:
        commands = re.sub(long, short, commands, flags=re.MULTILINE)
    (folder / "pyproject.toml").symlink_to(ROOT / "pyproject.toml")
    run(commands, engine, folder)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_first_screen_in_a_fresh_clone(folder: Path, tmp_path: Path):
    """`make serve` with nothing but the clone, and the curl below it, with the sample that the clone holds."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    (_, start, _), (_, curls, _) = BLOCKS[:2]
    clone_and_enter, _, serve = start.partition("#")[0].strip().rpartition(" && ")
    assert (serve, clone_and_enter) == ("make serve", "git clone ADDRESS pixelamp && cd pixelamp")
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    with (tmp_path / "log").open("w+") as log:
        serving = subprocess.Popen(
            [*serve.split(), f"PORT={port}"], cwd=clone, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            deadline = time.monotonic() + 500
            while subprocess.run(["curl", "-fs", "-o", "/dev/null", f"http://127.0.0.1:{port}/"]).returncode:
                assert serving.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < deadline, (tmp_path / "log").read_text()
                time.sleep(0.5)
            curls = re.sub(r"\bcurl ", "curl -fsS ", curls.replace(":8080", f":{port}"))
            subprocess.run(["bash", "-euo", "pipefail", "-c", curls], cwd=clone, check=True, timeout=90)
        finally:
            serving.terminate()
            serving.wait(30)


def test_every_block_says_how_it_is_shown():
    assert {needs for needs, _, _ in BLOCKS} <= NEEDS
    assert sum(needs is None for needs, _, _ in BLOCKS) >= 3


EVERYTHING = "".join(page.read_text(encoding="utf-8") for page in PAGES)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\bmake ([a-z-]+)", EVERYTHING)) - {"it", "the", "one"}))
def test_every_make_target_that_is_named_exists(target: str):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^(?:[a-z-]+ )*{target}(?: [a-z-]+)*:", makefile, re.MULTILINE)


def test_the_settings_table_is_the_codes():
    settings = {name: registry.load(name).settings for name in FUNCTIONS}
    page = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- settings -->\n(.*?)\n<!-- /settings -->", page, re.DOTALL)
    assert shown, "docs/settings.md has no settings table"
    assert shown[1] == table(settings), "print it anew: python -m functions.registry"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_endpoints_table_has_every_route(name: str):
    endpoints = (ROOT / "docs/http-api.md").read_text(encoding="utf-8")
    for route in registry.load(name).routes:
        assert f"/{name}{route.path}".rstrip("/") in endpoints, f"docs/http-api.md: no {route.method} {route.path}"


def test_troubleshooting_quotes_the_actual_messages():
    shown = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    quoted = [
        text for row in re.findall(r"^\| (.*?) \| ", shown, re.MULTILINE) for text in re.findall(r"`([^`]+)`", row)
    ]
    messages = [text for text in quoted if re.match(r"[A-Z4]\d\d [a-z-]+$|[A-Za-z][a-z]+ (?:the|listen) ", text)]
    assert len(messages) >= 5
    said = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "functions/kit").rglob("*.py"))
    said += (ROOT / "knative/local/engine/serve.py").read_text(encoding="utf-8") + (ROOT / "Makefile").read_text(
        encoding="utf-8"
    )
    for message in messages:
        words = message.removeprefix("413 ").removeprefix("415 ").removeprefix("422 ").split(" 127.0.0.1")[0]
        assert words in said, message


LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_into_the_repository_leads_somewhere(page: Path):
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_first_screen_is_short():
    assert (ROOT / "README.md").read_text(encoding="utf-8").count("\n") <= 150


def test_the_sample_holds_what_the_readme_shows(engine: Engine):
    """The answer below the first curl, shortened there, is the function's."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = json.loads(re.search(r"^```json\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)[1])
    with (ROOT / "docs/sample.jpg").open("rb") as file:
        answer = requests.post(f"{engine.url}/exif", files={"file": file}, timeout=30).json()
    first = shown["privacy"]["findings"][0]
    assert {key: answer[key] for key in ("format", "width", "height", "summary")}.items() <= shown.items()
    assert shown["privacy"]["grade"] == answer["privacy"]["grade"]
    assert shown["privacy"]["sentence"] == answer["privacy"]["sentence"]
    assert any(first.items() <= {**found, "tags": ["…"]}.items() for found in answer["privacy"]["findings"])
