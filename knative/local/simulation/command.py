"""`python -m knative simulate`: the autoscaler's decisions on a virtual clock, without a pod started.

    python -m knative simulate --rate 10x60s,500x30s,10x120s --service-time 80ms --concurrency 10
    python -m knative simulate --manifest knative/services/exif.yaml --clients 5x30s,40x60s,0x90s --plot exif.png
    python -m knative simulate --rate 0..1000x60s,1000x120s --cores 1 --vary target=1,2,4
    python -m knative simulate --trace tests/vectors/real_trace_steps.json --plot trace.png

Exit status: 0, 1 where a trace is followed at less than 90 % of its seconds, 2 for a mistake in the arguments.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from knative.local.arguments import EXIT_MISTAKE, above_zero, count, positive, seconds
from knative.local.autoscaler.spec import PREFIX, ScalingSpec
from knative.local.jsontypes import JsonMapping, JsonObject
from knative.local.manifests.annotations import ANNOTATIONS, validate_annotations
from knative.local.manifests.cluster_config import AutoscalerConfig
from knative.local.simulation.arrivals import Profile, ProfileError
from knative.local.simulation.report import print_summary, print_table, write_csv
from knative.local.simulation.simulator import simulate
from knative.local.simulation.trace import Trace, TraceError, replay
from knative.local.simulation.world import Outcome, World

AGREEMENT = 0.9
_FIGURES = ("png", "svg", "pdf")


class SimulateError(ValueError):
    """A mistake in the arguments, for the person who made it."""


@dataclass(frozen=True)
class Variant:
    """One of the worlds that are set side by side, and what is different about it."""

    label: str
    world: World


def add_parser(subparsers: Any) -> None:
    """Add the command to `python -m knative`."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "simulate",
        help="the autoscaler's decisions on a virtual clock",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    load = parser.add_mutually_exclusive_group(required=True)
    load.add_argument("--rate", metavar="PROFILE", help="requests/s offered, such as 10x60s,500x10s or 0..1000x5m")
    load.add_argument("--clients", metavar="PROFILE", help="clients, each sending its next request when answered")
    load.add_argument("--trace", type=Path, metavar="FILE", help="a trace of a real Knative: its Service and clients")
    parser.add_argument("--manifest", type=Path, metavar="FILE", help="take annotations and concurrency from a Service")
    parser.add_argument("--service", metavar="NAME", help="which Service, where the manifest has several")
    parser.add_argument(
        "--measured", type=Path, metavar="FILE", help="service time and cold start of a load test's verdict.json"
    )
    parser.add_argument("--service-time", type=seconds, metavar="100ms", help="what one request takes alone")
    parser.add_argument(
        "--cores",
        type=positive,
        metavar="N",
        help="cores of a pod that its requests share; default: they only hold their time",
    )
    parser.add_argument("--concurrency", type=count, metavar="N", help="containerConcurrency; 0 for no limit")
    parser.add_argument(
        "--annotation",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="autoscaling annotation, such as target=5; repeatable",
    )
    parser.add_argument(
        "--cold-start", type=seconds, metavar="1.5s", help="from the decision for a pod to its readiness"
    )
    parser.add_argument("--start-rate", type=above_zero, metavar="N", help="pods that become ready a second, at most")
    parser.add_argument(
        "--timeout", type=seconds, metavar="300s", help="timeoutSeconds: until the answer, waiting included"
    )
    parser.add_argument(
        "--activators",
        type=positive,
        default=1,
        metavar="N",
        help="activators, each queueing 10,000 where concurrency is limited",
    )
    parser.add_argument("--settle", type=seconds, default=0.0, metavar="60s", help="go on after the profile ended")
    parser.add_argument(
        "--vary",
        metavar="NAME=A,B,…",
        help="side by side: an annotation, concurrency, service-time, cold-start, cores or scale",
    )
    parser.add_argument("--every", type=positive, metavar="N", help="seconds between the table's rows")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write every second")
    parser.add_argument("--plot", type=Path, metavar="FILE", help=f"write a figure ({', '.join(_FIGURES)})")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    try:
        _check_outputs(options)
        if options.trace:
            return _run_trace(options)
        variants = variants_of(options)
    except (SimulateError, ProfileError, TraceError) as error:
        print(f"simulate: {error}", file=sys.stderr)
        return EXIT_MISTAKE
    outcomes = [(variant.label, simulate(variant.world)) for variant in variants]
    if len(outcomes) == 1:
        print_table(outcomes[0][1], options.every, sys.stdout)
    print_summary(outcomes, sys.stdout)
    _write(options, outcomes, None)
    return 0


