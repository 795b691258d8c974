"""Delivery of an event: which responses are retried, when, and the attributes of a dead letter.

Follows `pkg/kncloudevents` of knative/eventing. Pure.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from knative.local.manifests.grammar import parse_period

# Delivery of a Broker without `spec.delivery`, from config-br-defaults as Knative ships it.
DEFAULT = {"retry": 10, "backoffPolicy": "exponential", "backoffDelay": "PT0.2S"}
# Seconds after which broker fan-out gives up on a subscriber.
DEFAULT_TIMEOUT = 900.0
# 2^n seconds exceed a month at n = 22.
_MAX_WAIT = 3600.0
ERROR_DATA_LENGTH = 1024


@dataclass(frozen=True)
class Policy:
    """A DeliverySpec without its dead-letter sink.

    Attributes:
        retry: tries after the first.
        exponential: whether waits double; otherwise they grow by `delay`.
        delay: unit of the waits, in seconds.
        timeout: seconds a subscriber has for a response.
        json: whether events are sent in structured mode.
    """

    retry: int = 0
    exponential: bool = True
    delay: float = 0.0
    timeout: float = DEFAULT_TIMEOUT
    json: bool = False

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Policy:
        """Return the policy of a DeliverySpec that validation has accepted."""
        return cls(
            retry=int(spec.get("retry", 0)),
            exponential=spec.get("backoffPolicy") != "linear",
            # Knative waits only if both are given.
            delay=parse_period(spec["backoffDelay"]) if "backoffPolicy" in spec and "backoffDelay" in spec else 0.0,
            timeout=parse_period(spec["timeout"]) if "timeout" in spec else DEFAULT_TIMEOUT,
            json=spec.get("format") == "json",
        )

    def wait(self, failed: int) -> float | None:
        """Return the seconds until the next try after so many failed ones, or None if there is none.

        delay · 2^n or delay · n with n = 0 after the first failure, as Knative counts: a linear back-off tries
        again at once.
        """
        if failed > self.retry:
            return None
        step = failed - 1
        factor = 2.0 ** min(step, 64) if self.exponential else float(step)
        return min(self.delay * factor, _MAX_WAIT)


def retried(status: int | None) -> bool:
    """Return whether a response is retried: none at all, 404, 408, 409, 429 and every 5xx."""
    return status is None or status in (404, 408, 409, 429) or status >= 500


def error_attributes(destination: str, status: int | None, body: bytes) -> dict[str, str]:
    """Return the extension attributes of a dead letter, which state the failure.

    Args:
        destination: URL of the subscriber that failed.
        status: its last status; 500 if there was no response, as in Knative.
        body: its last body; its base64 is cut at 1,024 characters.
    """
    attributes = {
        "knativeerrordest": destination,
        "knativeerrorcode": str(status if status is not None else 500),
        "knativeerrordata": base64.b64encode(body[:ERROR_DATA_LENGTH]).decode()[:ERROR_DATA_LENGTH],
    }
    return {name: value for name, value in attributes.items() if value}
