"""A Python package that is missing when a request needs it is named by the answer; the file is not blamed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from functions.kit.server.application import build
from tests.images import encoded, gradient, png_of

DEEP = png_of(1, 1, 16, 0, b"\0\x12\x34", b"")
JPEG = encoded(gradient(), "JPEG")
# The magic number and version of OpenEXR, and an empty header.
EXR = b"v/1\x01\x02\0\0\0\0"
EVENT = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/me", "ce-type": "dev.pixelamp.image.uploaded"}


def refusal(function: str, path: str, data: bytes, headers: dict[str, str]) -> tuple[int, dict[str, object]]:
    app, _ = build(function)
    response = app.test_client().post(path, data=data, headers=headers)
    return response.status_code, response.get_json(force=True)


@pytest.mark.parametrize(
    ("package", "function", "path", "data", "headers"),
    [
        ("numpy", "histogram", "/", DEEP, {}),
        ("numpy", "histogram", "/", DEEP, {**EVENT, "Content-Type": "image/png"}),
        ("xxhash", "histogram", "/", JPEG, {}),
        ("piexif", "exif", "/set?artist=A", JPEG, {}),
    ],
)
def test_a_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch, package: str, function: str, path: str, data: bytes, headers: dict[str, str]
):
    monkeypatch.setitem(sys.modules, package, None)
    status, problem = refusal(function, path, data, headers)
    assert (status, problem["type"], problem["package"]) == (501, "/problems/missing-package", package)
    assert f"{package} cannot be loaded" in str(problem["detail"])


def test_a_missing_package_of_the_process_that_decodes_large_images_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    (tmp_path / "OpenEXR.py").write_text("raise ModuleNotFoundError('No module named OpenEXR', name='OpenEXR')")
    monkeypatch.syspath_prepend(tmp_path)
    status, problem = refusal("histogram", "/", EXR, {})
    assert (status, problem["package"]) == (501, "OpenEXR")
