"""Which changes below a folder are changes of code."""

from __future__ import annotations

from pathlib import Path

import pytest

from knative.local.engine.fingerprint import fingerprint


@pytest.mark.parametrize(
    ("name", "is_code"),
    [
        ("main.py", True),
        ("static/page.css", True),
        ("package.json", True),
        ("requirements.txt", True),
        ("results.json", False),
        ("notes.txt", False),
        (".cache/kept.py", False),
    ],
)
def test_a_file_is_code_or_data(tmp_path: Path, name: str, is_code: bool):
    before = fingerprint(str(tmp_path))
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("x")
    assert (fingerprint(str(tmp_path)) != before) == is_code


def test_other_suffixes_name_manifests_alone(tmp_path: Path):
    before = fingerprint(str(tmp_path), {".yaml"})
    (tmp_path / "package.json").write_text("{}")
    assert fingerprint(str(tmp_path), {".yaml"}) == before
