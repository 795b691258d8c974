"""The certificate of the API, and the process that makes it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from knative.local.api.http import access
from knative.local.api.http.access import CertificateError, make_access


def test_an_engine_never_loads_what_makes_its_certificate() -> None:
    script = (
        "import sys\n"
        "from knative.local.api.http.access import make_access\n"
        "import knative.local.api.http.serving\n"
        "assert make_access().certificate.startswith(b'-----BEGIN CERTIFICATE-----')\n"
        "assert not [name for name in sys.modules if name.partition('.')[0] == 'cryptography']\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_what_clients_get_holds_no_private_key() -> None:
    made = make_access()
    assert made.certificate.count(b"-----BEGIN") == 1
    assert b"PRIVATE" not in made.certificate


def test_each_start_makes_another_certificate_and_token() -> None:
    one, other = make_access(), make_access()
    assert one.certificate != other.certificate
    assert one.token != other.token


def test_the_last_line_of_the_program_explains_a_missing_certificate(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "failing.py"
    program.write_text("import no_such_module")
    monkeypatch.setattr(access, "_PROGRAM", program)
    with pytest.raises(CertificateError, match=r"certificate cannot be made: .*No module named 'no_such_module'"):
        make_access()
