"""The pods that may call Services, and the credential of each."""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import dataclass


@dataclass(frozen=True)
class Caller:
    """A pod that calls.

    Attributes:
        namespace: Its own.
        confined: Whether it has a network of its own, from which this machine's loopback address cannot be reached.
    """

    namespace: str
    confined: bool = False


class Callers:
    """The credentials of the pods that run."""

    def __init__(self) -> None:
        self._by_token: dict[str, Caller] = {}
        self._tokens: dict[str, str] = {}

    def admit(self, pod: str, caller: Caller) -> str:
        """A new credential for a pod, as `user:password`."""
        token = secrets.token_urlsafe(24)
        self._tokens[pod] = token
        self._by_token[token] = caller
        return f"pod:{token}"

    def dismiss(self, pod: str) -> None:
        """Accept the credential of a pod no more: it has ended."""
        self._by_token.pop(self._tokens.pop(pod, ""), None)

    def of(self, credentials: bytes | None) -> Caller | None:
        """The pod that a `Proxy-Authorization` header identifies, or None."""
        scheme, _, encoded = (credentials or b"").partition(b" ")
        if scheme.lower() != b"basic":
            return None
        try:
            decoded = base64.b64decode(encoded.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
        return self._by_token.get(decoded.partition(":")[2])
