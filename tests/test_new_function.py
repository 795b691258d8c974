"""ARCHITECTURE.md tells how to add a function; this does exactly that, in a copy, serves it and calls it."""

from __future__ import annotations

import io
import re
import shutil
from pathlib import Path

from PIL import Image, ImageChops

from tests.images import encoded, gradient
from tests.servers import ROOT, Engine

BLOCK = re.compile(r"^`([\w/.]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_a_function_added_by_the_book_is_served_by_the_engine(tmp_path: Path):
    copy = tmp_path / "copy"
    for folder in ("functions", "knative"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    files = BLOCK.findall((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8"))
    assert [name for name, _ in files] == [
        "functions/invert/main.py",
        "functions/invert/page.html",
        "knative/services/invert.yaml",
    ]
    for name, text in files:
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_text(text, encoding="utf-8")

    picture = gradient()
    with Engine("knative/services/invert.yaml", folder=copy) as engine:
        answer = engine.post("/invert", data=encoded(picture, "PNG"))
        assert answer.status_code == 200, answer.text
        negative = Image.open(io.BytesIO(answer.content))
        assert ImageChops.add(negative, picture).getextrema() == ((255, 255), (255, 255), (255, 255))
        assert engine.get("/invert").json()["function"] == "invert"
        page = engine.get("/invert", headers={"Accept": "text/html"})
        assert "Invert" in page.text
