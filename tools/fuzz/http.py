"""Every function over HTTP, with requests made from its own openapi.json by Schemathesis."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from functions import registry
from tests.servers import FunctionServer

# Short burns and few of them: what is fuzzed is the interface, not the machine.
ENVIRONMENT = {
    "stress": {
        "STRESS_MAX_SECONDS": "0.2",
        "STRESS_MAX_MEMORY_MB": "8",
        "STRESS_CPU_SECONDS_PER_MINUTE": "100000",
    },
}


def over_http(examples: int) -> list[str]:
    """Fuzz each function's server.

    Args:
        examples: for each operation.

    Returns:
        A line for each function that answered a 500, broke its schema, or stopped answering.
    """
    broken = []
    for name in registry.names():
        with FunctionServer(name, ENVIRONMENT.get(name, {})) as server:
            done = subprocess.run(
                [
                    *(str(Path(sys.executable).parent / "schemathesis"), "run", f"{server.url}/openapi.json"),
                    *("--checks", "not_a_server_error,status_code_conformance,content_type_conformance"),
                    *("--max-examples", str(examples), "--request-timeout", "20", "--generation-database", "none"),
                    *("--phases", "examples,coverage,fuzzing", "--no-color"),
                ],
                capture_output=True,
                text=True,
                errors="replace",
            )
            alive = server.process.poll() is None and server.get("/healthz").status_code == 200
        summary = [line.strip() for line in done.stdout.splitlines() if " generated, " in line]
        print(f"http {name:<10}{' '.join(summary) or 'no summary'}", flush=True)
        if done.returncode or not alive:
            print(done.stdout[-4000:])
            broken.append(f"http {name}: {'its schema or a status was broken' if alive else 'it stopped answering'}")
    return broken
