"""Services: the Configuration and the Route of each, and the status that follows from theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from knative.local.api.history import Object
from knative.local.api.store import Store
from knative.local.controllers.events import Events
from knative.local.controllers.objects import (
    CONFIGURATIONS,
    ROUTES,
    SERVICES,
    annotations_of,
    condition,
    controlled_by,
    ensure,
    find,
    key_of,
    set_status,
)
from knative.local.controllers.serving import children
from knative.local.controllers.serving.traffic import Key, Traffic
from knative.local.jsontypes import JsonMapping
from knative.local.pods.service import Service

_EARLY_SECONDS = 0.5
"""From a change of a Service until it may have failed: a client that made the change watches for what comes later."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What Services are reconciled with.

    Attributes:
        store: Holds the objects.
        shown: What hosts lead to, by namespace and name.
        traffic: Reconciles Routes.
        events: Records what happens to Services.
        template: Returns the template of a Service as it runs; None where that is its own.
        code: Returns a fingerprint of the code that processes run.
        say: Takes each line for the log.
        done: Takes each line about what was done.
        touch: Has a name looked at once more.
    """

    store: Store
    shown: Mapping[Key, Service]
    traffic: Traffic
    events: Events
    template: Callable[[Key], JsonMapping | None]
    code: Callable[[], str]
    say: Callable[[str], None]
    done: Callable[[str], None]
    touch: Callable[[Key], None]


class Services:
    """Reconciles Services, and the Routes that follow their Configurations.

    Args:
        parts: See `Parts`.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._early: dict[Key, int] = {}

    def give_children(self, key: Key) -> None:
        """Give the Service of a name, if there is one, its Configuration and its Route."""
        service = find(self._parts.store, SERVICES, *key)
        if service is not None:
            self._children(service)

    def show_route(self, key: Key) -> None:
        """Bring a Route into line, and the status of the Service that has it."""
        route, service = find(self._parts.store, ROUTES, *key), find(self._parts.store, SERVICES, *key)
        if route is not None:
            self._parts.traffic.reconcile(route)
        if service is not None and self._owns(service):
            self._service_status(service)
        elif route is not None:
            self._show(route, ("Ready", "AllTrafficAssigned", "IngressReady"))

    def _owns(self, service: Object) -> bool:
        """Whether a Service has its Configuration and Route, and both are its own."""
        found = (find(self._parts.store, resource, *key_of(service)) for resource in (CONFIGURATIONS, ROUTES))
        return all(one is not None and controlled_by(one, service) for one in found)

    def _children(self, service: Object) -> None:
        """Give a Service its Configuration and its Route, unless objects of those names are another's."""
        key = key_of(service)
        template = self._parts.template(key) or service["spec"]["template"]
        existing = find(self._parts.store, CONFIGURATIONS, *key)
        configuration = children.make_configuration(service, template, existing, self._parts.code())
        first = annotations_of(existing).get(children.CODE, "") if existing is not None else ""
        if first and self._parts.code() not in ("", first):
            self._say_named(service, template)
        for resource, desired in ((CONFIGURATIONS, configuration), (ROUTES, children.make_route(service))):
            before = find(self._parts.store, resource, *key)
            if before is not None and not controlled_by(before, service):
                status = children.not_owned(service, resource, self._parts.store.timestamp())
                set_status(self._parts.store, SERVICES, service, status)
                return
            after = ensure(self._parts.store, resource, desired)
            kind = desired["kind"]
            if before is None:
                message = f'Created {kind} "{key[1]}"'
                self._parts.events.record(service, "Created", message, component="service-controller")
            elif resource == ROUTES and after["spec"] != before["spec"]:
                self._parts.done(f"{key[1]}: traffic")

    def _say_named(self, service: Object, template: JsonMapping) -> None:
        name = (template.get("metadata") or {}).get("name")
        if name:
            text = f"the code has changed, and {name} keeps its own: rename the revision"
            self._parts.say(f"{service['metadata']['name']}: {text}")

    def _service_status(self, service: Object) -> None:
        key = key_of(service)
        configuration, route = (self._parts.store.get(resource, *key) for resource in (CONFIGURATIONS, ROUTES))
        early = any(condition(one).false for one in (configuration, route)) and self._is_early(service)
        status = children.service_status(service, configuration, route, self._parts.store.timestamp(), early=early)
        after = set_status(self._parts.store, SERVICES, service, status)
        self._show(after, ("Ready", "ConfigurationsReady", "RoutesReady"))

    def _is_early(self, service: Object) -> bool:
        """Whether the specification of a Service is so new that its failure would be missed by who waits for it."""
        key, generation = key_of(service), int(service["metadata"]["generation"])
        if (service.get("status") or {}).get("observedGeneration") != generation:
            self._early[key] = generation
            asyncio.get_running_loop().call_later(_EARLY_SECONDS, self._settle, key, generation)
        return self._early.get(key) == generation

    def _settle(self, key: Key, generation: int) -> None:
        if self._early.get(key) == generation:
            del self._early[key]
            self._parts.touch(key)

    def _show(self, obj: Object, kinds: tuple[str, ...]) -> None:
        shown = self._parts.shown.get(key_of(obj))
        if shown is not None:
            obj = find(self._parts.store, ROUTES, *key_of(obj)) or obj if obj["kind"] == "Route" else obj
            shown.manifest = obj
            shown.conditions = [condition(obj, kind) for kind in kinds]
