"""Access to the API: a token, a certificate and the kubeconfig that holds both.

kubectl sends a token over TLS alone, so each start makes a certificate for loopback names; its key exists in memory
and, while it is loaded, in a file that only its owner can read.
"""

from __future__ import annotations

import base64
import hmac
import ipaddress
import os
import secrets
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509

NAME = "pixelamp"
_NAMES = ("localhost",)
_ADDRESSES = ("127.0.0.1", "::1")
_DAYS = 3650


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


def make_access() -> Access:
    """Return a new token and certificate."""
    key, certificate = _certificate()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with tempfile.TemporaryDirectory() as folder:  # readable by its owner alone; Python loads a key from files alone
        path = Path(folder) / "server.pem"
        path.write_bytes(key + certificate)
        context.load_cert_chain(path)
    return Access(secrets.token_urlsafe(32), certificate, context)


def _certificate() -> tuple[bytes, bytes]:
    """Return a private key and a certificate for this machine's loopback names, in PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    names = [
        *map(x509.DNSName, _NAMES),
        *(x509.IPAddress(ipaddress.ip_address(address)) for address in _ADDRESSES),
    ]
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8
    pem = serialization.Encoding.PEM
    return key.private_bytes(pem, form, serialization.NoEncryption()), certificate.public_bytes(pem)


def _usage() -> x509.KeyUsage:
    """Return what the key is for: signing itself and handshakes. Strict clients require the extension."""
    from cryptography import x509

    unused = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign")
    others = dict.fromkeys((*unused, "encipher_only", "decipher_only"), False)
    return x509.KeyUsage(digital_signature=True, key_cert_sign=True, **others)


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
