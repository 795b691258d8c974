"""How an event is delivered: which answers are tried again, when, and what a dead letter tells.

Follows `pkg/kncloudevents` of knative/eventing. Pure.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from knative.local.manifests.grammar import parse_period

# What a Broker without `spec.delivery` gets from the ConfigMap config-br-defaults as Knative ships it.
DEFAULT = {"retry": 10, "backoffPolicy": "exponential", "backoffDelay": "PT0.2S"}
# Broker fan-out gives up on a subscriber that has not answered by then, in seconds.
DEFAULT_TIMEOUT = 900.0
# A longer wait would outlive the machine's patience: 2^n of a second passes a month at n = 22.
_MAX_WAIT = 3600.0
ERROR_DATA_LENGTH = 1024


@dataclass(frozen=True)
class Policy:
    """A DeliverySpec without its dead-letter sink.

    Attributes:
        retry: Tries after the first.
        exponential: Whether waits double; otherwise they grow by `delay`.
        delay: Seconds the waits are made of.
        timeout: Seconds a subscriber has for one answer.
        json: Whether events are sent in structured mode.
    """

    retry: int = 0
    exponential: bool = True
    delay: float = 0.0
    timeout: float = DEFAULT_TIMEOUT
    json: bool = False

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Policy:
        """Read a DeliverySpec that validation has accepted."""
        return cls(
            retry=int(spec.get("retry", 0)),
            exponential=spec.get("backoffPolicy") != "linear",
            # Knative waits only where both are given.
            delay=parse_period(spec["backoffDelay"]) if "backoffPolicy" in spec and "backoffDelay" in spec else 0.0,
            timeout=parse_period(spec["timeout"]) if "timeout" in spec else DEFAULT_TIMEOUT,
            json=spec.get("format") == "json",
        )

    def wait(self, failed: int) -> float | None:
        """Seconds until the next try after so many failed ones, or None if there is none.

        delay · 2^n or delay · n with n = 0 after the first failure, as Knative counts: a linear back-off tries
        again at once.
        """
        if failed > self.retry:
            return None
        step = failed - 1
        factor = 2.0 ** min(step, 64) if self.exponential else float(step)
        return min(self.delay * factor, _MAX_WAIT)


def retried(status: int | None) -> bool:
    """Whether an answer is worth another try: none at all, 404, 408, 409, 429 and every 5xx."""
    return status is None or status in (404, 408, 409, 429) or status >= 500


def error_attributes(destination: str, status: int | None, body: bytes) -> dict[str, str]:
    """What a dead letter tells of the failure: three extension attributes.

    Args:
        destination: URL of the subscriber that failed.
        status: Its last status; 500 is said where there was no answer, as Knative does.
        body: Its last body; base64 of it is cut at 1,024 characters.
    """
    said = {
        "knativeerrordest": destination,
        "knativeerrorcode": str(status if status is not None else 500),
        "knativeerrordata": base64.b64encode(body[:ERROR_DATA_LENGTH]).decode()[:ERROR_DATA_LENGTH],
    }
    return {name: value for name, value in said.items() if value}
