"""Routes as they run: the traffic of each host, step by step during a rollout, and what its status says of it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from knative.local.api.history import Object
from knative.local.api.store import Store
from knative.local.controllers.objects import (
    CONFIGURATION_LABEL,
    CONFIGURATIONS,
    REVISIONS,
    ROUTES,
    annotations_of,
    find,
    key_of,
    labels_of,
    set_status,
)
from knative.local.controllers.serving.children import generation_of
from knative.local.controllers.serving.routing import (
    VISIBILITY,
    Assignment,
    Known,
    Target,
    assign,
    label_revisions,
    route_status,
)
from knative.local.pods.revision import Revision
from knative.local.pods.rollout import Rollout, rollout_seconds
from knative.local.pods.service import Service, Share

Key = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Around:
    """What the traffic of all Routes needs.

    Attributes:
        store: Holds all objects.
        services: What hosts lead to, by namespace and name.
        running: Revisions that run.
        owned: Returns the Revision objects of a Configuration, the oldest generation first.
        say: Takes each line for the log.
        host: Returns the host, with a port, of a Route or of a tag of its traffic, as it is reached from outside.
        rollout: Seconds of a rollout where a Route states none.
        touch: Asks for the reconciliation of a key.
    """

    store: Store
    services: dict[Key, Service]
    running: Mapping[Key, Revision]
    owned: Callable[[Key], Sequence[Object]]
    say: Callable[[str], None]
    host: Callable[[Object, str | None], str]
    rollout: Callable[[], float]
    touch: Callable[[Key], None]


class Traffic:
    """All Routes."""

    def __init__(self, around: Around) -> None:
        self._around = around
        self._known = Known(been_ready=self._been_ready, failed=self._failed)
        self._rollouts: dict[Key, dict[str, Rollout]] = {}
        self._steps: dict[Key, asyncio.TimerHandle] = {}
        self._sources: dict[Key, frozenset[str]] = {}
        self._followers: dict[Key, set[str]] = defaultdict(set)
        self._labelled: dict[Key, set[str]] = defaultdict(set)
        self._announced: dict[Key, str] = {}

    def followers(self, key: Key) -> list[Key]:
        """Return the Routes whose traffic depends on a Configuration or on a Revision of a name."""
        return [(key[0], name) for name in sorted(self._followers.get(key, ()))]

    def remove(self, route: Object) -> None:
        """Forget a Route that was removed: its host leads nowhere, and its revisions are in reserve."""
        key = key_of(route)
        self._around.services.pop(key, None)
        self._rollouts.pop(key, None)
        self._announced.pop(key, None)
        if (step := self._steps.pop(key, None)) is not None:
            step.cancel()
        self._follow(key, frozenset())
        self._label(key, (), set())
        self._labelled.pop(key, None)

    def reconcile(self, route: Object) -> None:
        """Bring one Route into line: its host, its status and the routing state of its revisions."""
        key = key_of(route)
        assignment = assign(self._around.store, route, self._known)
        self._follow(key, _sources(self._around.store, route))
        # The Configuration of its own name last: its revisions are the newest, and its latest is the host's.
        sources = sorted(self._sources[key], key=lambda name: (name == key[1], name))
        objects = [one for name in sources for one in self._around.owned((key[0], name))]
        self._serve(key, route, objects, assignment)
        listed = self._listed(route, assignment)
        self._label(key, objects, listed)
        self._reach(key, objects, listed)

    # The host

    def _serve(self, key: Key, route: Object, objects: Sequence[Object], assignment: Assignment) -> None:
        service = self._around.services.get(key)
        if service is None:
            service = self._around.services[key] = Service(key[1], key[0])
        before = service.latest_ready
        service.public = labels_of(route).get(VISIBILITY) != "cluster-local"
        service.manifest = route
        service.revisions = [one for obj in objects if (one := self._around.running.get(key_of(obj))) is not None]
        service.latest_created, service.latest_ready = self._latest(key, assignment)
        moved = self._move(key, route, assignment)
        shares = [share for target in moved if (share := self._share(key, target)) is not None]
        service.plan = shares if assignment.waits else []
        if assignment.problem is None:
            service.traffic = shares
        else:  # as it was, by names: a Revision may have been removed and created again
            now = self._around.running
            service.traffic = [(now.get((key[0], one.name), one), share, tag) for one, share, tag in service.traffic]
        status = route_status(
            route,
            moved if assignment.problem is None else None,
            assignment.problem,
            any(one.next_step is not None for one in self._rollouts.get(key, {}).values()),
            self._around.host,
            self._around.store.timestamp(),
        )
        set_status(self._around.store, ROUTES, route, status)
        if service.latest_ready is not None and service.latest_ready is not before:
            name = service.latest_ready.name
            percent = sum(share for one, share, _ in service.traffic if one is service.latest_ready)
            self._around.say(f"{key[1]}: {name} is ready and gets {percent} % of the traffic")
        self._explain(key, service, assignment)

    def _latest(self, key: Key, assignment: Assignment) -> tuple[Revision | None, Revision | None]:
        """The latest created and the latest ready revision of the Configuration that a Route follows."""
        followed = next((target.configuration for target in assignment.targets if target.latest), key[1])
        configuration = find(self._around.store, CONFIGURATIONS, key[0], followed)
        status = (configuration or {}).get("status") or {}
        names = ("latestCreatedRevisionName", "latestReadyRevisionName")
        created, ready = (self._around.running.get((key[0], status.get(name, ""))) for name in names)
        return created, ready

    def _move(self, key: Key, route: Object, assignment: Assignment) -> list[Target]:
        """The targets with the shares of revisions while a rollout moves traffic between them."""
        latest = [target for target in assignment.targets if target.latest]
        rollouts = self._rollouts.setdefault(key, {})
        for name in rollouts.keys() - {_rollout_name(target) for target in latest}:
            del rollouts[name]
        seconds = rollout_seconds(annotations_of(route)) or self._around.rollout()
        loop = asyncio.get_running_loop()
        moved: list[Target] = []
        for target in assignment.targets:
            if not target.latest or not self._been_ready(key[0], target.revision):
                moved.append(target)
                continue
            rollout = rollouts.setdefault(_rollout_name(target), Rollout())
            rollout.move(target.revision, target.percent, loop.time(), seconds)
            moved += [
                # The tag's host leads to the latest revision at once.
                Target(name, share, target.tag if name == target.revision else "", latest=True)
                for name, share in rollout.shares
                if (key[0], name) in self._around.running
            ]
        if (step := self._steps.pop(key, None)) is not None:
            step.cancel()
        if steps := [one.next_step for one in rollouts.values() if one.next_step is not None]:
            self._steps[key] = loop.call_at(min(steps), self._around.touch, key)
        return moved

    def _share(self, key: Key, target: Target) -> Share | None:
        revision = self._around.running.get((key[0], target.revision))
        return None if revision is None else (revision, target.percent, target.tag or None)

    def _explain(self, key: Key, service: Service, assignment: Assignment) -> None:
        """Log once that traffic names a revision that cannot take it."""
        name = assignment.pinned
        if name and assignment.problem is not None and name != self._announced.get(key):
            stays = "the traffic stays as it was" if service.traffic else "there is no traffic yet"
            self._around.say(f"{key[1]}: {assignment.problem.words}: {stays}")
        self._announced[key] = name

    # Revisions

    def _been_ready(self, namespace: str, name: str) -> bool:
        running = self._around.running.get((namespace, name))
        return running is not None and running.progress.was_ready

    def _failed(self, namespace: str, name: str) -> bool:
        running = self._around.running.get((namespace, name))
        return running is not None and running.progress.failure is not None

    def _listed(self, route: Object, assignment: Assignment) -> set[str]:
        """Revisions that a Route leads to, or will once they are ready."""
        namespace = route["metadata"]["namespace"]
        status = find(self._around.store, ROUTES, *key_of(route)) or route
        listed = {one["revisionName"] for one in (status.get("status") or {}).get("traffic") or ()}
        listed |= {target.revision for target in assignment.targets}
        for name in {target.configuration for target in assignment.targets if target.configuration}:
            listed |= self._pending((namespace, name))
        return listed

    def _pending(self, key: Key) -> set[str]:
        """Revisions of a Configuration that are newer than the latest ready one, and the latest created."""
        configuration = find(self._around.store, CONFIGURATIONS, *key)
        status = (configuration or {}).get("status") or {}
        objects = self._around.owned(key)
        ready = [
            generation_of(one) for one in objects if one["metadata"]["name"] == status.get("latestReadyRevisionName")
        ]
        newest = ready[0] if ready else -1
        names = {one["metadata"]["name"] for one in objects if generation_of(one) > newest}
        return names | {status["latestCreatedRevisionName"]} if "latestCreatedRevisionName" in status else names

    def _label(self, key: Key, objects: Iterable[Object], listed: set[str]) -> None:
        """Write the routing state, also into revisions that the Route led to before."""
        known = {one["metadata"]["name"]: one for one in objects}
        for name in self._labelled[key] - known.keys():
            earlier = find(self._around.store, REVISIONS, key[0], name)
            if earlier is not None:
                known[name] = earlier
        label_revisions(self._around.store, key[1], known.values(), listed)
        self._labelled[key] = listed & known.keys()

    def _reach(self, key: Key, objects: Iterable[Object], listed: set[str]) -> None:
        """Let revisions without traffic go to zero; the latest created is kept as one that may get some."""
        for obj in objects:
            running = self._around.running.get(key_of(obj))
            if running is not None:
                owner = (key[0], labels_of(obj).get(CONFIGURATION_LABEL, ""))
                routed = bool(
                    annotations_of(find(self._around.store, REVISIONS, *key_of(obj)) or obj).get(
                        "serving.knative.dev/routes"
                    )
                )
                running.reachable = routed or running.name in listed or running.name in self._pending(owner)

    def _follow(self, key: Key, sources: frozenset[str]) -> None:
        before = self._sources.pop(key, frozenset())
        for name in before - sources:
            followers = self._followers[key[0], name]
            followers.discard(key[1])
            if not followers:
                del self._followers[key[0], name]
        for name in sources - before:
            self._followers[key[0], name].add(key[1])
        if sources:
            self._sources[key] = sources


def _rollout_name(target: Target) -> str:
    return f"{target.configuration}/{target.tag}"


def _sources(store: Store, route: Object) -> frozenset[str]:
    """The names of Configurations that a Route's traffic depends on, and of Revisions that are not there yet."""
    names = {route["metadata"]["name"]}
    for one in route["spec"].get("traffic") or ():
        if one.get("revisionName"):
            revision = find(store, REVISIONS, route["metadata"]["namespace"], one["revisionName"])
            names.add(labels_of(revision or {"metadata": {}}).get(CONFIGURATION_LABEL) or one["revisionName"])
        elif one.get("configurationName"):
            names.add(one["configurationName"])
    return frozenset(names)
