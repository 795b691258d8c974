"""Fuzz targets of configuration: settings, options, the plan of a burn, manifests."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator

from functions.kit.http.problems import Problem
from tests.servers import ROOT
from tools.fuzz.messages import MEMORY
from tools.fuzz.target import Target, refusing


def settings(data: bytes) -> None:
    """Load settings from an environment; mistakes are named, and secrets are not shown."""
    from functions.kit.http.settings import SettingsError, load
    from functions.stress.plan import StressSettings

    lines = [line.partition("=") for line in data.decode("utf-8", "replace").split("\n")]
    environment = {name.strip().upper(): value for name, _, value in lines}
    secret = environment.get("STRESS_TOKEN", "")
    try:
        load(StressSettings, "stress", environment)
    except SettingsError as error:
        assert all(mistake.startswith("invalid STRESS_") for mistake in error.mistakes)
        elsewhere = any(secret in value for name, value in environment.items() if name != "STRESS_TOKEN")
        assert len(secret) < 12 or elsewhere or secret not in str(error)


def environments() -> Iterator[bytes]:
    """Environments, one variable a line."""
    yield b"STRESS_MAX_BYTES=1000\nSTRESS_TOKEN=abc\nSTRESS_LOG_FORMAT=json\nSTRESS_MAX_SECONDS=2.5"
    yield b"STRESS_MAX_BYTES=-1\nSTRESS_WORKERS=many\nSTRESS_MAX_SECONDS=nan\nSTRESS_CORS_ORIGINS=http://a,http://b"


def plans(data: bytes) -> None:
    """Parse the parameters of a burn into a plan; no plan exceeds the limits."""
    from functions.kit.http.options import parse_options
    from functions.kit.http.settings import load
    from functions.stress.plan import Room, StressSettings, decide
    from functions.stress.request import PARAMETERS

    limits = load(StressSettings, "stress", {})
    pairs = [part.partition("=") for part in data.decode("utf-8", "replace").split("&") if part]
    values = parse_options(PARAMETERS, [(name, value) for name, _, value in pairs])
    try:
        plan = decide(values, Room(1.5, 2**30, 2**31), limits)
    except Problem as problem:
        if problem.status == 503:  # memory that is not free at the moment
            return
        raise
    assert 0 <= plan.seconds <= 60
    assert 0 <= plan.pressure.hold <= 60
    assert 0 <= plan.wait <= 60
    assert 1 <= plan.cores <= 2
    assert 0 <= plan.share <= 1
    assert plan.pressure.memory <= 2**29


def queries() -> Iterator[bytes]:
    """Parameters of a burn."""
    yield b"seconds=2&load=50&cores=1&relative_to=core"
    yield b"seconds=1e1&load=99.5&relative_to=quota&memory_mb=5&hold=3&sleep_ms=10&jitter_ms=5&seed=-3"
    yield b"seconds=1&memory_mb=" + b"0" * 20 + b"99"


def options(data: bytes) -> None:
    """Parse the query of a request to a histogram or to exif; whole numbers stay within what their option says."""
    from functions.exif.main import FUNCTION as EXIF
    from functions.histogram.main import FUNCTION as HISTOGRAM
    from functions.kit.http.options import parse_options

    routes = [route for function in (HISTOGRAM, EXIF) for route in function.routes if route.options]
    route = routes[data[0] % len(routes)] if data else routes[0]
    pairs = [part.partition("=") for part in data[1:].decode("utf-8", "replace").split("&") if part]
    values = parse_options(route.options, [(name, value) for name, _, value in pairs])
    for option in route.options:
        if option.kind.schema.get("type") == "integer" and "minimum" in option.kind.schema and values[option.name]:
            assert option.kind.schema["minimum"] <= values[option.name] <= option.kind.schema["maximum"]


def requests() -> Iterator[bytes]:
    """Queries of both functions; the first byte chooses the route."""
    for number in range(6):
        yield bytes((number,)) + b"format=png&width=640&height=400&scale=log&title=a&region=1,2,3,4&bins=64&frame=0"
        yield bytes((number,)) + b"tags=Make,Model&groups=IFD0&raw=1&flat&format=csv&thumbnail=inline"
        yield bytes((number,)) + b"keep=none&remove=gps&report=1"
        yield bytes((number,)) + b"artist=a&date=2024-05-03T14:12:31Z&gps=48.1,11.5,500&orientation=6"


def manifests() -> Iterator[bytes]:
    """The repository's own manifests and a few shapes of YAML."""
    for path in sorted((ROOT / "knative").rglob("*.yaml"))[:12]:
        yield path.read_bytes()[:4000]
    yield b"a: &a [1, *a]\n"
    yield b"- - - - {a: b}\n---\n!!binary aGk=\n"


def manifest(data: bytes) -> None:
    """Read a manifest file and check it; all that is wrong is a finding."""
    from knative.local.check.command import as_json, check

    with tempfile.NamedTemporaryFile(suffix=".yaml", dir=MEMORY) as file:
        file.write(data)
        file.flush()
        json.loads(as_json(check([file.name])))


TARGETS = {
    "settings": Target(refusing(settings), environments),
    "plans": Target(refusing(plans), queries, 512),
    "options": Target(refusing(options), requests, 512),
    "manifests": Target(refusing(manifest), manifests),
}
