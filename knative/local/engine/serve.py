"""`python -m knative serve`: the engine as a command."""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knative.local.arguments import EXIT_MISTAKE, count, seconds
from knative.local.engine.printer import LogFormat, Printer, coloured
from knative.local.manifests.findings import Finding, ManifestError
from knative.local.manifests.resources import is_part_of_project
from knative.local.pods.template import TemplateError

if TYPE_CHECKING:
    from knative.local.api.store import Store
    from knative.local.controllers.files import Files
    from knative.local.engine.engine import Engine
    from knative.local.engine.overrides import Overrides
    from knative.local.manifests.resources import Manifests, Resource

ROOT = Path(__file__).resolve().parents[3]
STOP_SECONDS = 9.0  # everything has ended within 10 s of the signal
DESCRIPTORS = 65536
SHORTEST_WINDOW = 2  # seconds; Knative's own least is 6


def add_parser(subparsers: Any) -> None:
    """Add the command to `python -m knative`."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "serve",
        help="run Services on this machine, scaled as Knative scales them",
        description="Run the Services of manifests on this machine: same YAML, same scaling decisions, no cluster.",
    )
    parser.add_argument(
        "paths",
        nargs="*",
        type=Path,
        metavar="PATH",
        help="manifest, folder or kustomization (default: knative and knative/eventing)",
    )
    parser.add_argument("--port", type=int, default=8080, help="port of the route; 0 for any free one (default: 8080)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--workdir", type=Path, help="where commands run (default: the current directory)")
    parser.add_argument(
        "--state",
        type=Path,
        help="folder that is kept from run to run: all objects, revisions included, and the event log (default: none of"
        " the objects, and the event log in .pixelamp/PORT unless the port is 0)",
    )
    parser.add_argument(
        "--runtime",
        choices=("auto", "process", "container"),
        default="auto",
        help="how pods run: auto runs a command that this machine has as a process, and anything else as a container of"
        " podman or docker (default: auto)",
    )
    parser.add_argument("--watch", action="store_true", help="a changed manifest or changed code is a new revision")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="answer requests for this host and those below it; others than this machine's get 421 (repeatable)",
    )
    parser.add_argument(
        "--api",
        type=_api_port,
        default=0,
        metavar="off|PORT",
        help="port of the Kubernetes API on 127.0.0.1, for kubectl and kn (default: any free one)",
    )
    group = parser.add_argument_group("instead of the manifests' values, for demonstrations")
    group.add_argument("--window", type=seconds, metavar="6s", help="stable window of every revision")
    group.add_argument("--grace", type=seconds, metavar="5s", help="scale-to-zero-grace-period")
    group.add_argument("--retention", type=seconds, metavar="0s", help="scale-to-zero-pod-retention-period")
    group.add_argument("--initial-scale", type=count, metavar="N", help="pods a new revision starts with; 0 for none")
    group.add_argument("--min-scale", type=count, metavar="N", help="pods that are always kept")
    group.add_argument("--max-scale", type=count, metavar="N", help="pods that are never exceeded; 0 for no limit")
    group.add_argument("--target-burst-capacity", type=float, metavar="X", help="-1: always through the activator")
    group.add_argument(
        "--reports-first",
        action="store_true",
        help="let a decision see the reports of its own second: on a cluster chance decides, and a panic window of 1 s"
        " sees nothing without",
    )
    parser.add_argument(
        "--log-format",
        choices=[*LogFormat],
        type=LogFormat,
        default=LogFormat.TEXT,
        help="lines of the pods: a request as one short line, or as the pod wrote it",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve until a signal; returns the exit status."""
    from knative.local.check.admission import load
    from knative.local.controllers.state import NAME, StateError, read

    paths = options.paths or default_paths()
    if options.window is not None and options.window < SHORTEST_WINDOW:
        print(f"--window: at least {SHORTEST_WINDOW}s, since a decision is made every 2 s", file=sys.stderr)
        return EXIT_MISTAKE
    if options.workdir is not None and not options.workdir.is_dir():
        print(f"--workdir: {options.workdir} is not a folder", file=sys.stderr)
        return EXIT_MISTAKE
    try:
        manifests = load(paths)
        if not manifests.services and options.api is None:
            print(f"no Knative Service in {', '.join(map(str, paths)) or 'the project'}", file=sys.stderr)
            return EXIT_MISTAKE
        kept = read(options.state / NAME) if options.state is not None else None
        sock = listen(options.host, options.port)
    except (ManifestError, StateError) as error:
        print(error, file=sys.stderr)
        return EXIT_MISTAKE
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        print(f"cannot listen on {options.host}:{options.port}: {reason}", file=sys.stderr)
        return 1
    _allow_many_connections()
    import uvloop

    return int(uvloop.run(_serve(options, paths, manifests, sock, kept)))


def _api_port(text: str) -> int | None:
    """Read the value of --api; None for off."""
    if text == "off":
        return None
    port = int(text) if text.isdecimal() else -1
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is neither off nor a port")
    return port


def default_paths() -> list[Path]:
    """The project's own manifests, those that are there."""
    base = Path() if Path("knative").is_dir() else ROOT
    return [path for path in (base / "knative", base / "knative" / "eventing") if any(path.glob("*.y*ml"))]


