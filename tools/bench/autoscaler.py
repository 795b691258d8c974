"""The autoscaler's own cost, how fast its decisions are simulated, and the engine with many revisions and clients."""

from __future__ import annotations

import resource
import socket
import tempfile
import time
from pathlib import Path

from knative.local.autoscaler.decision import Autoscaler
from knative.local.autoscaler.metrics import Report, RevisionMetrics
from knative.local.autoscaler.spec import PREFIX, ScalingSpec
from knative.local.simulation.arrivals import Profile
from knative.local.simulation.simulator import simulate
from knative.local.simulation.trace import Trace, replay
from knative.local.simulation.world import World
from tests.engines import EngineProcess, service
from tools.bench.harness import Bench, cpu_nanoseconds, memory_bytes
from tools.figures import LEAST_PAIRS

HOUR_SECONDS = 5.0
FEW, MANY = 20, 200  # revisions
STREAMS = 10
WATCH_SECONDS = 6.0
IDLE_CONNECTIONS = 10_000
DECISIONS = 20_000
SMOKE = {
    "DECISIONS": 100,
    "LOAD": "0..1000x1m",
    "MANY": 21,
    "FEW": 2,
    "WATCH_SECONDS": 0.2,
    "IDLE_CONNECTIONS": 50,
    "ROUNDS": 1,
}
LOAD = "0..1000000x10m,1000000x50m"
ROUNDS = LEAST_PAIRS
TRACE = Path(__file__).parents[2] / "tests/vectors" / "real_trace_steps.json"


def run(bench: Bench) -> None:
    """One decision, one simulated hour at a million requests a second, and a real trace followed."""
    spec = ScalingSpec()
    metrics, autoscaler = RevisionMetrics(spec), Autoscaler(spec, ready=0, now=0.0)

    def decide(number: int) -> None:
        now = float(number)
        metrics.record(now, Report(concurrency=number % 50))
        stable, panic = metrics.observe(now)
        autoscaler.scale(now, ready=3, stable=stable, panic=panic)

    began = time.process_time()
    for number in range(DECISIONS):
        decide(number)
    bench.figure("record, average and decide", (time.process_time() - began) / DECISIONS * 1e6, None, "µs")

    for name, concurrency, cores in (("requests that hold 50 ms", 10, None), ("requests that share a core", 0, 1)):
        world = World(
            spec=ScalingSpec.of({PREFIX + "target": "1"}, container_concurrency=concurrency),
            offered=Profile.parse(LOAD),
            service_seconds=0.05,
            container_concurrency=concurrency,
            cores=cores,
        )
        bench.figure(f"one simulated hour at 10⁶ requests/s, {name}", _seconds(world), HOUR_SECONDS, "s")

    _, agreement = replay(Trace.read(TRACE))
    bench.figure("desired pods as a real cluster's, share of seconds", agreement, 0.9, "", at_most=False)
    shares = [_revisions(bench, count) for count in (FEW, MANY)]
    flat = (shares[1] / MANY) / (shares[0] / FEW)
    bench.figure(f"CPU a revision with streams open: of {MANY} against of {FEW}", flat, 1.5, "×")
    _connections(bench)


def _seconds(world: World) -> list[float]:
    """The time of each of several simulations."""
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        simulate(world)
        taken.append(time.perf_counter() - began)
    return taken


def _revisions(bench: Bench, count: int) -> float:
    """CPU of an engine whose revisions have no pods, alone and with open status streams, which it returns in %."""
    quick = ("--initial-scale", "0")
    with tempfile.TemporaryDirectory() as folder:
        engine = EngineProcess(Path(folder), *(service(f"s{number}") for number in range(count)), arguments=quick)
        streams = []
        try:
            engine.wait(lambda: len(engine.status()["services"]) == count, f"{count} Services", 60)
            time.sleep(2)
            alone = _share(engine)
            for _ in range(STREAMS):
                streams.append(_opened(engine.port))
                streams[-1].sendall(
                    b"GET /_knative/status HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
                )
            time.sleep(1)
            watched = _share(engine)
        finally:
            for stream in streams:
                stream.close()
            engine.stop()
    bench.figure(f"engine with {count} revisions at zero: CPU", alone, None, "% of a core")
    bench.figure(f"the same with {STREAMS} status streams", watched, None, "% of a core")
    return watched


def _share(engine: EngineProcess) -> float:
    """CPU over some seconds, in percent of a core."""
    before = cpu_nanoseconds(engine.process.pid)
    time.sleep(WATCH_SECONDS)
    return (cpu_nanoseconds(engine.process.pid) - before) / 1e9 / WATCH_SECONDS * 100


def _opened(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def _connections(bench: Bench) -> None:
    """Memory of an engine with many clients that send nothing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < IDLE_CONNECTIONS + 500:
        bench.note(f"{IDLE_CONNECTIONS:,} connections are not measured: {hard:,} files may be open")
        return
    with tempfile.TemporaryDirectory() as folder:
        engine = EngineProcess(Path(folder), service(), arguments=("--initial-scale", "0"))
        connections = []
        try:
            engine.wait(lambda: bool(engine.status()["services"]), "a Service", 30)
            before = memory_bytes(engine.process.pid)
            connections = [_opened(engine.port) for _ in range(IDLE_CONNECTIONS)]
            time.sleep(1)
            added = (memory_bytes(engine.process.pid) - before) / 2**20
        finally:
            for connection in connections:
                connection.close()
            engine.stop()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    bench.figure(f"{IDLE_CONNECTIONS:,} idle connections: memory (PSS) they add", added, 60, "MB")
