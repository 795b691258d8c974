"""Which revisions are removed by the rules of `config-gc`. Pure.

Follows knative/serving, pkg/reconciler/gc/gc.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from knative.local.api.history import Object
from knative.local.controllers.objects import (
    NO_COLLECTION,
    ROUTING_MODIFIED,
    ROUTING_STATE,
    annotations_of,
    labels_of,
)
from knative.local.manifests.cluster import DISABLED, GarbageCollection


def superfluous(revisions: Sequence[Object], latest_ready: str, config: GarbageCollection, now: float) -> list[str]:
    """Return the names of the revisions of one Configuration that are to be removed, the longest inactive first.

    Args:
        revisions: All of the Configuration.
        latest_ready: The one that is never removed.
        config: The cluster's `config-gc`.
        now: Seconds since the epoch.
    """
    least, most = config.min_non_active_revisions, config.max_non_active_revisions
    since = (config.retain_since_create_time, config.retain_since_last_active_time)
    if most == DISABLED and since == (DISABLED, DISABLED):
        return []
    idle = [one for one in revisions if not _active(one, latest_ready)]
    if len(idle) <= least:
        return []
    idle.sort(key=_last_active)
    stale = [one for one in idle if _stale(one, config, now)][: len(idle) - least]
    removed = [one["metadata"]["name"] for one in stale]
    if len(stale) == len(idle) - least or most == DISABLED:
        return removed
    others = [one["metadata"]["name"] for one in idle if one["metadata"]["name"] not in removed]
    return removed + others[: max(0, len(others) - int(most))]


def _active(revision: Object, latest_ready: str) -> bool:
    if (
        revision["metadata"]["name"] == latest_ready
        or annotations_of(revision).get(NO_COLLECTION, "").lower() == "true"
    ):
        return True
    return labels_of(revision).get(ROUTING_STATE) != "reserve"


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _created(revision: Object) -> float:
    return _seconds(revision["metadata"]["creationTimestamp"])


def _last_active(revision: Object) -> float:
    modified = annotations_of(revision).get(ROUTING_MODIFIED)
    return _seconds(modified) if modified else _created(revision)


def _stale(revision: Object, config: GarbageCollection, now: float) -> bool:
    created, active = config.retain_since_create_time, config.retain_since_last_active_time
    if created == DISABLED and active == DISABLED:
        return False
    if created != DISABLED and now - _created(revision) < created:
        return False
    return active == DISABLED or now - _last_active(revision) >= active
