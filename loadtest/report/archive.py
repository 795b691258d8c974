"""The raw material of a run in files: requests, samples and events, written and read again."""

from __future__ import annotations

import json
from pathlib import Path

from knative.local.jsontypes import JsonMapping
from loadtest.generators.closed_loop import Request
from loadtest.lab import Run
from loadtest.observe.pods import Sample, write_samples

REQUESTS, FLOOD, SAMPLES, EVENTS = "requests.jsonl", "flood.jsonl", "samples.jsonl", "events.json"


class ArchiveError(ValueError):
    """A folder that holds no finished run; the message names the file."""


def keep(run: Run, folder: Path) -> None:
    """Write a run: samples and requests as one JSON object a line, the rest as one object."""
    write_samples(run.samples, folder / SAMPLES)
    for name, requests in ((REQUESTS, run.requests), (FLOOD, run.flood)):
        with (folder / name).open("w") as file:
            for request in requests:
                record = {slot: getattr(request, slot) for slot in request.__slots__}
                file.write(json.dumps(record) + "\n")
    times = {"started": run.started, "ended": run.ended}
    happened = {"offered": run.offered, "expected": run.expected, "events": run.events}
    (folder / EVENTS).write_text(json.dumps({**times, **happened}, indent=1) + "\n")


def load(folder: Path, scenario: str) -> Run:
    """The run of a scenario that `keep` wrote into a folder.

    Raises:
        ArchiveError: a file is missing or is not what `keep` writes.
    """
    try:
        happened = json.loads((folder / EVENTS).read_text())
        run = Run(scenario, started=happened["started"], ended=happened["ended"])
        run.offered, run.expected = ([tuple(one) for one in happened[name]] for name in ("offered", "expected"))
        run.events = [tuple(one) for one in happened["events"]]
        for name, requests in ((REQUESTS, run.requests), (FLOOD, run.flood)):
            if name == REQUESTS or (folder / name).is_file():  # older reports have no flood
                requests += [Request(**json.loads(line)) for line in (folder / name).read_text().splitlines()]
        for line in (folder / SAMPLES).read_text().splitlines():
            sample = json.loads(line)
            run.samples.append(Sample(**{**sample, "pods": tuple(sample["pods"])}))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArchiveError(f"{folder}: no finished run of {scenario}: {error!r}") from None
    return run


def earlier(folder: Path) -> tuple[JsonMapping, dict[str, Run]]:
    """An earlier report: its verdict.json, and its runs by scenario as far as their raw material is there.

    Raises:
        ArchiveError: the folder has no verdict.json.
    """
    try:
        summary = json.loads((folder / "verdict.json").read_text())
        names = [one["scenario"] for one in summary["scenarios"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArchiveError(f"{folder}: no report: {error!r}") from None
    runs: dict[str, Run] = {}
    for name in names:
        if (folder / name / EVENTS).is_file() and '"started"' in (folder / name / EVENTS).read_text():
            runs[name] = load(folder / name, name)
    return summary, runs
