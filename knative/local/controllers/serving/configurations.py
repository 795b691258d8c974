"""Configurations as they run: their numbered revisions, what runs each of them, and which are removed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from knative.local.api.errors import AlreadyExistsError
from knative.local.api.history import Object
from knative.local.api.store import Store
from knative.local.controllers.events import Events
from knative.local.controllers.objects import (
    CONFIGURATION_LABEL,
    CONFIGURATIONS,
    REVISIONS,
    ROUTING_STATE,
    condition,
    find,
    key_of,
    labels_of,
    set_status,
)
from knative.local.controllers.serving import children
from knative.local.controllers.serving.collection import superfluous
from knative.local.controllers.serving.revisions import revision_status, workload
from knative.local.controllers.workloads import Workloads
from knative.local.manifests.cluster import Cluster
from knative.local.pods.conditions import Status
from knative.local.pods.revision import Revision
from knative.local.pods.template import Template

Key = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What the Configurations need.

    Attributes:
        store: Holds all objects.
        running: Revisions that run.
        owned: Returns the Revision objects of a Configuration, the oldest generation first.
        events: Records what happens.
        workloads: The Deployments and Pods.
        template: Reads a Revision.
        make: Makes what runs a Revision, of its name and template.
        say: Takes each line for the log.
        done: Takes each line about what was done.
        cluster: The cluster's configuration.
        clock: Seconds since the epoch.
    """

    store: Store
    running: dict[Key, Revision]
    owned: Callable[[Key], Sequence[Object]]
    events: Events
    workloads: Workloads
    template: Callable[[Object], Template]
    make: Callable[[str, Template], Revision]
    say: Callable[[str], None]
    done: Callable[[str], None]
    cluster: Callable[[], Cluster]
    clock: Callable[[], float]


class Configurations:
    """All Configurations.

    Attributes:
        reread: Whether Revisions that run are to be read again: a ConfigMap or Secret has changed.
    """

    def __init__(self, needs: Needs) -> None:
        self.reread = False
        self._needs = needs

    def reconcile(self, configuration: Object) -> None:
        """Bring the revisions of a Configuration, what runs them and the status of all into line."""
        key = key_of(configuration)
        problem, created = "", None
        try:
            created = children.latest_created(self._needs.store, configuration, self._needs.owned(key))
            if created is None:
                created = self._create_revision(configuration)
        except AlreadyExistsError as error:
            problem = str(error)
            if problem not in (condition(configuration).message):
                self._needs.say(f"{key[1]}: {problem}")
        for revision in self._needs.owned(key):
            self._revision(revision)
        if created is not None:
            created = find(self._needs.store, REVISIONS, *key_of(created))
        ready = self._latest_ready(configuration, created)
        now = self._needs.store.timestamp()
        status = children.configuration_status(configuration, created, ready, problem, now)
        before = (configuration.get("status") or {}).get("latestReadyRevisionName")
        after = set_status(self._needs.store, CONFIGURATIONS, configuration, status)
        if ready and ready != before:
            message = f'LatestReadyRevisionName updated to "{ready}"'
            self._needs.events.record(after, "LatestReadyUpdate", message, component="configuration-controller")

    def _create_revision(self, configuration: Object) -> Object:
        created = self._needs.store.create(
            REVISIONS, children.make_revision(configuration, self._needs.store.timestamp())
        )
        name = created["metadata"]["name"]
        self._needs.done(f"{configuration['metadata']['name']}: revision {name}")
        message = f'Created Revision "{name}"'
        self._needs.events.record(configuration, "Created", message, component="configuration-controller")
        return created

    def _revision(self, revision: Object) -> None:
        key = key_of(revision)
        running = self._needs.running.get(key)
        if running is None:
            running = self._begin(revision)
        elif self.reread and running.refresh(self._needs.template(revision)):
            name = labels_of(revision).get(CONFIGURATION_LABEL, "")
            text = f"pods of {running.name} that start from now on have the changed variables"
            self._needs.say(f"{name}: {text}")
        before = condition(revision)
        after = set_status(
            self._needs.store, REVISIONS, revision, revision_status(revision, running, self._needs.store.timestamp())
        )
        ready = condition(after)
        if ready.status is not before.status and ready.status is not Status.UNKNOWN:
            message = "Revision becomes ready upon all resources being ready" if ready.true else ready.words
            reason = "RevisionReady" if ready.true else "RevisionFailed"
            self._needs.events.record(after, reason, message, component="revision-controller", warning=not ready.true)
        self._needs.workloads.reconcile(workload(after), running)

    def _begin(self, revision: Object) -> Revision:
        """Run a Revision: a new one with its initial scale, one of an earlier run as it was."""
        running = self._needs.make(revision["metadata"]["name"], self._needs.template(revision))
        self._needs.running[key_of(revision)] = running
        if condition(revision).true:
            routed = labels_of(revision).get(ROUTING_STATE) != "reserve"
            running.reachable = routed
            running.resume(active=routed)
        else:
            running.start()
        return running

    def _latest_ready(self, configuration: Object, created: Object | None) -> str:
        """The newest revision that has been ready, of those that are as new as the latest ready one so far."""
        key = key_of(configuration)
        revisions = self._needs.owned(key)
        before = str((configuration.get("status") or {}).get("latestReadyRevisionName") or "")
        oldest = next((children.generation_of(one) for one in revisions if one["metadata"]["name"] == before), 0)
        candidates: list[str] = [
            one["metadata"]["name"] for one in reversed(revisions) if children.generation_of(one) >= oldest
        ]
        if created is not None and configuration["spec"]["template"].get("metadata", {}).get("name"):
            candidates.insert(0, created["metadata"]["name"])  # a revision of a given name may be an older one
        for name in candidates:
            running = self._needs.running.get((key[0], name))
            if running is not None and running.progress.was_ready:
                return name
        return ""

    def collect(self, configuration: Object) -> None:
        """Remove revisions by the rules of config-gc."""
        key = key_of(configuration)
        configuration = self._needs.store.get(CONFIGURATIONS, *key)
        ready = (configuration.get("status") or {}).get("latestReadyRevisionName", "")
        config = self._needs.cluster().garbage_collection
        for name in superfluous(self._needs.owned(key), ready, config, self._needs.clock()):
            self._needs.store.delete(REVISIONS, key[0], name)
            self._needs.done(f"{key[1]}: {name} was removed by the rules of config-gc")
