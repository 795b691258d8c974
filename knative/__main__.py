"""`python -m knative`: run, check and plan Knative Services without a cluster."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

# Each module has `add_parser(subparsers)`; only that of the chosen command is imported.
COMMANDS = {
    "serve": ("knative.local.engine.serve", "run Services on this machine, scaled as Knative scales them"),
    "check": ("knative.local.check.command", "apply the rules of Knative's webhook, and lint"),
    "simulate": ("knative.local.simulation.command", "simulate the autoscaler on a virtual clock"),
    "images": ("knative.images", "build the functions' images"),
    "deploy": ("knative.cluster", "apply the functions to a cluster, wait until they are ready, print their URLs"),
    "undeploy": ("knative.cluster", "delete the functions from a cluster"),
    "status": ("knative.cluster", "show the functions on a cluster"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        The exit status: 0, 1 for a failure, 2 for wrong arguments or manifests.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="pixelamp-knative" if sys.argv[0].endswith("pixelamp-knative") else "python -m knative",
        description=__doc__,
    )
    subparsers = parser.add_subparsers(title="commands", dest="command", required=True)
    chosen = next((word for word in arguments if not word.startswith("-")), None)
    for name, (module, summary) in COMMANDS.items():
        if name == chosen:
            importlib.import_module(module).add_parser(subparsers)
        elif name not in subparsers.choices:
            subparsers.add_parser(name, help=summary)
    options = parser.parse_args(arguments)
    return int(options.run(options) or 0)


if __name__ == "__main__":
    sys.exit(main())
