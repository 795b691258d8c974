"""Our rules beside Knative's own: recorded answers of its validation to Services of every kind of wrong."""

import json
import re
from pathlib import Path

import pytest

from knative.local.check import serving_rules
from knative.local.manifests import schema
from knative.local.manifests.cluster import Cluster
from knative.local.manifests.decoding import decode
from knative.local.manifests.findings import dotted

CASES = json.loads((Path(__file__).parent / "webhook.json").read_text())["cases"]
# What the API server's schema or the pod's dry run says, after or before the validation that was recorded.
ELSEWHERE = ("dry-run", "duplicate")
# Said of the object as a whole, without a field: not in the record.
PATHLESS = ("HostPath volume", "Persistent volume", "CSI volume", "Image volume", "Ephemeral volume")


def in_one_spelling(line):
    """Where Knative names a field by a path that is not its own, both are brought to one."""
    line = re.sub(r"traffic\.tag\[(\d+)\]", r"traffic[\1].tag", line)
    line = re.sub(r"(invalid key name .*): (.*annotations)\.\S+$", r"\1: \2", line)
    line = re.sub(r"annotations\.\[(queue[^\]]*)\]", r"annotations.\1", line)
    line = re.sub(r"envFrom\[\d+\]", "envFrom", line).replace(".sources[", "[")
    return re.sub(r"/(min|max)Scale", r"/\1-scale", line)


def is_of_a_volume_that_is_off(line):
    return re.search(r"^must not set.*volumes\[\d+\]\.(hostPath|persistentVolumeClaim|csi|ephemeral|image)$", line)


@pytest.mark.parametrize("case", CASES, ids=[str(number) for number in range(len(CASES))])
def test_knative_says_the_same(case):
    data, misfits = decode(case["object"], schema.SERVICE, "Service")
    assert misfits == []
    ours = {
        in_one_spelling(f"{finding.message}: {dotted(path)}")
        for finding in serving_rules.service(data, Cluster())
        if finding.rule not in ELSEWHERE and not finding.message.startswith(("metadata.labels", *PATHLESS))
        for path in finding.paths
        if "seccompProfile" not in path
    }
    theirs = {in_one_spelling(line) for line in case["errors"] if not is_of_a_volume_that_is_off(line)}
    assert ours == theirs


def test_the_record_has_refusals_of_many_kinds_and_what_is_taken():
    kinds = {re.sub(r'\d+|"[^"]*"', "#", line) for case in CASES for line in case["errors"]}
    assert len(kinds) > 60
    assert sum(not case["errors"] for case in CASES) >= 20
