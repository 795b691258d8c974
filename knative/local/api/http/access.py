"""Access to the API: a token, a certificate and the kubeconfig that holds both.

kubectl sends a token over TLS alone, so each start makes a certificate for loopback names; its key exists in memory
and, while it is loaded, in a file that only its owner can read.
"""

from __future__ import annotations

import base64
import hmac
import os
import secrets
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

NAME = "pixelamp"
_PROGRAM = Path(__file__).with_name("certificate.py")
_BEGIN = b"-----BEGIN CERTIFICATE-----"


@dataclass(frozen=True)
class Access:
    """What a client needs, and what the server compares it with.

    Attributes:
        token: the bearer token.
        certificate: the server's certificate, in PEM; it is its own authority.
        context: of the server.
    """

    token: str
    certificate: bytes
    context: ssl.SSLContext

    def allows(self, headers: Mapping[str, str]) -> bool:
        """Return whether a request has the token; compared in constant time."""
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), self.token.encode())

    def kubeconfig(self, server: str) -> str:
        """Return a kubeconfig for the server's URL."""
        import yaml

        authority = base64.b64encode(self.certificate).decode()
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": NAME, "cluster": {"server": server, "certificate-authority-data": authority}}],
            "users": [{"name": NAME, "user": {"token": self.token}}],
            "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME, "namespace": "default"}}],
            "current-context": NAME,
        }
        return str(yaml.safe_dump(content, sort_keys=False))


class CertificateError(RuntimeError):
    """The certificate cannot be made; the message says why."""


def make_access() -> Access:
    """Return a new token and certificate.

    Raises:
        CertificateError: the program that makes the certificate failed.
    """
    both = _certificate()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with tempfile.TemporaryDirectory() as folder:  # readable by its owner alone; Python loads a key from files alone
        path = Path(folder) / "server.pem"
        path.write_bytes(both)
        context.load_cert_chain(path)
    return Access(secrets.token_urlsafe(32), both[both.index(_BEGIN) :], context)


def _certificate() -> bytes:
    """Return a private key and, after it, its certificate, in PEM."""
    command = [sys.executable, "-P", str(_PROGRAM), NAME]
    made = subprocess.run(command, capture_output=True, check=False)
    if made.returncode or _BEGIN not in made.stdout:
        lines = made.stderr.decode(errors="replace").strip().splitlines()
        raise CertificateError(f"the certificate cannot be made: {lines[-1] if lines else made.returncode}")
    return made.stdout


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, in place of one that is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
