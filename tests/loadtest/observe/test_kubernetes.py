"""The observer against a stand-in of the Kubernetes API, judged where it can be by kubectl with the same kubeconfig."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from loadtest.observe.kubernetes import Access, AccessError, ApiError, access, in_cluster, kubeconfig
from loadtest.observe.pods import KubernetesSource, Observer, Sample
from tests.engines import EngineProcess, service
from tests.loadtest.cluster import PODS, SCALERS, ApiServer, Certificates, pod, pods_of_a_busy_service, scaler, serving
from tests.servers import ROOT, clean_environment

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ0ZXN0ZXIifQ.c2lnbmF0dXJl"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    if shutil.which("openssl") is None:
        pytest.skip("the program openssl is not installed")
    return Certificates(tmp_path_factory.mktemp("pki"))


def busy(**more: Any) -> ApiServer:
    scalers = [scaler("exif-00001", 2), scaler("exif-00002", 3), scaler("exif-00003", -1), scaler("exif-00004", None)]
    return ApiServer(list(pods_of_a_busy_service()), [*scalers, scaler("stress-00001", 9, "stress")], **more)


async def one_sample(to: Access, service: str = "exif", namespace: str | None = None) -> Sample:
    async with aiohttp.ClientSession() as session:
        return await KubernetesSource(service, to, namespace).sample(session)


def sampled(server: ApiServer, certificates: Certificates | None, way: Callable[[str], Access]) -> Sample:
    async def run() -> Sample:
        async with serving(server, certificates) as url:
            return await one_sample(way(url))

    return asyncio.run(run())


def is_right(sample: Sample) -> bool:
    return (sample.desired, sample.ready, sample.starting, sample.pods) == (
        5,
        2,
        2,
        ("exif-00001-deployment-6f7d8c9b5-aaaaa", "exif-00002-deployment-7c9d5b6f8-bbbbb"),
    )


def config(folder: Path, cluster: dict[str, Any], user: dict[str, Any], **context: Any) -> Path:
    """A kubeconfig as `kubectl config` writes it."""
    path = folder / "config"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "preferences": {},
        "clusters": [{"name": "here", "cluster": cluster}],
        "users": [{"name": "tester", "user": user}],
        "contexts": [{"name": "tester@here", "context": {"cluster": "here", "user": "tester", **context}}],
        "current-context": "tester@here",
    }
    path.write_text(yaml.safe_dump(content))
    return path


# What is counted -----------------------------------------------------------------------------------------------------


def test_pods_are_distinguished_by_label_phase_and_condition() -> None:
    assert is_right(sampled(busy(), None, lambda url: Access(server=url)))


def test_lists_come_in_pages() -> None:
    server = ApiServer([pod(f"exif-{number}") for number in range(23)], [scaler("exif-00001", 23)], most=5)
    sample = sampled(server, None, lambda url: Access(server=url))
    assert (sample.ready, sample.desired) == (23, 23)
    assert len(sample.pods) == len(set(sample.pods)) == 23
    pages = [path for path in server.asked if "/pods" in path]
    assert len(pages) == 5
    assert all("limit=500" in path and "labelSelector=serving.knative.dev/service%3Dexif" in path for path in pages)


def test_pages_that_grew_too_old_are_read_anew() -> None:
    server = ApiServer([pod(f"exif-{number}") for number in range(12)], most=5, expire=1)
    sample = sampled(server, None, lambda url: Access(server=url))
    assert len(sample.pods) == len(set(sample.pods)) == 12
    with pytest.raises(ApiError, match=r"410 .*continue parameter is too old"):
        sampled(ApiServer(server.pods, most=5, expire=9), None, lambda url: Access(server=url))


def test_without_podautoscalers_only_the_desired_pods_are_unknown() -> None:
    server = busy(forbidden={SCALERS.format(namespace="default")})
    sample = sampled(server, None, lambda url: Access(server=url))
    assert (sample.ready, sample.starting, sample.desired) == (2, 2, None)


def test_a_refusal_of_the_api_is_quoted() -> None:
    server = busy(forbidden={PODS.format(namespace="default")})
    with pytest.raises(ApiError, match=r'403 .*User "tester" cannot list resource "pods"'):
        sampled(server, None, lambda url: Access(server=url))


# How one logs in -----------------------------------------------------------------------------------------------------


def test_by_token_and_authority_of_a_kubeconfig(certificates: Certificates, tmp_path: Path) -> None:
    def way(url: str) -> Access:
        cluster = {"server": url, "certificate-authority-data": certificates.data("ca.crt")}
        return kubeconfig([config(tmp_path, cluster, {"token": TOKEN}, namespace="default")])

    assert is_right(sampled(busy(token=TOKEN), certificates, way))
    with pytest.raises(ApiError, match=r"401 .*Unauthorized"):
        sampled(busy(token="another"), certificates, way)


@pytest.mark.parametrize("as_data", [True, False])
def test_by_client_certificate_of_a_kubeconfig(certificates: Certificates, tmp_path: Path, as_data: bool) -> None:
    names = {"client-certificate": "client.crt", "client-key": "client.key"}
    if as_data:
        user = {f"{key}-data": certificates.data(name) for key, name in names.items()}
    else:
        for name in [*names.values(), "ca.crt"]:
            shutil.copy(certificates.path(name), tmp_path)
        user = dict(names)  # relative to the kubeconfig, not to where we are

    def way(url: str) -> Access:
        authority = {"certificate-authority-data": certificates.data("ca.crt")}
        cluster = {"server": url, **(authority if as_data else {"certificate-authority": "ca.crt"})}
        return kubeconfig([config(tmp_path, cluster, user)])

    assert is_right(sampled(busy(certificates=True), certificates, way))

    def nameless(url: str) -> Access:
        cluster = {"server": url, "certificate-authority-data": certificates.data("ca.crt")}
        return kubeconfig([config(tmp_path, cluster, {})])

    with pytest.raises(ApiError, match="401"):
        sampled(busy(certificates=True), certificates, nameless)


def test_a_server_that_the_authority_did_not_sign_is_not_trusted(certificates: Certificates, tmp_path: Path) -> None:
    server = busy(token=TOKEN)
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    for data in (Certificates(stranger).data("ca.crt"), None):
        cluster = {"certificate-authority-data": data} if data else {}

        def way(url: str, cluster: dict[str, Any] = cluster) -> Access:
            return kubeconfig([config(tmp_path, {"server": url, **cluster}, {"token": TOKEN})])

        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            sampled(server, certificates, way)
    assert server.asked == []  # the token was not shown to it

    def trusting(url: str) -> Access:
        cluster = {"server": url, "insecure-skip-tls-verify": True}
        return kubeconfig([config(tmp_path, cluster, {"token": TOKEN})])

    assert is_right(sampled(server, certificates, trusting))


def test_the_name_in_the_certificate_counts(certificates: Certificates, tmp_path: Path) -> None:
    def way(url: str, **more: str) -> Access:
        address = url.replace("127.0.0.1", "localhost")
        cluster = {"server": address, "certificate-authority-data": certificates.data("ca.crt"), **more}
        return kubeconfig([config(tmp_path, cluster, {"token": TOKEN})])

    with pytest.raises(aiohttp.ClientConnectorCertificateError):
        sampled(busy(token=TOKEN), certificates, way)
    named = {"tls-server-name": "kubernetes.example"}
    assert is_right(sampled(busy(token=TOKEN), certificates, lambda url: way(url, **named)))


def account(folder: Path, certificates: Certificates, token: str) -> Path:
    """What Kubernetes mounts into a pod."""
    shutil.copy(certificates.path("ca.crt"), folder / "ca.crt")
    (folder / "token").write_text(token)
    (folder / "namespace").write_text("default")
    return folder


def test_in_a_pod_by_its_service_account_whose_token_is_renewed(certificates: Certificates, tmp_path: Path) -> None:
    server = busy(token=TOKEN)

    async def run() -> tuple[list[Sample], int]:
        async with serving(server, certificates) as url:
            host, port = url.removeprefix("https://").split(":")
            environment = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
            to = in_cluster(account(tmp_path, certificates, TOKEN), environment)
            assert to is not None
            source = KubernetesSource("exif", to)
            async with aiohttp.ClientSession() as session:
                samples = [await source.sample(session)]
                server.token = "renewed"
                with pytest.raises(ApiError, match="401"):
                    await source.sample(session)
                (tmp_path / "token").write_text("renewed\n")
                samples.append(await source.sample(session))
            return samples, len(server.connections)

    samples, connections = asyncio.run(run())
    assert all(is_right(sample) for sample in samples)
    assert connections == 2  # pods and autoscalers at the same time, on connections that are kept


def test_outside_a_cluster_and_in_a_pod_without_an_account(tmp_path: Path) -> None:
    assert in_cluster(tmp_path, {}) is None
    with pytest.raises(AccessError, match="automountServiceAccountToken"):
        in_cluster(tmp_path, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("- a list", "is no kubeconfig"),
        ("a: [", "is no kubeconfig"),
        ("apiVersion: v1", r"no context \(no current-context\)"),
        ("contexts: [{name: a, context: {cluster: b}}]\ncurrent-context: a", "no cluster b"),
    ],
)
def test_an_invalid_kubeconfig_is_refused(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "config").write_text(content)
    with pytest.raises(AccessError, match=words):
        kubeconfig([tmp_path / "config"])


def test_a_plug_in_is_refused_with_the_workaround(tmp_path: Path) -> None:
    user = {"exec": {"command": "aws", "apiVersion": "client.authentication.k8s.io/v1"}}
    with pytest.raises(AccessError, match=r"kubectl proxy.*--kubernetes http://127\.0\.0\.1:8001"):
        kubeconfig([config(tmp_path, {"server": "https://h"}, user)])
    broken = {"certificate-authority-data": "bm90IGEgY2VydGlmaWNhdGU="}
    with pytest.raises(AccessError, match="cluster here"):
        kubeconfig([config(tmp_path, {"server": "https://h", **broken}, {})])


def test_kubeconfigs_are_merged_and_a_context_chosen(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        config(tmp_path / name, {"server": f"http://{name}"}, {"token": name}, namespace=name)
    second = yaml.safe_load((tmp_path / "two" / "config").read_text())
    second["contexts"].append({"name": "other", "context": {"cluster": "here", "user": "tester", "namespace": "load"}})
    (tmp_path / "two" / "config").write_text(yaml.safe_dump(second))
    paths = [tmp_path / name / "config" for name in ("none", "one", "two")]
    first, chosen = kubeconfig(paths), kubeconfig(paths, "other")
    # The first file wins, name by name, as kubectl merges them.
    assert (first.server, first.namespace, first.token) == ("http://one", "one", "one")
    assert (chosen.server, chosen.namespace, chosen.token) == ("http://one", "load", "one")
    environment = {"KUBECONFIG": ":".join(map(str, paths))}
    assert access("", None, environment) == first
    assert access("http://127.0.0.1:8001/", None, environment) == Access(server="http://127.0.0.1:8001")
    with pytest.raises(AccessError, match="no kubeconfig at"):
        access("", None, {"KUBECONFIG": str(tmp_path / "none")})


# As it is run --------------------------------------------------------------------------------------------------------


def test_an_observer_continues_after_refusals_and_reports_the_last() -> None:
    server = busy(broken=3)

    async def run() -> Observer:
        async with (
            serving(server) as url,
            Observer(KubernetesSource("exif", Access(server=url)), period=0.02) as observer,
        ):
            await observer.until(lambda sample: sample.ready == 2, 5.0)
            server.token = TOKEN
            for _ in range(200):
                if "401" in observer.complaint:
                    break
                await asyncio.sleep(0.02)
            return observer

    observer = asyncio.run(run())
    assert is_right(observer.samples[-1])
    assert observer.failures >= 2
    assert "Unauthorized" in observer.complaint


async def command(*arguments: str, **environment: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "loadtest.observe", "exif", "--seconds", "1.5", *arguments),
        cwd=ROOT,
        env=clean_environment(**environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


def test_the_command_by_kubeconfig(certificates: Certificates, tmp_path: Path) -> None:
    async def run() -> tuple[tuple[int, str], tuple[int, str], tuple[int, str]]:
        async with serving(busy(token=TOKEN), certificates) as url:
            cluster = {"server": url, "certificate-authority-data": certificates.data("ca.crt")}
            path = str(config(tmp_path, cluster, {"token": TOKEN}))
            out = ("--kubernetes", "--out", str(tmp_path / "samples.jsonl"))
            good = await command(*out, KUBECONFIG=path)
            config(tmp_path, cluster, {"token": "old"})
            old = await command("--kubernetes", "--out", str(tmp_path / "none.jsonl"), KUBECONFIG=path)
            return good, old, await command("--kubernetes", KUBECONFIG=str(tmp_path / "nowhere"))

    good, old, nowhere = asyncio.run(run())
    assert good[0] == 0, good
    assert "at most 2 pods ready, 0 gaps" in good[1]
    rows = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text().splitlines()]
    assert {(row["ready"], row["starting"], row["desired"]) for row in rows} == {(2, 2, 5)}
    assert old[0] == 1
    assert "401" in old[1]
    assert "Unauthorized" in old[1]
    assert nowhere == (2, f"observe: no kubeconfig at {tmp_path / 'nowhere'}, and this is no pod of a cluster\n")


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="the program kubectl is not installed")
def test_kubectl_reads_the_same_from_the_same_kubeconfig(certificates: Certificates, tmp_path: Path) -> None:
    """The stand-in is an API to kubectl too, and its proxy one to the observer."""
    user = {f"client-{kind}-data": certificates.data(f"client.{end}") for kind, end in
            (("certificate", "crt"), ("key", "key"))}  # fmt: skip

    async def run() -> tuple[dict[str, Any], Sample]:
        async with serving(busy(certificates=True), certificates) as url:
            cluster = {"server": url, "certificate-authority-data": certificates.data("ca.crt")}
            path = config(tmp_path, cluster, user)
            kubectl = ("kubectl", "--kubeconfig", str(path))
            query = f"{PODS.format(namespace='default')}?labelSelector=serving.knative.dev/service%3Dexif"
            reader = await asyncio.create_subprocess_exec(*kubectl, "get", "--raw", query, stdout=subprocess.PIPE)
            out, _ = await reader.communicate()
            proxy = await asyncio.create_subprocess_exec(*kubectl, "proxy", "--port", "0", stdout=subprocess.PIPE)
            try:
                assert proxy.stdout is not None
                # Starting to serve on 127.0.0.1:41235
                line = (await asyncio.wait_for(proxy.stdout.readline(), 20)).decode()
                sample = await one_sample(access(f"http://{line.split()[-1]}"))
            finally:
                proxy.terminate()
                await proxy.communicate()
            return json.loads(out), sample

    read, sample = asyncio.run(run())
    assert [one["status"]["phase"] for one in read["items"]].count("Running") == 4
    assert is_right(sample)


# The engine's own API ------------------------------------------------------------------------------------------------


def test_pods_of_the_engine_are_counted_by_its_kubeconfig(tmp_path: Path) -> None:
    engine = EngineProcess(tmp_path, service(annotations={"min-scale": "2"}), api=True)
    try:
        line = engine.wait(
            lambda: next((one for one in engine.lines if "KUBECONFIG=" in one), ""), "the line of the API"
        )
        to = kubeconfig([Path(line.partition("KUBECONFIG=")[2])])

        def counted() -> Sample | None:
            sample = asyncio.run(one_sample(to, "hello"))
            return sample if (sample.ready, sample.desired) == (2, 2) else None

        sample = engine.wait(counted, "two ready pods of two desired ones")
        assert sorted(sample.pods) == sorted(pod["name"] for pod in engine.pods())
    finally:
        engine.stop()
