"""Hundreds of generated manifests: no stack trace, and each is judged."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from knative.__main__ import main
from knative.local.manifests.kinds import KINDS

ODD: tuple[Any, ...] = (None, "", "x", -1, 2**70, 1.5, float("nan"), float("inf"), True, [], {}, [None], {"a": None})
FIELDS = (
    *("annotations", "branches", "broker", "brokerRef", "cesql", "channel", "channelTemplate", "config", "containers"),
    *(
        "delivery",
        "env",
        "filter",
        "filters",
        "image",
        "labels",
        "metadata",
        "name",
        "namespace",
        "not",
        "ref",
        "reply",
    ),
    *("resources", "schedule", "sink", "spec", "steps", "subject", "subscriber", "template", "traffic", "uri"),
)


def odd(chance: random.Random, depth: int = 0) -> Any:
    """A value of any form, with fields that objects of Knative have."""
    if depth > 4 or chance.random() < 0.25:
        return chance.choice(ODD)
    if chance.random() < 0.25:
        return [odd(chance, depth + 1) for _ in range(chance.randrange(3))]
    return {name: odd(chance, depth + 1) for name in chance.sample(FIELDS, chance.randrange(5))}


def manifests(count: int, seed: int) -> list[dict[str, Any]]:
    chance = random.Random(seed)
    kinds = [(group, kind, version) for (group, kind), known in sorted(KINDS.items()) for version in known.versions]
    found = []
    for number in range(count):
        group, kind, version = chance.choice(kinds)
        name = chance.choice([f"n{number}", f"n{number}", "", "A_b", 7])
        metadata = {"name": name, "annotations": odd(chance)} if chance.random() < 0.2 else {"name": name}
        spec = {name: odd(chance, 1) for name in chance.sample(FIELDS, 6)}
        found.append({"apiVersion": f"{group}/{version}", "kind": kind, "metadata": metadata, "spec": spec})
    return found


def check(path: Path, objects: list[dict[str, Any]]) -> int:
    path.write_text(yaml.dump_all(objects, Dumper=yaml.CSafeDumper))
    return main(["check", str(path)])


def test_odd_objects_are_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(tmp_path / "many.yaml", manifests(400, seed=5)) == 1
    out, err = capsys.readouterr()
    assert err == ""
    named = {line.split(": ")[2] for line in out.splitlines() if ": error: " in line}
    assert len(named) > 120
