"""``python -m knative``: run, check and plan Knative Services without a cluster."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

# Each module offers add_parser(subparsers); only the one that is asked for is imported.
COMMANDS = {
    "serve": ("knative.local.engine.serve", "run Services on this machine, scaled as Knative scales them"),
    "check": ("knative.local.check.command", "refuse what Knative's webhook refuses, and warn of what it lets through"),
    "simulate": ("knative.local.simulation.command", "the autoscaler's decisions on a virtual clock"),
    "images": ("knative.images", "build the functions' images"),
    "deploy": ("knative.cluster", "apply the functions to a cluster, wait until they are ready, print their URLs"),
    "undeploy": ("knative.cluster", "delete the functions from a cluster"),
    "status": ("knative.cluster", "what the functions do on a cluster"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        The exit status: 0, 1 for a failure, 2 for a mistake in the arguments or the manifests.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="python -m knative", description=__doc__)
    subparsers = parser.add_subparsers(title="commands", dest="command", required=True)
    wanted = next((word for word in arguments if not word.startswith("-")), None)
    for name, (module, summary) in COMMANDS.items():
        if name == wanted:
            importlib.import_module(module).add_parser(subparsers)
        elif name not in subparsers.choices:
            subparsers.add_parser(name, help=summary)
    options = parser.parse_args(arguments)
    return int(options.run(options) or 0)


if __name__ == "__main__":
    sys.exit(main())
