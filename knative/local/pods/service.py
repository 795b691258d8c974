"""A Service as it runs: its revisions, and how its traffic is split among them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from knative.local.pods import conditions
from knative.local.pods.revision import Revision
from knative.local.pods.rollout import Rollout, rollout_seconds
from knative.local.pods.template import Template, TemplateError, differences
from knative.local.proxy.exchange import Exchange
from knative.local.tasks import TaskSet

TARGET_POD = b"x-target-pod"  # the one pod that a request is for, by name; only this engine routes by it
_KEPT = 5  # revisions without traffic that stay in sight


class Service:
    """One Service.

    Args:
        name, namespace: Whose host it is.
        make: Makes a revision of a name and a template.
        say: Prints a line about this Service.
        changed: Called when revisions or traffic change.

    Attributes:
        revisions: Oldest first.
        latest_created: The newest revision.
        latest_ready: The newest that has been ready; it gets the traffic of `latestRevision`.
        traffic: Revision, percent and tag of each target, in the manifest's order; as it was before, and nothing at
            first, while the manifest names a revision that is not there or has never been ready.
        public: False for `networking.knative.dev/visibility: cluster-local`.
        manifest: The Service as plain data.
    """

    def __init__(
        self,
        name: str,
        namespace: str,
        *,
        make: Callable[[str, Template], Revision],
        say: Callable[[str], None],
        changed: Callable[[], None],
    ) -> None:
        self.name = name
        self.namespace = namespace
        self.revisions: list[Revision] = []
        self.latest_created: Revision | None = None
        self.latest_ready: Revision | None = None
        self.traffic: list[tuple[Revision, int, str | None]] = []
        self.public = True
        self.manifest: Mapping[str, Any] = {}
        self._make = make
        self._say = say
        self._changed = changed
        self._generation = 0
        self._targets: list[Mapping[str, Any]] = []
        self._plan: list[tuple[Revision, int, str | None]] = []
        self._unready: Mapping[str, Any] | None = None
        self._announced = ""
        self._rollouts: dict[str, Rollout] = {}
        self._rollout_seconds = 0.0
        self._step: asyncio.TimerHandle | None = None
        self._tasks = TaskSet()

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name

    @property
    def example(self) -> str:
        """Arguments of curl for a first request, with `URL` for the address: the annotation `pixelamp.dev/example`."""
        annotations = self.manifest.get("metadata", {}).get("annotations") or {}
        return str(annotations.get("pixelamp.dev/example", ""))

    def revision(self, name: str) -> Revision | None:
        """The revision of a name."""
        return next((revision for revision in self.revisions if revision.name == name), None)

    def verify(self, template: Template) -> None:
        """Refuse, as Knative does, a template that has changed under a name which its revision has already.

        Raises:
            TemplateError: What has changed, in the webhook's words; where an older revision has the name, in those of
                the Configuration's condition.
        """
        taken = self.revision(template.name) if template.name else None
        if taken is None:
            return
        changes = list(differences(taken.template.data, template.data))
        if not changes:
            return
        if taken is self.latest_created:
            words = "Saw the following changes without a name change (-old +new): spec.template.metadata.name"
        else:
            words = f'revisions.serving.knative.dev "{taken.name}" already exists, and differs (-old +new)'
        raise TemplateError("\n  ".join([f"Service {self.name}: {words}", *changes]))

    def apply(self, manifest: Mapping[str, Any], template: Template) -> bool:
        """Take a Service as it was applied and verified; a changed template begins a new revision.

        Returns:
            Whether anything changed.
        """
        labels = manifest["metadata"].get("labels") or {}
        public = labels.get("networking.knative.dev/visibility") != "cluster-local"
        targets = (manifest["spec"].get("traffic")) or [{"latestRevision": True, "percent": 100}]
        same = targets == self._targets and public == self.public
        self.manifest, self.public, self._targets = manifest, public, targets
        self._rollout_seconds = rollout_seconds(manifest["metadata"].get("annotations") or {})
        tags = {str(target.get("tag") or "") for target in targets if not target.get("revisionName")}
        self._rollouts = {tag: rollout for tag, rollout in self._rollouts.items() if tag in tags}
        created = self.latest_created
        unchanged = created is not None and created.template.fingerprint == template.fingerprint
        if unchanged and created is not None and created.refresh(template):
            self._say(f"{self.name}: pods of {created.name} that start from now on have the changed variables")
        if not unchanged and created is not None and template.name == created.name:
            self._say(f"{self.name}: the code has changed, and {created.name} keeps its own: rename the revision")
            unchanged = True
        if unchanged:
            if not same:
                self._route()
            return not same
        self._generation += 1
        name = template.name or f"{self.name}-{self._generation:05d}"
        revision = self.revision(name)
        if revision is None:
            revision = self._make(name, template)
            self.revisions.append(revision)
        self.latest_created = revision
        revision.start()
        self._tasks.spawn(self._shift(revision))
        self._route()
        return True

    async def _shift(self, revision: Revision) -> None:
        """Move the traffic once the new revision is ready, as Knative does."""
        await revision.was_ready.wait()
        # A newer one may have been applied meanwhile; as long as that is not ready, this is the latest that is.
        if self._order(revision) > self._order(self.latest_ready):
            self.latest_ready = revision
        self._route()
        percent = sum(share for one, share, _ in self.traffic if one is revision)
        self._say(f"{self.name}: {revision.name} is ready and gets {percent} % of the traffic")

    def _order(self, revision: Revision | None) -> int:
        """The later applied, the greater; an older revision applied again is the latest created."""
        if revision is self.latest_created:
            return len(self.revisions)
        return self.revisions.index(revision) if revision in self.revisions else -1

    def _route(self) -> None:
        self._plan = []
        self._unready = None
        for target in self._targets:
            name = target.get("revisionName")
            revision = self.revision(name) if name else self.latest_ready or self.latest_created
            if revision is not None and not name and revision is self.latest_ready:
                self._plan += self._latest(revision, target)
            elif revision is not None:
                self._plan.append((revision, int(target.get("percent") or 0), target.get("tag")))
            if revision is None or not revision.was_ready.is_set():
                self._unready = self._unready or target
        if self._unready is None:
            self.traffic = self._plan
        elif self._unready.get("revisionName") and self.revision(self._unready["revisionName"]) is None:
            self._plan = []  # nothing waits for what is not there
        self._tell_unready()
        reached = {id(revision) for revision, _, _ in (*self.traffic, *self._plan)}
        newest = self._order(self.latest_ready)
        for revision in self.revisions:
            # Those yet to be ready count as reachable, or they would be scaled away before their traffic comes.
            pending = self._order(revision) > newest or revision is self.latest_created
            revision.reachable = id(revision) in reached or pending
        idle = [revision for revision in self.revisions if not revision.reachable and revision.at_rest]
        for revision in idle[:-_KEPT]:
            self.revisions.remove(revision)
        self._changed()

    def _latest(self, revision: Revision, target: Mapping[str, Any]) -> list[tuple[Revision, int, str | None]]:
        """The shares of a target of the latest revision, while a rollout moves its traffic."""
        percent, tag = int(target.get("percent") or 0), target.get("tag")
        rollout = self._rollouts.setdefault(str(tag or ""), Rollout())
        loop = asyncio.get_running_loop()
        rollout.move(revision.name, percent, loop.time(), self._rollout_seconds)
        if rollout.next_step is not None:
            if self._step is not None:
                self._step.cancel()
            self._step = loop.call_at(
                min(one.next_step for one in self._rollouts.values() if one.next_step), self._route
            )
        shares = [(self.revision(name), share) for name, share in rollout.shares]
        # The tag's host leads to the latest revision at once.
        return [(one, share, tag if one is revision else None) for one, share in shares if one is not None]

    def _tell_unready(self) -> None:
        """Log once that traffic names a revision that cannot take it."""
        name = str((self._unready or {}).get("revisionName") or "")
        if name and name != self._announced:
            stays = "the traffic stays as it was" if self.traffic else "there is no traffic yet"
            self._say(f"{self.name}: {conditions.of_route(self.name, self._target(name), None, False).words}: {stays}")
        self._announced = name

    def _target(self, name: str) -> conditions.Target:
        revision = self.revision(name)
        failed = revision is not None and revision.failure is not None
        return conditions.Target(name, exists=revision is not None, failed=failed)

    @property
    def conditions(self) -> list[conditions.Condition]:
        """Knative's conditions of the Service, Ready first."""
        created = self.latest_created
        configuration = conditions.of_configuration(
            created.name if created is not None else None,
            created.conditions[0] if created is not None else None,
            self.latest_ready.name if self.latest_ready is not None else None,
        )
        named = str((self._unready or {}).get("revisionName") or "")
        waits = self._unready is not None and not named
        route = conditions.of_route(
            self.name,
            self._target(named) if named else None,
            configuration.status if waits else None,
            self._rolling_out,
        )
        return [conditions.ready_of(configuration, route), configuration, route]

    @property
    def _rolling_out(self) -> bool:
        return any(rollout.next_step is not None for rollout in self._rollouts.values())

    @property
    def tags(self) -> list[str]:
        """The tags of the traffic, of revisions that are not ready yet too."""
        return [tag for _, _, tag in (*self.traffic, *self._plan) if tag]

    def take(self, exchange: Exchange, tag: str | None) -> None:
        """Bring a request to one of the revisions: the tag's, or one by chance in proportion to the percents.

        Before any traffic is assigned a request waits for the revisions that are to get it. One that names a pod in
        X-Target-Pod goes to that pod and no other.
        """
        wanted = next((value for name, value in exchange.headers if name == TARGET_POD), None)
        if wanted is not None:
            self._take_to(exchange, wanted.decode("latin-1"))
            return
        traffic = self.traffic or self._plan
        revision = _choose(traffic, tag) or _choose(self._plan, tag)
        if revision is None:
            exchange.answer(404 if tag else 503, f"no revision of {self.name} takes this request")
            return
        if tag is not None:
            exchange.headers.append((b"knative-serving-tag", tag.encode()))
        revision.take(exchange)

    def _take_to(self, exchange: Exchange, wanted: str) -> None:
        """Bring a request to the pod of a name, or answer why it cannot go there."""
        exchange.pinned = True
        pods = [(revision, pod) for revision in self.revisions for pod in revision.pods]
        revision, pod = next(((one, pod) for one, pod in pods if pod.name == wanted), (None, None))
        if revision is None or pod is None:
            ready = ", ".join(sorted(pod.name for _, pod in pods if pod.ready)) or "none"
            exchange.answer(404, f"X-Target-Pod: no pod {wanted[:260]} of {self.name}; ready pods: {ready}")
        elif not pod.ready:
            text = f"X-Target-Pod: {pod.name} is not ready ({pod.state.value})"
            exchange.answer(503, text, [(b"retry-after", b"1")])
        else:
            revision.take(exchange, pod)

    async def stop(self, reason: str, within: float | None = None) -> None:
        """Stop every revision; may be asked again with less time. See `Revision.stop`."""
        self._tasks.cancel()
        if self._step is not None:
            self._step.cancel()
        await asyncio.gather(*(revision.stop(reason, within) for revision in self.revisions))


def _choose(traffic: Sequence[tuple[Revision, int, str | None]], tag: str | None) -> Revision | None:
    if tag is not None:
        return next((revision for revision, _, name in traffic if name == tag), None)
    if len(traffic) == 1:
        return traffic[0][0]
    shares = [share for _, share, _ in traffic]
    if not sum(shares):
        return None
    return random.choices(traffic, shares)[0][0]  # noqa: S311 - a share of traffic, not a secret
