"""Uploads: our reading of a 4 MB multipart form against Werkzeug's form parser, and a raw body beside it."""

from __future__ import annotations

import io
import os

from werkzeug.formparser import parse_form_data

from functions.kit.http.body import Body
from functions.kit.http.settings import Settings
from functions.kit.http.uploads import read_uploads
from tools.bench.harness import Bench

SETTINGS = Settings(function="bench")
BOUNDARY = "----7MA4YWxkTrZu0gW"
FORM_TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def form(data: bytes) -> bytes:
    """A browser's form with one file."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n'
    return f"{head}Content-Type: image/jpeg\r\n\r\n".encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode()


def run(bench: Bench) -> None:
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
