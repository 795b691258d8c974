"""Answers over 4 KiB arrive whole behind the activator, on the engine and on a cluster where one is given."""

from __future__ import annotations

import http.client
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.cluster import ON_A_CLUSTER, cluster_of_its_own
from tests.engines import EngineProcess
from tests.images import encoded, noise

ROOT = Path(__file__).resolve().parents[2]
POSTS, CLIENTS = 5_000, 8
POSTS_ON_THE_ENGINE = 1_000
PHOTO = encoded(noise(size=(160, 160)), "JPEG", quality=90)
Post = Callable[[], tuple[int, bytes]]


def behind_the_activator(document: dict[str, Any]) -> None:
    """Keep the activator in the path of the Service."""
    if document["kind"] == "Service":
        annotations = document["spec"]["template"]["metadata"]["annotations"]
        annotations["autoscaling.knative.dev/target-burst-capacity"] = "-1"


def answers(post: Post, posts: int) -> Counter[tuple[int, bytes]]:
    """Count the different answers to all requests."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        return Counter(pool.map(lambda _: post(), range(posts)))


def all_are_whole(post: Post, posts: int) -> None:
    """Send the requests and compare each answer's body with the first one's."""
    status, whole = post()
    assert status == 200
    assert len(whole) > 16 * 1024
    found = answers(post, posts)
    lost = {(status, len(body)): count for (status, body), count in found.items() if body != whole}
    assert lost == {}
    assert found == {(200, whole): posts}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    document = yaml.safe_load((ROOT / "knative" / "services" / "exif.yaml").read_text())
    behind_the_activator(document)
    running = EngineProcess(tmp_path_factory.mktemp("answers"), document)
    yield running
    assert running.stop() == 0


def test_every_answer_is_whole_on_the_engine(engine: EngineProcess) -> None:
    def post() -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", engine.port, timeout=60)
        try:
            connection.request("POST", "/exif/strip", PHOTO, {"Accept": "image/jpeg"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    all_are_whole(post, POSTS_ON_THE_ENGINE)
    assert engine.revision("exif")["proxied"]


class TestOnACluster:
    pytestmark = ON_A_CLUSTER

    def test_every_answer_is_whole_on_a_cluster(self) -> None:
        for cluster in cluster_of_its_own("pixelamp-answers"):
            names = cluster.apply("knative", behind_the_activator)
            assert "exif" in names
            host = cluster.host("exif")

            def post(cluster: Any = cluster, host: str = host) -> tuple[int, bytes]:
                answer = cluster.request(host, "/strip", PHOTO, {"Accept": "image/jpeg"})
                return answer.status, answer.body

            all_are_whole(post, POSTS)