def listen(host: str, port: int) -> socket.socket:
    """A bound socket.

    Raises:
        OSError: The port is taken, or the address is not this machine's.
        OverflowError: There is no such port.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(1)  # two engines on one port: the second fails here, not later
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _overrides(options: argparse.Namespace) -> Overrides:
    from knative.local.engine.overrides import Overrides

    return Overrides(
        window=options.window,
        grace=options.grace,
        retention=options.retention,
        initial_scale=options.initial_scale,
        min_scale=options.min_scale,
        max_scale=options.max_scale,
        target_burst_capacity=options.target_burst_capacity,
        reports_first=options.reports_first,
    )


def _allow_many_connections() -> None:
    """Two descriptors a request and one an idle client: the soft limit of 1,024 is soon reached."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _serve(
    options: argparse.Namespace,
    paths: Sequence[Path],
    manifests: Manifests,
    sock: socket.socket,
    kept: tuple[Store, Files] | None,
) -> int:
    from knative.local.controllers.state import NAME, StateFile
    from knative.local.engine import console, eventing, fingerprint, metrics, status, watching
    from knative.local.engine.engine import Engine
    from knative.local.pods.runtimes.selection import Mode

    printer = Printer(options.log_format, colour=coloured())
    directory = str((options.workdir or Path.cwd()).resolve())
    stopping = asyncio.Event()
    reload = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    loop.add_signal_handler(signal.SIGHUP, reload.set)
    engine = Engine(
        directory,
        overrides=_overrides(options),
        write=printer,
        say=printer.say,
        allow_hosts=options.allow_host,
        mode=Mode(options.runtime),
        state=kept,
    )
    if options.state is not None:
        state = StateFile(options.state / NAME, engine.store, engine.written.files, printer.say)
        engine.on_stop.append(state.close)
    engine.before_apply.append(lambda found: with_settings(found, os.environ, engine.say_once))
    status.mount(engine)
    metrics.mount(engine)
    console.mount(engine)
    engine.bound(sock)
    if options.state is None and options.port == 0:
        eventing.stateless(engine)
    else:
        eventing.mount(engine, options.state)
    try:
        engine.apply(manifests, fingerprint.fingerprint(directory))
        seen = watching.state(engine, paths)  # before the greeting: what changes after it is a change
        await engine.start(sock)
        api = [await _serve_api(engine, options)] if options.api is not None else []
        for line in (*greeting(engine), *api):
            printer.say(line)
        follower = loop.create_task(watching.follow(engine, paths, reload, seen, watch=options.watch))
        await stopping.wait()
        follower.cancel()
        printer.say("stopping")
    except (ManifestError, TemplateError) as error:
        print(error, file=sys.stderr)
        return EXIT_MISTAKE
    finally:
        await engine.stop(STOP_SECONDS)
        printer.close()
    return 0


async def _serve_api(engine: Engine, options: argparse.Namespace) -> str:
    """Serve the Kubernetes API until the engine stops; returns how kubectl finds it."""
    from knative.local.api.http.access import CertificateError
    from knative.local.api.http.serving import serve

    try:
        sock = listen("127.0.0.1", options.api)
    except OSError as error:
        raise ManifestError([Finding(f"cannot listen on 127.0.0.1:{options.api}: {error.strerror}")]) from None
    folder = options.state
    if folder is None and options.port:
        folder = Path(".pixelamp") / str(options.port)
    try:
        api = await serve(
            engine.store,
            sock,
            folder,
            cluster=lambda: engine.manifests.cluster,
            logs=engine.logs,
            allowed=lambda host: host in engine.route.allowed,
        )
    except OSError as error:
        return f"kubectl  no API: the kubeconfig cannot be written: {error.filename}: {error.strerror}"
    except CertificateError as error:
        sock.close()
        return f"kubectl  no API: {error}"
    engine.on_stop.append(api.stop)
    return f"kubectl  export KUBECONFIG={api.kubeconfig}"


def with_settings(manifests: Manifests, environment: Mapping[str, str], say: Callable[[str], None]) -> Manifests:
    """Pass settings of the project's functions from the engine's environment to their pods.

    A variable `<NAME>_…` is a setting of the Service `<name>`, if that is labelled as a part of this project.

    Args:
        manifests: all manifests.
        environment: variables of the engine.
        say: prints a line for each Service that gets some.
    """

    def change(service: Resource) -> Resource:
        if not is_part_of_project(service):
            return service
        prefix = f"{service.name.upper().replace('-', '_')}_"
        passed = {name: value for name, value in environment.items() if name.startswith(prefix)}
        if not passed:
            return service
        say(f"{service.name}: {', '.join(sorted(passed))} from this environment")
        return service.with_variables(passed)

    return manifests.with_services(change)


def greeting(engine: Engine) -> list[str]:
    """Where everything is, and three things to try."""
    from knative.local.engine.hosts import path_of

    here = engine.origin
    public = [service for service in engine.services if service.public]
    lines = [f"Page     {here}/", f"Console  {here}/console"]
    # Names below localhost lead to the first address of the loopback, and to no other.
    named = engine.host in ("127.0.0.1", "[::1]")
    paths = {service.key: path_of(engine.route.services, service) for service in public}
    hosts = {service.key: engine.route.addresses.host(service.manifest["metadata"]) for service in public}
    lines += [
        f"Service  {here}{paths[service.key]}" + (f"  or  http://{hosts[service.key]}:{engine.port}/" if named else "")
        for service in public
    ]
    tries = [
        f"curl {service.example.replace('URL', f'{here}{paths[service.key]}')}" for service in public if service.example
    ]
    if public and not tries:
        first = public[0]
        tries = [
            f"curl {here}{paths[first.key]}",
            f"curl -H 'Host: {hosts[first.key]}' {here}/",
            f"curl {here}/_knative/status",
        ]
    return lines + [f"Try      {line}" for line in tries]
