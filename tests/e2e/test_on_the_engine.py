"""The suite for a cluster, run on the engine through its Kubernetes API."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from tests.engines import EngineProcess
from tests.servers import ROOT, clean_environment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not shutil.which("kubectl"), reason="the program kubectl is not installed"),
]


def test_the_suite_for_a_cluster_passes_on_the_engine(tmp_path):
    engine = EngineProcess(tmp_path, arguments=("--workdir", str(ROOT)), api=True)
    try:
        line = engine.wait(
            lambda: next((one for one in engine.lines if "KUBECONFIG=" in one), ""), "the line of the API"
        )
        environment = clean_environment(
            KUBECONFIG=line.partition("KUBECONFIG=")[2],
            PIXELAMP_IMAGE_PREFIX="dev.local/pixelamp-",
            PIXELAMP_INGRESS=engine.url,
        )
        command = [sys.executable, "-m", "pytest", "-q", "-rs", "tests/e2e/test_cluster.py", "--timeout", "600"]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:]
        assert "passed" in done.stdout
    finally:
        engine.stop()
