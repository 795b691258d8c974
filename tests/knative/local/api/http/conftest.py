"""An API over a bare store, and the clients that talk to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kubernetes import client, config
from kubernetes.client.api_client import ApiClient
from kubernetes.dynamic import DynamicClient

from tests.apis import Api


@pytest.fixture
def api(tmp_path) -> Iterator[Api]:
    running = Api(tmp_path).start()
    yield running
    running.stop()


@pytest.fixture
def kube(api: Api) -> Iterator[ApiClient]:
    """Kubernetes' Python client, by the kubeconfig."""
    with config.new_client_from_config(str(api.kubeconfig)) as found:
        yield found


@pytest.fixture
def core(kube: ApiClient) -> client.CoreV1Api:
    return client.CoreV1Api(kube)


@pytest.fixture
def dynamic(kube: ApiClient, tmp_path) -> DynamicClient:
    return DynamicClient(kube, cache_file=str(tmp_path / "discovery.json"))


@pytest.fixture
def make(api: Api) -> Callable[..., Any]:
    """Create a Service by a plain request."""

    def post(name: str, **metadata: Any) -> Any:
        answer = api.raw("POST", SERVICES, service(name, **metadata))
        assert answer.status == 201, answer.body
        return answer.json()

    return post


SERVICES = "/apis/serving.knative.dev/v1/namespaces/rec/services"


def service(name: str, **metadata: Any) -> dict[str, Any]:
    container = {"image": "dev.local/pixelamp-exif:0.1.0", "env": [{"name": "A", "value": "b"}]}
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "rec", **metadata},
        "spec": {"template": {"spec": {"containers": [container]}}},
    }
