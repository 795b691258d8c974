"""The Locust file as Locust runs it, in a process of its own: it patches the one that imports it."""

from __future__ import annotations

import asyncio
import csv
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.servers import ROOT, clean_environment


async def locust(folder: Path, *arguments: str) -> tuple[int, str, list[dict[str, str]], list[tuple[str, ...]]]:
    """Run the Locust file against a server that notes what came: exit status, errors, figures, requests."""
    seen: list[tuple[str, ...]] = []

    async def handler(request: web.Request) -> web.Response:
        body = await request.read()
        kind = request.headers.get("Content-Type", "").partition(";")[0]
        picture = "png" if b"\x89PNG" in body else "jpeg" if b"\xff\xd8\xff" in body and b"Exif" in body else ""
        seen.append((request.headers["Host"], request.path_qs, kind, picture, request.headers.get("ce-type", "")))
        return web.json_response({})

    app = web.Application(client_max_size=2**22)
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "locust", "--headless", "--only-summary", "--csv", str(folder / "out")),
            *("--host", f"http://127.0.0.1:{runner.addresses[0][1]}", *arguments),
            cwd=ROOT,
            env=clean_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        _, errors = await process.communicate()
    finally:
        await runner.cleanup()
    rows = list(csv.DictReader((folder / "out_stats.csv").read_text().splitlines()))
    return process.returncode or 0, errors.decode(), rows, seen


def run(folder: Path, *arguments: str) -> Any:
    return asyncio.run(locust(folder, *arguments))


@pytest.mark.slow
def test_mixed_users_by_path(tmp_path: Path) -> None:
    status, errors, rows, seen = run(tmp_path, "--tags", "mixed", "-u", "6", "-r", "20", "-t", "3s")
    assert status == 0, errors
    paths = Counter(path.partition("?")[0] for _, path, *_ in seen)
    assert {"/histogram", "/exif"} <= set(paths) <= {"/histogram", "/exif", "/stress"}
    assert {picture for _, path, _, picture, _ in seen if path == "/histogram"} == {"png"}
    assert {picture for _, path, _, picture, _ in seen if path == "/exif"} == {"jpeg"}
    total = next(row for row in rows if row["Name"] == "Aggregated")
    assert int(total["Failure Count"]) == 0
    assert int(total["Request Count"]) >= 6


def test_events_by_host_and_a_shape_that_ends_the_test(tmp_path: Path) -> None:
    status, errors, _, seen = run(
        tmp_path, "--tags", "events", "--domain", "default.example.com", "--shape", "step", "--levels", "2x1s,4x2s"
    )
    assert status == 0, errors
    assert {(host, kind, event) for host, _, kind, _, event in seen} == {
        ("stress.default.example.com", "application/json", "dev.pixelamp.stress.requested")
    }


@pytest.mark.slow
def test_several_processes(tmp_path: Path) -> None:
    status, errors, rows, seen = run(tmp_path, "--tags", "stress", "-u", "4", "-r", "4", "-t", "4s", "--processes", "2")
    assert status == 0, errors
    total = next(row for row in rows if row["Name"] == "Aggregated")
    assert int(total["Request Count"]) == pytest.approx(len(seen), abs=8)


def test_the_job_runs_as_it_is_written(tmp_path: Path) -> None:
    import yaml

    job = yaml.safe_load((ROOT / "loadtest" / "job.yaml").read_text())
    arguments = job["spec"]["template"]["spec"]["containers"][0]["args"]
    elsewhere = ("--host=", "--levels=")  # the address of a cluster, and minutes of load
    kept = [argument for argument in arguments if not argument.startswith(elsewhere)]
    assert len(kept) == len(arguments) - 2
    status, errors, _, seen = run(tmp_path, *kept, "--levels", "3x3s")
    assert status == 0, errors
    assert {host for host, *_ in seen} <= {
        f"{name}.default.svc.cluster.local" for name in ("histogram", "exif", "stress")
    }
    assert seen
