"""Sources of events: PingSources on their schedule, and SinkBindings, which give Services the address of a sink."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from functions.kit.cloudevents.binding import Event
from knative.local.eventing.broker import Broker
from knative.local.eventing.topology import Ping
from knative.local.manifests.kinds import EVENTING, FLOWS, MESSAGING, SERVING, SINKS, SOURCES
from knative.local.manifests.resources import Manifests, Resource

EVENT_GROUPS = frozenset({EVENTING, FLOWS, MESSAGING, SOURCES, SINKS})
"""API groups whose objects need the broker."""
_LONGEST_WAIT = 60.0  # seconds


class Pinger:
    """The timers of all PingSources.

    Args:
        clock: seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._broker: Broker | None = None
        self._started = False
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._sending: set[asyncio.Task[None]] = set()

    def apply(self, broker: Broker) -> None:
        """Run the PingSources of the broker's topology from now on, and no others."""
        self._broker = broker
        if self._started:
            self.start()

    def start(self) -> None:
        """Set the timers."""
        self.stop()
        self._started = True
        if self._broker is not None:
            for ping in self._broker.ingress.topology.pings:
                self._arm(self._broker, ping)

    def stop(self) -> None:
        """Clear the timers; an event that is being written goes on."""
        self._started = False
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _arm(self, broker: Broker, ping: Ping) -> None:
        now = datetime.fromtimestamp(self._clock(), UTC)
        moment = ping.schedule.after(now)
        if moment is None:
            return
        wait = max(moment.timestamp() - self._clock(), 0.0)
        loop = asyncio.get_running_loop()
        # A long wait is made of short ones, so that a clock that was set is noticed.
        self._timers[ping.node] = loop.call_later(min(wait, _LONGEST_WAIT), self._wake, broker, ping, moment)

    def _wake(self, broker: Broker, ping: Ping, moment: datetime) -> None:
        if self._clock() >= moment.timestamp():
            task = asyncio.get_running_loop().create_task(self._send(broker, ping))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        self._arm(broker, ping)

    async def _send(self, broker: Broker, ping: Ping) -> None:
        moment = datetime.fromtimestamp(self._clock(), UTC).isoformat().replace("+00:00", "Z")
        event = Event({**ping.attributes, "id": str(uuid.uuid4()), "time": moment}, ping.data)
        try:
            await broker.accept(ping.node, event)
        except (sqlite3.Error, OSError, LookupError) as error:
            broker.activity.emit("log-failed", error=f"an event of {ping.node} was not kept: {error}")


def bind_sinks(manifests: Manifests, origin: str) -> tuple[Manifests, dict[str, str]]:
    """Give bound Services the variables `K_SINK` and `K_CE_OVERRIDES`, as Knative's webhook does.

    Args:
        manifests: Services and SinkBindings among others.
        origin: scheme, host and port of this engine.

    Returns:
        The manifests with the variables in the templates of bound Services; and what is not bound, with the reason, by
        the name of the SinkBinding.
    """
    services = {(one.namespace, one.name): one for one in manifests.services}
    unbound: dict[str, str] = {}
    for binding in manifests.of("SinkBinding", SOURCES):
        subject, spec = binding.data["spec"]["subject"], binding.data["spec"]
        chosen = [one for one in services.values() if one.namespace == binding.namespace and _is_subject(one, subject)]
        sink = _address(spec["sink"], binding.namespace, origin)
        if not chosen:
            wanted = subject.get("name") or "of its labels"
            reason = f"there is no Service {wanted} among the manifests"
            if (subject["apiVersion"].rpartition("/")[0], subject["kind"]) != (SERVING, "Service"):
                reason = f"a {subject['kind']} ({subject['apiVersion']}) is not run on this machine"
            unbound[f"SinkBinding {binding.namespace}/{binding.name}"] = reason
        overrides = spec.get("ceOverrides")
        variables = {"K_SINK": sink}
        if overrides:
            variables["K_CE_OVERRIDES"] = json.dumps(overrides, separators=(",", ":"))
        for one in chosen:
            services[one.namespace, one.name] = one.with_variables(variables)
    return manifests.with_services(lambda one: services[one.namespace, one.name]), unbound


def _is_subject(service: Resource, subject: Mapping[str, Any]) -> bool:
    if (subject["apiVersion"].rpartition("/")[0], subject["kind"]) != (SERVING, "Service"):
        return False
    if subject.get("name"):
        return service.name == str(subject["name"])
    selector, labels = subject.get("selector", {}), service.metadata.get("labels", {})
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    return all(_fits(labels, one) for one in selector.get("matchExpressions", []))


def _fits(labels: Mapping[str, str], expression: Mapping[str, Any]) -> bool:
    value, values = labels.get(expression["key"]), expression.get("values", [])
    return {
        "In": value in values,
        "NotIn": value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }[expression["operator"]]


def _address(sink: Mapping[str, Any], namespace: str, origin: str) -> str:
    """The address of a sink as a process of this machine reaches it."""
    reference, uri = sink.get("ref"), sink.get("uri", "")
    if reference is None:
        return str(uri)
    place, name = reference.get("namespace") or namespace, reference["name"]
    kinds = {"Broker": "broker", "Channel": "channel", "InMemoryChannel": "channel"}
    if reference["kind"] in kinds:
        return f"{origin}/_knative/{kinds[reference['kind']]}/{place}/{name}"
    path = f"/{uri.lstrip('/')}" if uri else ""
    return f"{origin}/{name}{path}" if place == "default" else f"http://{name}.{place}.svc.cluster.local{path}"
