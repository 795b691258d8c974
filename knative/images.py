"""`python -m knative images`: the container images of functions and load test, with docker, podman or buildah."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from functions import registry
from knative.local.arguments import EXIT_MISTAKE

ROOT = Path(__file__).resolve().parents[1]
FUNCTIONS = registry.names()
# Built only by name: for a load from inside the cluster.
IMAGES = (*FUNCTIONS, "loadtest")
TOOLS = ("docker", "podman", "buildah")
VERSION = version("pixelamp")

Run = Callable[..., "subprocess.CompletedProcess[str]"]


class ImageError(RuntimeError):
    """A failed build of an image; the text names the reason and the remedy."""


def builder(which: Callable[[str], str | None] = shutil.which, run: Run = subprocess.run) -> str:
    """Return the tool that builds images on this machine.

    Args:
        which: finds a program.
        run: runs a program to its end.

    Raises:
        ImageError: none is installed.
    """
    for tool in TOOLS:
        # The docker client needs its daemon.
        if which(tool) and (
            tool != "docker" or run(["docker", "info"], capture_output=True, text=True).returncode == 0
        ):
            return tool
    raise ImageError("no image builder found: install podman or buildah, or start the docker daemon")


def reference(registry: str, function: str, tag: str) -> str:
    """The name of a function's image, such as `registry.example.com/me/pixelamp-exif:0.1.0`."""
    return f"{registry.rstrip('/')}/pixelamp-{function}:{tag}"


def build_command(
    tool: str,
    function: str,
    image: str,
    *,
    version: str = VERSION,
    revision: str = "unknown",
    platforms: str = "",
    extra: Sequence[str] = (),
) -> list[str]:
    """Return the command that builds an image from the repository's root.

    Args:
        tool: docker, podman or buildah.
        function: a function, or `loadtest`.
        image: name of the image.
        version: version for its labels.
        revision: commit for its labels.
        platforms: such as `linux/amd64,linux/arm64`, for a manifest list; empty for this machine's.
        extra: further arguments of the builder.
    """
    # Only docker's format has HEALTHCHECK.
    shape = [] if tool == "docker" else ["--format", "docker"]
    values = {"FUNCTION": function, "VERSION": version, "REVISION": revision}
    arguments = [part for name, value in values.items() for part in ("--build-arg", f"{name}={value}")]
    # Docker's tag is a manifest list itself; podman and buildah name it.
    name = "--manifest" if platforms and tool != "docker" else "--tag"
    chosen = ["--platform", platforms] if platforms else []
    return [tool, "build", *shape, *arguments, *chosen, *extra, name, image, "."]


def push_command(tool: str, image: str, *, platforms: str = "") -> list[str]:
    """Return the command that pushes an image, or the manifest list with its images."""
    if platforms and tool != "docker":
        return [tool, "manifest", "push", "--all", image, f"docker://{image}"]
    return [tool, "push", image]


def commit(run: Run = subprocess.run) -> str:
    """The commit of the working tree, `unknown` outside a checkout."""
    try:
        found = run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        return "unknown"
    return found.stdout.strip() if found.returncode == 0 else "unknown"


def add_parser(subparsers: Any) -> None:
    """Add the command to `python -m knative`."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "images",
        help="build the functions' images",
        description="Build the images of functions and load test with docker, podman or buildah.",
    )
    parser.add_argument(
        "functions", nargs="*", metavar="IMAGE", help=f"of {', '.join(IMAGES)} (default: {' '.join(FUNCTIONS)})"
    )
    parser.add_argument(
        "--registry", default="dev.local", help="registry and path before the name (default: %(default)s)"
    )
    parser.add_argument("--tag", default=VERSION, help="default: %(default)s")
    parser.add_argument(
        "--platform",
        default="",
        metavar="LIST",
        help="platforms of one manifest list, such as linux/amd64,linux/arm64 (default: this machine's)",
    )
    parser.add_argument("--push", action="store_true", help="push each image once it is built")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, run: Run = subprocess.run) -> int:
    """Build the images of the arguments; 0 if all were built."""
    wanted = arguments.functions or list(FUNCTIONS)
    unknown = sorted(set(wanted) - set(IMAGES))
    if unknown:
        print(f"unknown image {', '.join(unknown)}; the images are {', '.join(IMAGES)}", file=sys.stderr)
        return EXIT_MISTAKE
    try:
        tool = builder(run=run)
    except ImageError as error:
        print(error, file=sys.stderr)
        return 1
    revision = commit(run)
    for function in wanted:
        image = reference(arguments.registry, function, arguments.tag)
        steps = [
            build_command(tool, function, image, version=arguments.tag, revision=revision, platforms=arguments.platform)
        ]
        steps += [push_command(tool, image, platforms=arguments.platform)] if arguments.push else []
        for step in steps:
            print("$", " ".join(step))
            if run(step, cwd=ROOT).returncode != 0:
                print(f"{step[0]} {step[1]} of {image} failed", file=sys.stderr)
                return 1
    if not arguments.push and arguments.registry == "dev.local":
        names = " ".join(reference(arguments.registry, function, arguments.tag) for function in wanted)
        print(f"To load them into a cluster on this machine: kind load docker-image {names}")
    return 0
