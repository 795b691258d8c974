"""`pixelamp open`: the page of the functions in a browser. `pixelamp completion`: for the shell."""

from __future__ import annotations

import argparse
import sys
import webbrowser

from functions.client import transport
from functions.client.responses import EXIT_REFUSED, RefusedError
from functions.client.transport import Client

SHELLS = ("bash", "zsh", "fish")


def add_parser(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommands `open` and `completion`."""
    opening = subcommands.add_parser("open", help="the page in a browser", description="Open the page in a browser.")
    opening.add_argument(
        "page", nargs="?", default="", help="a function, or console; the landing page if not given", metavar="PAGE"
    )
    transport.add_arguments(opening)
    opening.set_defaults(run=run)
    completing = subcommands.add_parser(
        "completion",
        help="completion for a shell",
        description='Print the code that completes this command: eval "$(pixelamp completion bash)".',
    )
    completing.add_argument("shell", choices=SHELLS)
    completing.set_defaults(run=complete)


def run(chosen: argparse.Namespace) -> int:
    """Open the page, and print its address.

    Raises:
        RequestFailedError: nothing answers there.
    """
    url = f"{chosen.url.rstrip('/')}/{chosen.page.strip('/')}"
    with Client(chosen.url, timeout=chosen.timeout, retries=0, token=chosen.token) as client:
        answer = client.ask("GET", url, headers={"Accept": "text/html"})
    if not answer.headers.get("Content-Type", "").startswith("text/html"):
        raise RefusedError(answer.status_code, {"detail": f"{url} is no page"})
    print(url, flush=True)
    if webbrowser.open(url):
        return 0
    print("pixelamp: no browser could be started; open the address above", file=sys.stderr)
    return EXIT_REFUSED


def complete(chosen: argparse.Namespace) -> int:
    """Print the code for a shell."""
    from argcomplete.shell_integration import shellcode

    print(shellcode(["pixelamp"], shell=chosen.shell))
    return 0