def _run_trace(options: argparse.Namespace) -> int:
    trace = Trace.read(options.trace)
    outcome, share = replay(trace)
    print_table(outcome, options.every, sys.stdout)
    print_summary([("simulated", outcome)], sys.stdout)
    print(
        f"desired pods as the trace at {share:.1%} of {trace.duration:.0f} s "
        f"(cold start {trace.cold_start():.1f} s and the tick's phase {trace.tick_phase():.2f} s taken from it)"
    )
    _write(options, [("simulated", outcome)], trace)
    return 0 if share >= AGREEMENT else 1


def _check_outputs(options: argparse.Namespace) -> None:
    """Refuse what could not be written before anything is simulated.

    Raises:
        SimulateError: a folder is missing or closed, the figure's format is unknown, or matplotlib is missing.
    """
    for name, path in (("--csv", options.csv), ("--plot", options.plot)):
        if path is None:
            continue
        if not path.parent.is_dir():
            raise SimulateError(f"{name} {path}: there is no folder {path.parent}")
        if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
            raise SimulateError(f"{name} {path}: this cannot be written")
    if options.plot:
        if options.plot.suffix.lower().removeprefix(".") not in _FIGURES:
            raise SimulateError(f"--plot {options.plot}: a name that ends in one of {', '.join(_FIGURES)} is wanted")
        if importlib.util.find_spec("matplotlib") is None:
            raise SimulateError("--plot: matplotlib draws it and is not installed here")


def _write(options: argparse.Namespace, outcomes: Sequence[tuple[str, Outcome]], trace: Trace | None) -> None:
    if options.csv:
        with options.csv.open("w", newline="") as file:
            write_csv(outcomes, file)
        print(f"wrote {options.csv}")
    if options.plot:
        from knative.local.simulation.plot import draw

        draw(outcomes, options.plot, trace)
        print(f"wrote {options.plot}")


def variants_of(options: argparse.Namespace) -> list[Variant]:
    """The worlds to simulate.

    Raises:
        SimulateError: an annotation, a manifest, a measurement or the name to vary is not as it must be.
        ProfileError: the profile cannot be read.
    """
    settings, annotations, config = _settings(options)
    if not options.vary:
        return [Variant("", _world(options, settings, annotations, config))]
    name, separator, values = options.vary.partition("=")
    if not separator or not values:
        raise SimulateError(f"--vary {options.vary}: NAME=A,B,… is wanted")
    variants = []
    for value in values.split(","):
        changed, changed_annotations = dict(settings), dict(annotations)
        if PREFIX + name in {annotation.key for annotation in ANNOTATIONS}:
            changed_annotations[PREFIX + name] = value
        elif name in _VARIED:
            try:
                changed[name] = _VARIED[name](value)
            except (argparse.ArgumentTypeError, ValueError) as error:
                raise SimulateError(f"--vary {name}: {error}") from None
        else:
            raise SimulateError(f"--vary {name}: not an annotation, nor {', '.join(_VARIED)}")
        variants.append(Variant(f"{name} {value}", _world(options, changed, changed_annotations, config)))
    return variants


_VARIED: dict[str, Callable[[str], float]] = {
    "concurrency": count,
    "service-time": seconds,
    "cold-start": seconds,
    "cores": positive,
    "scale": above_zero,  # of the offered load
}


