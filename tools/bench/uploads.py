"""Uploads: our reading of a form against Werkzeug's form parser, a raw body beside it, and whole requests by CPU."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from pathlib import Path

from werkzeug.formparser import parse_form_data

from functions.kit.http.body import Body
from functions.kit.http.settings import Settings
from functions.kit.http.uploads import read_uploads
from tests.images import encoded
from tests.servers import FunctionServer, Server, free_port
from tools.bench.harness import Bench, cpu_nanoseconds
from tools.bench.sizes.pictures import photograph
from tools.figures import LEAST_PAIRS

SETTINGS = Settings(function="bench")
BOUNDARY = "----7MA4YWxkTrZu0gW"
# Many short turns: on a shared machine a turn's time wanders by a fifth, the median of many does not.
REQUESTS, TURNS = 50, 25
SMOKE = {"REQUESTS": 1, "TURNS": 1, "LEAST_PAIRS": 1}
FASTAPI = """
import io
import numpy as np
from fastapi import FastAPI, File, UploadFile
from PIL import Image

app = FastAPI()

@app.get("/readyz")
def ready():
    return {}

@app.post("/process-image")
async def process_image(file: UploadFile = File(...)):
    image = Image.open(io.BytesIO(await file.read()))
    counts, _ = np.histogram(np.array(image.convert("L")), bins=256)
    return {"histogram": counts.tolist()}
"""
FORM_TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def form(data: bytes) -> bytes:
    """A browser's form with one file."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n'
    return f"{head}Content-Type: image/jpeg\r\n\r\n".encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode()


def _parsers(bench: Bench) -> None:
    """Both sizes, ours first."""
    for label, size, times, bound in (("4 MB", 4_000_000, 5, 0.3), ("200 kB", 200_000, 40, None)):
        data = os.urandom(size)
        body = form(data)

        def ours(body: bytes = body, times: int = times) -> None:
            for _ in range(times):
                read_uploads(Body(io.BytesIO(body), len(body), SETTINGS), FORM_TYPE, 4)

        def werkzeug(body: bytes = body, times: int = times) -> None:
            environ = {"REQUEST_METHOD": "POST", "CONTENT_TYPE": FORM_TYPE, "CONTENT_LENGTH": str(len(body))}
            for _ in range(times):
                _, _, files = parse_form_data({**environ, "wsgi.input": io.BytesIO(body)})
                files["file"].read()

        def raw(data: bytes = data, times: int = times) -> None:
            for _ in range(times):
                read_uploads(Body(io.BytesIO(data), len(data), SETTINGS), "image/jpeg", 4)

        bench.paired(f"{label} multipart, {times}×, against Werkzeug's form parser", ours, werkzeug, bound)
        bench.paired(f"{label} raw body, {times}×, against our multipart", raw, ours)


def _cpu_of_requests(server: Server, path: str, **arguments: object) -> float:
    """CPU milliseconds of the server process for one request, the mean of many over a kept connection."""
    before = cpu_nanoseconds(server.process.pid)
    for _ in range(REQUESTS):
        assert server.post(path, **arguments).status_code == 200
    return (cpu_nanoseconds(server.process.pid) - before) / REQUESTS / 1e6


def _requests(bench: Bench, folder: Path) -> None:
    """End to end, one process each."""
    gray = encoded(photograph(512, 512, "L"), "PNG")
    (folder / "peer.py").write_text(FASTAPI)
    ours = FunctionServer("histogram")
    port = free_port()
    peer = Server(port, [sys.executable, "-m", "uvicorn", "peer:app", "--port", str(port)], {}, "/readyz", folder)
    try:
        files = {"file": ("gray.png", gray, "image/png")}
        pairs = []
        for turn in range(TURNS + 1):
            mine = _cpu_of_requests(ours, "/process-image", files=files)
            theirs = _cpu_of_requests(peer, "/process-image", files=files)
            if turn:
                pairs.append((mine, theirs))
        bench.ratios("512² gray PNG, multipart: against FastAPI + np.histogram", pairs, 0.36, "ms CPU a request")
        photo = encoded(photograph(1024, 768), "JPEG", quality=80)
        raw, form = [], []
        for _ in range(LEAST_PAIRS):
            raw.append(_cpu_of_requests(ours, "/", data=photo))
            form.append(_cpu_of_requests(ours, "/", files={"file": ("photo.jpg", photo)}))
        name = f"{len(photo) // 1000} kB JPEG: raw body against multipart"
        bench.ratios(name, list(zip(raw, form, strict=True)), None, "ms CPU a request")
    finally:
        ours.stop()
        peer.stop()


def run(bench: Bench) -> None:
    """Print the figures."""
    _parsers(bench)
    with tempfile.TemporaryDirectory() as name:
        _requests(bench, Path(name))
