"""Reconciliation of Knative Serving: from the objects of the store to what runs, and back into their status."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from knative.local.api.history import Object
from knative.local.api.store import DELETED, Store
from knative.local.controllers.events import Events
from knative.local.controllers.objects import (
    CONFIGURATION_LABEL,
    CONFIGURATIONS,
    DEPLOYMENTS,
    EVENTS,
    NAMESPACES,
    PODS,
    REVISIONS,
    ROUTES,
    SERVICE_LABEL,
    SERVICES,
    find,
    key_of,
    labels_of,
)
from knative.local.controllers.serving import domains
from knative.local.controllers.serving.children import generation_of
from knative.local.controllers.serving.configurations import Configurations, Needs
from knative.local.controllers.serving.services import Parts, Services
from knative.local.controllers.serving.traffic import Around, Key, Traffic
from knative.local.controllers.workloads import Workloads
from knative.local.jsontypes import JsonMapping
from knative.local.manifests.cluster import Cluster
from knative.local.pods.revision import Revision
from knative.local.pods.service import Service
from knative.local.pods.template import Template

# Changes of pods that follow each other are written once. While no revision is new, nothing depends on the objects:
# a pod's process is started, and the first answer forwarded, before they show it.
_QUIET_SECONDS = 0.02
_COLLECT_SECONDS = 3600.0  # between two looks for revisions that have become stale
_SERVING = frozenset({SERVICES, CONFIGURATIONS, ROUTES, REVISIONS})
_OF_THE_ENGINE = frozenset({DEPLOYMENTS, EVENTS, NAMESPACES})


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What the engine gives the reconciliation.

    Attributes:
        services: What hosts lead to, by namespace and name.
        gather: Takes the objects that people write; returns the template of each Service by namespace and name.
        template: Reads a Revision.
        make: Makes what runs a Revision, of its name and template.
        leave: Stops what runs, for a reason, and calls back once it has ended.
        say: Takes each line for the log.
        changed: Called after each turn.
        host: Returns the host, with a port, of a Route or of a tag of its traffic, as it is reached from outside.
        cluster: The cluster's configuration.
        clock: Seconds since the epoch.
    """

    services: dict[Key, Service]
    gather: Callable[[], Mapping[Key, JsonMapping]]
    template: Callable[[Object], Template]
    make: Callable[[str, Template], Revision]
    leave: Callable[[Revision, str, Callable[[], None]], None]
    say: Callable[[str], None]
    changed: Callable[[], None]
    host: Callable[[Object, str | None], str]
    cluster: Callable[[], Cluster]
    clock: Callable[[], float]