def _settings(options: argparse.Namespace) -> tuple[JsonObject, dict[str, str], AutoscalerConfig]:
    """What the manifest says, over it the measured run, over it the command line."""
    settings: JsonObject = {
        "concurrency": 0,
        "service-time": 0.1,
        "cold-start": 1.5,
        "timeout": 300.0,
        "cores": None,
        "scale": 1.0,
    }
    annotations: dict[str, str] = {}
    config = AutoscalerConfig()
    if options.manifest:
        template, config = _template(options.manifest, options.service)
        annotations |= template.get("metadata", {}).get("annotations", {})
        spec = template.get("spec", {})
        settings["concurrency"] = int(spec.get("containerConcurrency", 0))
        settings["timeout"] = float(spec.get("timeoutSeconds", 300))
    if options.measured:
        settings |= _measured(options.measured)
    given = {
        "concurrency": options.concurrency,
        "service-time": options.service_time,
        "cold-start": options.cold_start,
        "timeout": options.timeout,
        "cores": options.cores,
    }
    settings |= {key: value for key, value in given.items() if value is not None}
    for text in options.annotation:
        name, separator, value = text.partition("=")
        name = name.removeprefix(PREFIX)
        if not separator or PREFIX + name not in {annotation.key for annotation in ANNOTATIONS}:
            raise SimulateError(f"--annotation {text}: NAME=VALUE with the name of an autoscaling annotation is wanted")
        annotations[PREFIX + name] = value
    return settings, annotations, config


def _world(
    options: argparse.Namespace, settings: JsonMapping, annotations: Mapping[str, str], config: AutoscalerConfig
) -> World:
    refusals = validate_annotations(annotations, config)
    if refusals:
        raise SimulateError("; ".join(str(refusal) for refusal in refusals))
    if ScalingSpec.of(annotations, config=config).horizontal is not None:
        raise SimulateError("class hpa scales by CPU or memory, which a simulation of requests does not have")
    if settings["service-time"] <= 0:
        raise SimulateError("--service-time: above 0")
    offered = Profile.parse(options.rate or options.clients).scaled(settings["scale"])
    spec = ScalingSpec.of(annotations, container_concurrency=settings["concurrency"], config=config)
    start = max(spec.min_scale, 0)
    return World(
        spec=spec,
        offered=offered,
        closed=options.clients is not None,
        service_seconds=settings["service-time"],
        cores=settings["cores"],
        container_concurrency=settings["concurrency"],
        cold_start_seconds=settings["cold-start"],
        start_rate=options.start_rate,
        timeout_seconds=settings["timeout"],
        activators=options.activators,
        start_ready=start,
        settle_seconds=options.settle,
    )


def _template(path: Path, name: str | None) -> tuple[JsonMapping, AutoscalerConfig]:
    from knative.local.check.admission import load
    from knative.local.manifests.findings import ManifestError

    try:
        manifests = load([path])
    except ManifestError as error:
        raise SimulateError(str(error)) from None
    services = {resource.data["metadata"]["name"]: resource for resource in manifests.services}
    if name is None and len(services) == 1:
        name = next(iter(services))
    if name not in services:
        raise SimulateError(f"{path}: --service must name one of {', '.join(services) or 'no Service at all'}")
    template: JsonMapping = services[name].data["spec"]["template"]
    return template, manifests.autoscaler


def _measured(path: Path) -> dict[str, float]:
    """What a verdict.json measured: its `service_seconds` and `cold_start_seconds`, where they are there."""
    try:
        measured: JsonMapping = json.loads(path.read_text())["measured"]
        names = {"service_seconds": "service-time", "cold_start_seconds": "cold-start"}
        return {ours: float(measured[theirs]) for theirs, ours in names.items() if measured.get(theirs) is not None}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SimulateError(f"{path}: no measured run: {type(error).__name__}: {error}") from None
