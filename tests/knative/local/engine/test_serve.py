"""The command `python -m knative serve` and its exit status; the same engine under the heaviest load."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from pathlib import Path

import aiohttp
import pytest
import yaml

from tests.engines import Start, closed_loop, knative, run_async, service
from tests.forked import Forked
from tests.servers import ROOT, clean_environment

serve = partial(knative, "serve")


def test_a_busy_port_is_one_line(start: Start) -> None:
    engine = start(service())
    ended = serve(str(engine.manifest), "--port", str(engine.port))
    assert ended.returncode == 1
    assert ended.stderr == f"cannot listen on 127.0.0.1:{engine.port}: Address already in use\n"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("kind: [", "services.yaml:2"),
        ("apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: UPPER}\n", "services.yaml"),
        ("", "no Knative Service"),
        (yaml.safe_dump({**service(), "metadata": {"generateName": "hello-"}}), "generateName"),
        (
            f"{yaml.safe_dump(service())}---\napiVersion: sources.knative.dev/v1\nkind: KafkaSource\nmetadata:\n",
            "KafkaSource: an object of a file needs metadata.name; generateName is not used",
        ),
    ],
)
def test_a_bad_manifest_is_reported_and_nothing_starts(tmp_path: Path, text: str, word: str) -> None:
    manifest = tmp_path / "services.yaml"
    manifest.write_text(text)
    ended = Forked(["serve", str(manifest), "--port", "0", "--api", "off"], ROOT, clean_environment())
    printed = ended.stdout.read()
    ended.stdout.close()
    assert ended.wait(10) == 2
    assert word in printed
    assert "Traceback" not in printed


def test_a_missing_working_directory_is_reported_and_nothing_starts(tmp_path: Path) -> None:
    manifest = tmp_path / "services.yaml"
    manifest.write_text(yaml.safe_dump(service()))
    ended = serve(str(manifest), "--port", "0", "--workdir", str(tmp_path / "typo"))
    assert ended.returncode == 2
    assert ended.stderr == f"--workdir: {tmp_path / 'typo'} is not a folder\n"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_hundred_thousand_requests_none_lost_none_doubled(start: Start, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    engine = start(
        service(concurrency=10, annotations={"max-scale": "4"}, environment={"LEDGER": str(ledger)}),
        arguments=("--initial-scale", "0", "--window", "6s"),
    )
    total = 100_000

    async def drive() -> Counter[str]:
        got: Counter[str] = Counter()
        numbers = iter(range(total))
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def one(number: int) -> None:
                async with session.get(f"{engine.url}/hello?brief=1&id=r{number}") as response:
                    assert response.status == 200
                    assert (await response.json())["id"] == f"r{number}"
                    got[f"r{number}"] += 1

            async def client() -> None:
                for number in numbers:
                    await one(number)

            await asyncio.gather(*(one(next(numbers)) for _ in range(200)))
            await asyncio.gather(*(client() for _ in range(40)))
        return got

    got = run_async(drive())
    assert len(got) == total
    assert set(got.values()) == {1}
    assert Counter(ledger.read_text().split()) == got


@pytest.mark.slow
def test_overload_is_answered_200_or_503_and_passes(start: Start) -> None:
    # Work of 20 ms that excludes other work: one pod of concurrency 4 answers 50 a second, however it is asked.
    engine = start(
        service(
            concurrency=4,
            annotations={"max-scale": "1", "min-scale": "1", "target-burst-capacity": "0"},
            environment={"WORK_SECONDS": "0.02"},
        )
    )
    engine.wait_pods(1)
    url = f"{engine.url}/hello?brief=1&work=1"
    peak = run_async(closed_loop(url, 4, 5))[200]
    over = run_async(closed_loop(url, 120, 5, pause=0.05))
    assert set(over) == {200, 503}
    assert over[200] >= 0.9 * peak
    after = run_async(closed_loop(url, 4, 2))
    assert set(after) == {200}
