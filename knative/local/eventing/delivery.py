"""Delivery of an event: which responses are retried, when, and the attributes of a dead letter.

Follows `pkg/kncloudevents` of knative/eventing. Pure.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from knative.local.jsontypes import JsonMapping
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
        retry_after_max: the most seconds that a Retry-After of 429 or 503 may ask for; 0 ignores it, as Knative does
            without `retryAfterMax`.
    """

    retry: int = 0
    exponential: bool = True
    delay: float = 0.0
    timeout: float = DEFAULT_TIMEOUT
    json: bool = False
    retry_after_max: float = 0.0

    @classmethod
    def of(cls, spec: JsonMapping) -> Policy:
        """Return the policy of a DeliverySpec that validation has accepted."""
        return cls(
            retry=int(spec.get("retry", 0)),
            exponential=spec.get("backoffPolicy") != "linear",
            # Knative waits only if both are given.
            delay=parse_period(spec["backoffDelay"]) if "backoffPolicy" in spec and "backoffDelay" in spec else 0.0,
            timeout=parse_period(spec["timeout"]) if "timeout" in spec else DEFAULT_TIMEOUT,
            json=spec.get("format") == "json",
            retry_after_max=parse_period(spec["retryAfterMax"]) if "retryAfterMax" in spec else 0.0,
        )

    def wait(self, failed: int, asked: float = 0.0) -> float | None:
        """Return the seconds until the next try after so many failed ones, or None after the last.

        The longer counts of the back-off and of the seconds that the subscriber `asked` for, up to `retry_after_max`.

        delay · 2^n or delay · n with n = 0 after the first failure, as Knative counts: a linear back-off tries
        again at once.
        """
        if failed > self.retry:
            return None
        step = failed - 1
        factor = 2.0 ** min(step, 64) if self.exponential else float(step)
        return max(min(self.delay * factor, _MAX_WAIT), min(asked, self.retry_after_max))


def retried(status: int | None) -> bool:
    """Return whether a response is retried: none at all, 404, 408, 409, 429 and every 5xx."""
    return status is None or status in (404, 408, 409, 429) or status >= 500


def retry_after(status: int | None, headers: Mapping[str, str], now: float) -> float:
    """Return the seconds for which a response of 429 or 503 asks by Retry-After, in seconds or as a date; else 0."""
    text = next((value for name, value in headers.items() if name.lower() == "retry-after"), "").strip()
    if status not in (429, 503) or not text:
        return 0.0
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, OverflowError):
        return 0.0


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
