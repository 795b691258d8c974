"""Events of Kubernetes: what happened to an object, counted where it happens again, and forgotten after an hour."""

from __future__ import annotations

import time
import uuid
from collections import OrderedDict
from collections.abc import Callable

from knative.local.api.store import Store
from knative.local.controllers.objects import EVENTS, find, timestamp
from knative.local.jsontypes import JsonMapping

KEPT = 1_000
KEPT_SECONDS = 3600.0


class Events:
    """Writes events into a store.

    Args:
        store: Where they are.
        clock: Seconds since the epoch.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock
        # By what they say: namespace, name, and when they were seen last; the longest ago first.
        self._seen: OrderedDict[tuple[str, str, str], tuple[str, str, float]] = OrderedDict()

    def record(self, obj: JsonMapping, reason: str, message: str, *, component: str, warning: bool = False) -> None:
        """Record that something happened to an object."""
        now = self._clock()
        self._forget(now)
        metadata = obj["metadata"]
        key = (metadata["uid"], reason, message)
        namespace = metadata.get("namespace") or "default"
        known = self._seen.pop(key, None)
        event = find(self._store, EVENTS, *known[:2]) if known is not None else None
        if event is not None:
            again = {"count": event["count"] + 1, "lastTimestamp": timestamp(now)}
            self._store.update(EVENTS, {**event, **again})
            name = event["metadata"]["name"]
        else:
            name = f"{metadata['name']}.{uuid.uuid4().hex[:16]}"
            self._store.create(
                EVENTS,
                {
                    "apiVersion": "v1",
                    "kind": "Event",
                    "metadata": {"name": name, "namespace": namespace},
                    "involvedObject": {
                        "apiVersion": obj["apiVersion"],
                        "kind": obj["kind"],
                        "name": metadata["name"],
                        "namespace": namespace,
                        "uid": metadata["uid"],
                        "resourceVersion": metadata["resourceVersion"],
                    },
                    "reason": reason,
                    "message": message,
                    "type": "Warning" if warning else "Normal",
                    "count": 1,
                    "firstTimestamp": timestamp(now),
                    "lastTimestamp": timestamp(now),
                    "eventTime": None,
                    "source": {"component": component},
                    "reportingComponent": component,
                    "reportingInstance": "",
                },
            )
        self._seen[key] = (namespace, name, now)

    def _forget(self, now: float) -> None:
        while self._seen:
            key, (namespace, name, last) = next(iter(self._seen.items()))
            if len(self._seen) < KEPT and now - last < KEPT_SECONDS:
                return
            del self._seen[key]
            if find(self._store, EVENTS, namespace, name) is not None:
                self._store.delete(EVENTS, namespace, name)
