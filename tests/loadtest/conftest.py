"""What tests of the load suite share."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(path)]
    names = ["-subj", "/CN=exif.example.com", "-addext", "subjectAltName=DNS:exif.example.com"]
    command = ["openssl", "req", "-x509", "-days", "2", *key, *names, "-out", str(path.with_suffix(".crt"))]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("openssl cannot make a certificate here")
    path.write_text(path.read_text() + path.with_suffix(".crt").read_text())
    return path
