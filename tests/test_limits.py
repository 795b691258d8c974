"""The table of limits is true: every limit is in it, with the code's own figure and a test that is there."""

from __future__ import annotations

import dataclasses
import re

import pytest

from functions.exif.blocks import ifd, rdf
from functions.exif.scan import result as blocks
from functions.kit.http import uploads
from functions.kit.http.settings import Settings
from functions.kit.server import application, gunicorn_worker
from functions.stress.plan import StressSettings
from knative.local.engine import eventing
from knative.local.proxy import headers
from knative.local.proxy.http1 import downstream
from tests.servers import ROOT

PAGE = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
ROWS = [
    tuple(cell.strip() for cell in line.strip("|").split("|"))
    for line in PAGE.partition("\n## Limits\n")[2].partition("\n## ")[0].splitlines()
    if line.startswith("|") and not line.startswith("|--")
][1:]
# Settings that limit nothing.
OTHERS = {"faults", "start_seconds", "function", "workers", "token", "cors_origins", "dataref_hosts", "log_format"}
KIB, MIB = 1024, 2**20
# What the table says is fixed, as it says it, and the constants behind it.
FIXED = {
    "other fields of a form": {"100": [uploads.MAX_FIELDS]},
    "seconds for a request's headers": {"10 s": [gunicorn_worker.HEAD_SECONDS, downstream.HEAD_SECONDS]},
    "bytes of a request's first line: function; target: route": {
        "4,094": [gunicorn_worker.LINE_BYTES],
        "16 KiB": [headers.TARGET_BYTES / KIB],
    },
    "bytes of the headers; of one field": {
        "64 KiB": [headers.HEAD_BYTES / KIB, gunicorn_worker.HEAD_BYTES / KIB],
        "16,380": [gunicorn_worker.FIELD_BYTES],
    },
    "header fields: function; route": {"100": [gunicorn_worker.FIELDS], "200": [headers.HEAD_FIELDS]},
    "bytes of chunk extensions and trailers: route": {"64 KiB": [headers.HEAD_BYTES / KIB]},
    "requests in a pipeline: route": {"100": [downstream.PIPELINED]},
    "idle connection: function; route": {"100 s": [application.KEEPALIVE_SECONDS], "120 s": [downstream.IDLE_SECONDS]},
    "bytes of an event at the local broker": {"64 MiB": [eventing.BODY_BYTES / MIB]},
    "bytes that compressed metadata unpack to": {"4 MiB": [blocks.MAX_INFLATED / MIB]},
    "entries of a directory; properties of an XMP packet": {"4,096": [ifd.MAX_ENTRIES], "20,000": [rdf.MAX_NODES]},
}


def test_the_table_is_read() -> None:
    assert len(ROWS) > 20
    assert all(len(row) == 4 and all(row) for row in ROWS)


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(StressSettings)])
def test_every_setting_that_limits_is_in_the_table(name: str) -> None:
    prefix = "<NAME>" if name in {field.name for field in dataclasses.fields(Settings)} else "STRESS"
    shown = any(f"`{prefix}_{name.upper()}`" in row[1] for row in ROWS)
    assert shown or name in OTHERS


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_every_variable_of_the_table_is_a_setting(row: tuple[str, ...]) -> None:
    fields = {field.name.upper() for field in dataclasses.fields(StressSettings)}
    assert set(re.findall(r"`(?:<NAME>|STRESS)_(\w+)`", row[1])) <= fields


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_every_row_names_a_test_that_is_there_and_speaks_of_its_answer(row: tuple[str, ...]) -> None:
    path = re.fullmatch(r"`(tests/[\w/]+\.py)`", row[3])
    assert path, row[3]
    text = (ROOT / path[1]).read_text(encoding="utf-8")
    for attack in ("exhaustion", "framing") if path[1].endswith("test_attacks.py") else ():
        text += (ROOT / f"tools/chaos/{attack}.py").read_text(encoding="utf-8")
    for status in re.findall(r"\b[45]\d\d\b", row[2]):
        assert status in text, f"{path[1]} knows no {status}"


def test_every_fixed_figure_is_the_codes() -> None:
    fixed = {row[0]: row[1] for row in ROWS if row[1].endswith(", fixed")}
    assert fixed.keys() == FIXED.keys()
    for name, said in fixed.items():
        for text, values in FIXED[name].items():
            assert text in said
            figure = float(re.sub(r"[^\d.]", "", text))
            assert values == [figure] * len(values), name
