"""The Locust file and the observer on a real cluster; how it is named stands in tests/e2e/test_cluster.py."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster import ON_A_CLUSTER, Cluster, cluster_of_its_own
from tests.servers import ROOT

pytestmark = ON_A_CLUSTER


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    for found in cluster_of_its_own("pixelamp-load"):
        found.apply("knative")
        yield found


def test_locust_by_host_while_the_observer_counts_pods(cluster: Cluster, tmp_path: Path) -> None:
    domain = cluster.host("exif").removeprefix("exif.")
    ingress = os.environ["PIXELAMP_INGRESS"]
    host = ingress if "//" in ingress else f"http://{ingress}"
    samples = tmp_path / "samples.jsonl"
    observing = [sys.executable, "-m", "loadtest.observe", "exif", "--kubernetes", "--namespace", cluster.namespace]
    observer = subprocess.Popen([*observing, "--seconds", "60", "--out", str(samples)], cwd=ROOT)
    locust = [sys.executable, "-m", "locust", "--headless", "--host", host, "--domain", domain, "--tags", "exif"]
    load = ["-u", "10", "-r", "10", "-t", "45s", "--csv", str(tmp_path / "out")]
    assert subprocess.run([*locust, *load], cwd=ROOT).returncode == 0
    assert observer.wait(120) == 0
    total = list(csv.DictReader((tmp_path / "out_stats.csv").read_text().splitlines()))[-1]
    assert int(total["Failure Count"]) == 0
    rows = [json.loads(line) for line in samples.read_text().splitlines()]
    most = max(row["ready"] for row in rows)
    print(f"{total['Request Count']} requests, p95 {total['95%']} ms, at most {most} pods")
    assert most >= 1
    assert all(row["desired"] is not None for row in rows)
    assert all(name.startswith("exif-") for row in rows for name in row["pods"])
