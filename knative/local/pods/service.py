"""What one host leads to: the traffic of a Route, split among revisions."""

from __future__ import annotations

import random
from collections.abc import Sequence

from knative.local.jsontypes import JsonMapping
from knative.local.pods.conditions import Condition
from knative.local.pods.revision import Revision
from knative.local.proxy.exchange import Exchange

TARGET_POD = b"x-target-pod"  # the one pod that a request is for, by name; only this engine routes by it
Share = tuple[Revision, int, str | None]
"""A revision, its percent of the traffic, and its tag."""


class Service:
    """A Service, or a Route without one, as requests find it. What it holds is set by the reconciliation.

    Args:
        name: Of the Route, which is that of its Service.
        namespace: Of both.

    Attributes:
        revisions: Those of its Configurations, the oldest first.
        latest_created: The newest revision.
        latest_ready: The newest that has been ready.
        traffic: Of each target, in the manifest's order; as it was before, and nothing at first, while the manifest
            names a revision that is not there or has never been ready.
        plan: Of each target as it is to be, where requests wait for revisions that are not ready yet.
        public: False for `networking.knative.dev/visibility: cluster-local`.
        manifest: The Service or the Route as plain data.
        conditions: Ready first.
    """

    def __init__(self, name: str, namespace: str) -> None:
        self.name = name
        self.namespace = namespace
        self.revisions: Sequence[Revision] = ()
        self.latest_created: Revision | None = None
        self.latest_ready: Revision | None = None
        self.traffic: Sequence[Share] = ()
        self.plan: Sequence[Share] = ()
        self.public = True
        self.manifest: JsonMapping = {}
        self.conditions: Sequence[Condition] = ()

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name

    @property
    def example(self) -> str:
        """Arguments of curl for a first request, with `URL` for the address: the annotation `pixelamp/example`."""
        annotations = self.manifest.get("metadata", {}).get("annotations") or {}
        # The second name is that of earlier manifests, read for one release.
        return str(annotations.get("pixelamp/example") or annotations.get("pixelamp.dev/example") or "")

    @property
    def tags(self) -> list[str]:
        """The tags of the traffic, of revisions that are not ready yet too."""
        return [tag for _, _, tag in (*self.traffic, *self.plan) if tag]

    def take(self, exchange: Exchange, tag: str | None) -> None:
        """Bring a request to one of the revisions: the tag's, or one by chance in proportion to the percents.

        Before any traffic is assigned a request waits for the revisions that are to get it. One that names a pod in
        X-Target-Pod goes to that pod and no other.
        """
        for name, value in exchange.headers:
            if name == TARGET_POD:
                self._take_to(exchange, value.decode("latin-1"))
                return
        revision = _choose(self.traffic or self.plan, tag) or _choose(self.plan, tag)
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


def _choose(traffic: Sequence[Share], tag: str | None) -> Revision | None:
    if tag is not None:
        return next((revision for revision, _, name in traffic if name == tag), None)
    if len(traffic) == 1:
        return traffic[0][0]
    shares = [share for _, share, _ in traffic]
    if not sum(shares):
        return None
    return random.choices(traffic, shares)[0][0]
