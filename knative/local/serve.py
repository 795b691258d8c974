"""``python -m knative serve``: the engine as a command."""

from __future__ import annotations

import argparse
import asyncio
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knative.local.findings import ManifestError
from knative.local.template import TemplateError

if TYPE_CHECKING:
    from knative.local.engine import Applied, Engine

ROOT = Path(__file__).resolve().parents[2]
STOP_SECONDS = 9.0  # everything has ended within 10 s of the signal


def add_parser(subparsers: Any) -> None:
    """Add the command to ``python -m knative``."""
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
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve until a signal; returns the exit status."""
    paths = options.paths or default_paths()
    try:
        applied = load(paths)
        sock = listen(options.host, options.port)
    except (ManifestError, TemplateError) as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"cannot listen on {options.host}:{options.port}: {error.strerror}", file=sys.stderr)
        return 1
    try:
        import uvloop
    except ImportError:
        return asyncio.run(_serve(options, applied, sock))
    return uvloop.run(_serve(options, applied, sock))


def default_paths() -> list[Path]:
    """The project's own manifests, those that are there."""
    base = Path.cwd() if Path("knative").is_dir() else ROOT
    return [path for path in (base / "knative", base / "knative" / "eventing") if path.is_dir()]


def listen(host: str, port: int) -> socket.socket:
    """A bound socket.

    Raises:
        OSError: The port is taken, or the address is not this machine's.
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


async def _serve(options: argparse.Namespace, applied: Applied, sock: socket.socket) -> int:
    from knative.local.engine import Engine, Printer

    printer = Printer()
    directory = str((options.workdir or Path.cwd()).resolve())
    engine = Engine(directory, write=printer, say=printer.say)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    try:
        await engine.start(sock)
        engine.apply(applied)
        for line in greeting(engine):
            printer.say(line)
        await stopping.wait()
    except TemplateError as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        printer.say("stopping")
        await engine.stop(STOP_SECONDS)
        printer.close()
    return 0


def greeting(engine: Engine) -> list[str]:
    """What to try first."""
    port = engine.port
    lines = [f"http://127.0.0.1:{port}  is the console; Services:"]
    lines += [
        f"  http://127.0.0.1:{port}/{service.name}   http://{service.name}.{service.namespace}.localhost:{port}"
        for service in engine.services
        if service.public
    ]
    names = [service.name for service in engine.services if service.public]
    own = ("histogram", "exif", "stress")
    if set(own) <= set(names):
        lines += [
            "Try:",
            f"  curl -F file=@photo.jpg http://127.0.0.1:{port}/histogram",
            f"  curl --data-binary @photo.jpg -H 'Content-Type: image/jpeg' http://127.0.0.1:{port}/exif",
            f"  curl -X POST 'http://127.0.0.1:{port}/stress?seconds=2&load=50'",
        ]
    elif names:
        first = next(service for service in engine.services if service.public)
        lines += [
            "Try:",
            f"  curl http://127.0.0.1:{port}/{first.name}",
            f"  curl http://{first.name}.{first.namespace}.localhost:{port}/",
            f"  curl http://127.0.0.1:{port}/_knative/status",
        ]
    return lines


def load(paths: list[Path]) -> Applied:
    """Read the Services of manifests."""
    from knative.local.engine import Applied
    from knative.local.source import read_file

    services = []
    files = []
    for path in paths:
        for file in sorted(path.rglob("*.yaml")) if path.is_dir() else [path]:
            files.append(file)
            services += [
                document.data
                for document in read_file(file)
                if document.data.get("kind") == "Service" and "overlays" not in str(file)
            ]
    return Applied(services=services, files=files)