class Reconciler:
    """Keeps what runs in line with the store.

    Args:
        store: Holds all objects; those that are in it already are taken up at the first turn.
        around: See `Surroundings`.

    Attributes:
        running: Revisions that run.
        code: A fingerprint of the code that processes run.
    """

    def __init__(self, store: Store, around: Surroundings) -> None:
        self.running: dict[Key, Revision] = {}
        self.code = ""
        self._store = store
        self._around = around
        self._events = Events(store, around.clock)
        self._workloads = Workloads(store, self._events)
        self._configurations = Configurations(
            Needs(
                store=store,
                running=self.running,
                owned=self._owned,
                events=self._events,
                workloads=self._workloads,
                template=around.template,
                make=around.make,
                say=around.say,
                done=self._done,
                cluster=around.cluster,
                clock=around.clock,
            )
        )
        self._traffic = Traffic(
            Around(
                store=store,
                services=around.services,
                running=self.running,
                owned=self._owned,
                say=around.say,
                host=around.host,
                rollout=lambda: float(around.cluster().network.rollout_duration),
                touch=self.touch,
            )
        )
        self._services = Services(
            Parts(
                store=store,
                shown=around.services,
                traffic=self._traffic,
                events=self._events,
                template=self._template_of,
                code=lambda: self.code,
                say=around.say,
                done=self._done,
                touch=self.touch,
            )
        )
        self._templates: Mapping[Key, JsonMapping] = {}
        self._by_configuration: dict[Key, set[str]] = defaultdict(set)
        self._dirty: dict[Key, None] = {}
        self._gathered = False
        self._writing = self._closed = False
        self._turn_due: asyncio.Handle | None = None
        self._collect_due: asyncio.Handle | None = None
        self._last_turn = 0.0
        self._lines: list[str] = []
        for resource, obj in store.everything():
            self._index(resource, "", obj)
        self.touch_all()
        store.on_change.append(self._heard)

    # Turns

    def touch(self, key: Key) -> None:
        """Look at what a key names once more, soon: what runs there has changed."""
        self._dirty[key] = None
        if self._turn_due is None and not self._closed:
            loop = asyncio.get_running_loop()
            since = loop.time() if self._settled(key) else self._last_turn
            self._turn_due = loop.call_at(max(loop.time(), since + _QUIET_SECONDS), self._turn)

    def _settled(self, key: Key) -> bool:
        """Whether the latest revision of a Configuration has been ready, so that traffic waits for none."""
        status = (find(self._store, CONFIGURATIONS, *key) or {}).get("status") or {}
        return bool(status.get("latestReadyRevisionName", "") == status.get("latestCreatedRevisionName"))

    def touch_all(self) -> None:
        """Look at everything at the next turn: the code or the engine's own settings have changed."""
        self._gathered = False
        for resource in (SERVICES, CONFIGURATIONS, ROUTES):
            self._dirty.update(dict.fromkeys(map(key_of, self._store.list(resource))))

    def start(self) -> None:
        """Look for stale revisions from time to time; changes are followed without it."""
        self._collect_due = asyncio.get_running_loop().call_later(_COLLECT_SECONDS, self._collect)

    def close(self) -> None:
        """Take no more turns."""
        self._closed = True
        self._store.on_change.remove(self._heard)
        for due in (self._turn_due, self._collect_due):
            if due is not None:
                due.cancel()

    def _collect(self) -> None:
        with self.own():
            for configuration in self._store.list(CONFIGURATIONS):
                self._configurations.collect(configuration)
        self.start()
        self._turn()

    def run(self) -> list[str]:
        """Bring all that has changed into line; returns what was done, a line each."""
        if self._turn_due is not None:
            self._turn_due.cancel()
            self._turn_due = None
        self._last_turn = asyncio.get_running_loop().time()
        with self.own():
            gathered, self._gathered = self._gathered, True
            if not gathered:
                self._gather()
            while self._dirty:
                key = next(iter(self._dirty))
                del self._dirty[key]
                try:
                    self._reconcile(key)
                except Exception as error:  # noqa: BLE001 - an internal error about one name holds up no other
                    self._done(f"{'/'.join(key)}: not applied: {type(error).__name__}: {error}")
            self._configurations.reread = False
            if not gathered:
                domains.write_status(self._store)
        lines, self._lines = self._lines, []
        self._around.changed()
        return lines

    def _turn(self) -> None:
        self._turn_due = None
        for line in self.run():
            self._around.say(line)

    def _gather(self) -> None:
        try:
            templates = self._around.gather()
        except Exception as error:  # noqa: BLE001 - an internal error: what was gathered before goes on
            self._done(f"not applied: {type(error).__name__}: {error}")
            return
        for key in templates.keys() | self._templates.keys():
            if templates.get(key) != self._templates.get(key):
                self._dirty[key] = None
        self._templates = templates

    @contextmanager
    def own(self) -> Iterator[None]:
        """Changes within follow from what runs: nothing has to be brought into line for them."""
        before, self._writing = self._writing, True
        try:
            yield
        finally:
            self._writing = before

    # Changes of the store

    def _heard(self, resource: str, type_: str, obj: Object) -> None:
        self._index(resource, type_, obj)
        if self._writing or resource in _OF_THE_ENGINE:
            return
        if resource == PODS:
            if type_ == DELETED or "deletionTimestamp" in obj["metadata"]:
                self._remove_pod(obj)
            return
        if resource in _SERVING:
            for key in self._keys(resource, obj):
                self._dirty[key] = None
        if resource not in _SERVING or resource in (SERVICES, ROUTES):
            self._gathered = False
        if resource in ("configmaps", "secrets"):
            self._configurations.reread = True
            self.touch_all()
        if self._turn_due is not None:
            self._turn_due.cancel()
        self._turn_due = asyncio.get_running_loop().call_soon(self._turn)

    def _keys(self, resource: str, obj: Object) -> list[Key]:
        namespace, name = key_of(obj)
        own = (namespace, name)
        if resource == REVISIONS:
            return [(namespace, labels_of(obj).get(CONFIGURATION_LABEL, "")), *self._traffic.followers(own)]
        return [own, *self._traffic.followers(own)]

    def _index(self, resource: str, type_: str, obj: Object) -> None:
        key = key_of(obj)
        if resource == REVISIONS:
            names = self._by_configuration[key[0], labels_of(obj).get(CONFIGURATION_LABEL, "")]
            if type_ == DELETED:
                names.discard(key[1])
                self._end(obj)
            else:
                names.add(key[1])
        elif resource == ROUTES and type_ == DELETED:
            with self.own():
                self._traffic.remove(obj)
        elif resource == SERVICES and type_ == DELETED:
            self._lines.append(f"{key[1]}: removed")

    def _remove_pod(self, obj: Object) -> None:
        running = self.running.get((obj["metadata"]["namespace"], labels_of(obj).get(_REVISION, "")))
        if running is not None:
            running.remove(obj["metadata"]["name"])

    def _end(self, obj: Object) -> None:
        """Stop what runs a Revision that was removed."""
        key = key_of(obj)
        running = self.running.pop(key, None)
        if running is None:
            return
        service = labels_of(obj).get(SERVICE_LABEL, "")
        gone = bool(service) and find(self._store, SERVICES, key[0], service) is None
        reason = f"the Service {service} was removed" if gone else f"the Revision {key[1]} was removed"
        with self.own():
            self._workloads.leave(key)
        self._around.leave(running, reason, lambda: self._forget(key))

    def _forget(self, key: Key) -> None:
        if not self._closed:
            with self.own():
                self._workloads.forget(key)

    def _done(self, line: str) -> None:
        self._lines.append(line)

    # One name

    def _template_of(self, key: Key) -> JsonMapping | None:
        """The template of a Service as it runs; None for one that was not gathered yet."""
        return self._templates.get(key)

    def _owned(self, key: Key) -> list[Object]:
        """The Revisions of a Configuration, the oldest generation first."""
        names = self._by_configuration.get(key, ())
        found = [one for name in names if (one := find(self._store, REVISIONS, key[0], name)) is not None]
        return sorted(found, key=lambda one: (generation_of(one), one["metadata"]["name"]))

    def _reconcile(self, key: Key) -> None:
        """Bring the Service, the Configuration and the Route of a name into line."""
        self._services.give_children(key)
        configuration = find(self._store, CONFIGURATIONS, *key)
        if configuration is not None:
            self._configurations.reconcile(configuration)
        # Those of other names, too, whose traffic goes to this Configuration; no Configuration depends on a Route.
        for route in {key: None, **dict.fromkeys(self._traffic.followers(key))}:
            self._services.show_route(route)
        if configuration is not None:
            self._configurations.collect(configuration)


_REVISION = "serving.knative.dev/revision"
