"""config-gc's rules by the cases of knative/serving, pkg/reconciler/gc/gc_test.go, in this form."""

from __future__ import annotations

from typing import Any

import pytest

from knative.local.controllers.objects import timestamp
from knative.local.controllers.serving.collection import superfluous
from knative.local.manifests.cluster import DISABLED, GarbageCollection

NOW = 1_764_500_000.0
OLD, OLDER, OLDEST = (NOW - 60 * minutes for minutes in (11, 12, 13))


def revision(
    name: str, state: str, modified: float | None, created: float = OLDEST, **annotations: str
) -> dict[str, Any]:
    labels = {"serving.knative.dev/routingState": state} if state else {}
    given = {f"serving.knative.dev/{key.replace('_', '-')}": value for key, value in annotations.items()}
    if modified is not None:
        given["serving.knative.dev/routingStateModified"] = timestamp(modified)
    metadata = {"name": name, "labels": labels, "annotations": given, "creationTimestamp": timestamp(created)}
    return {"metadata": metadata}


def config(
    least: int = 1, most: float = DISABLED, minutes: float = 5, created: float | None = None
) -> GarbageCollection:
    seconds = minutes * 60 if minutes != DISABLED else DISABLED
    return GarbageCollection(
        retain_since_create_time=seconds if created is None else created,
        retain_since_last_active_time=seconds,
        min_non_active_revisions=least,
        max_non_active_revisions=int(most),
    )


ONE_ACTIVE = [
    revision("5554", "reserve", OLDEST),
    revision("5555", "reserve", OLDER),
    revision("5556", "active", OLD),
]
ALL_FRESH = [revision(name, "reserve", NOW) for name in ("5554", "5555", "5556")]
THREE = [revision("1", "reserve", OLDEST), revision("2", "reserve", OLDER), revision("3", "reserve", OLD)]


@pytest.mark.parametrize(
    ("revisions", "latest_ready", "rules", "removed"),
    [
        pytest.param([revision("5556", "active", None)], "5556", config(), [], id="too few revisions"),
        pytest.param(ONE_ACTIVE, "5556", config(), ["5554"], id="delete the oldest, keep one recent, one active"),
        pytest.param(ONE_ACTIVE, "", config(), ["5554"], id="no latest ready, one active"),
        pytest.param(
            [revision("1", "pending", None), revision("2", "", None), revision("3", "active", None)],
            "3",
            config(),
            [],
            id="keep the oldest when none is in reserve",
        ),
        pytest.param(ALL_FRESH, "", config(), [], id="none stale"),
        pytest.param(
            [revision("1", "reserve", OLDEST, no_gc="true"), *THREE[1:]], "", config(), ["2"], id="one is preserved"
        ),
        pytest.param(ALL_FRESH[:2], "", config(most=2), [], id="at the maximum"),
        pytest.param(ALL_FRESH, "", config(least=1, most=2), ["5554"], id="above the maximum, none stale"),
        pytest.param(
            [revision(name, "active", NOW) for name in "123"], "", config(most=1), [], id="above it, all active"
        ),
        pytest.param(THREE, "", config(0, DISABLED, DISABLED), [], id="all disabled"),
        pytest.param(THREE, "", config(0, 1, DISABLED), ["1", "2"], id="staleness disabled"),
        pytest.param(THREE, "", config(0, DISABLED), ["1", "2", "3"], id="maximum disabled"),
        pytest.param(THREE, "", config(2), ["1"], id="retain two"),
        pytest.param(THREE, "1", config(0), ["2", "3"], id="never the latest ready one"),
        pytest.param(THREE, "", config(0, created=3600), [], id="created a short time ago"),
        pytest.param(THREE[::-1], "", config(1), ["1", "2"], id="by their last activity, not by their order"),
    ],
)
def test_what_is_removed(
    revisions: list[dict[str, Any]], latest_ready: str, rules: GarbageCollection, removed: list[str]
) -> None:
    assert superfluous(revisions, latest_ready, rules, NOW) == removed


def test_the_defaults_keep_twenty_and_what_is_younger_than_two_days() -> None:
    stale = [revision(f"{number:02}", "reserve", NOW - 3 * 86400 + number, NOW - 3 * 86400) for number in range(25)]
    assert superfluous(stale, "", GarbageCollection(), NOW) == ["00", "01", "02", "03", "04"]
    fresh = [revision(f"{number:02}", "reserve", NOW, NOW - 86400) for number in range(25)]
    assert superfluous(fresh, "", GarbageCollection(), NOW) == []
