"""`pixelamp send`: images as CloudEvents, to a broker or straight to a function."""

from __future__ import annotations

import argparse
import json
import mimetypes
import os
import socket
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from functions.client import answers, arguments, output, transport
from functions.client.answers import EXIT_REFUSED, EXIT_USAGE, Elsewhere, Failed, Unexpected, Unreachable
from functions.client.transport import DEFAULT_URL, Client

if TYPE_CHECKING:
    import requests

BROKER = "/_knative/broker/default/images"
UPLOADED = "dev.pixelamp.image.uploaded"
# Everything printable but space, `"` and `%` (CloudEvents HTTP binding, 3.1.3.2).
_SAFE = "!#$&'()*+,-./:;<=>?@[\\]^_`{|}~"
_FIRST_LOOK, _LAST_LOOK = 0.05, 0.5


class SendError(Failed):
    """An event's results did not come; the text says why."""


def add_parser(subparsers: Any) -> None:
    """Add the command to `pixelamp`."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "send",
        help="send images as events",
        description="Send images as CloudEvents to a broker, or to a function, whose reply is printed.",
    )
    parser.add_argument("photos", nargs="+", type=Path, metavar="PHOTO", help="image files")
    parser.add_argument(
        "--to",
        type=address,
        default=os.environ.get("PIXELAMP_URL", DEFAULT_URL),
        metavar="URL",
        help="broker or function; an engine's address alone means its broker (PIXELAMP_URL; default: %(default)s)",
    )
    parser.add_argument("--type", default=UPLOADED, help="type of the events (default: %(default)s)")
    parser.add_argument(
        "--wait", action="store_true", help="wait for the end of each event's chain, and print its results"
    )
    # A publisher's patience must cover a cold start: Knative's broker may answer only after delivery.
    transport.add_patience(parser, "patience for each photo, all tries and the wait included")
    parser.set_defaults(run=run)


def address(text: str) -> str:
    """Return the URL that events go to.

    An engine's own address (localhost or an IP address) without a path means its broker. A host name with dots is a
    Service's, such as `exif.default.example.com`, and is used as it is.
    """
    url = arguments.url(text)
    parts = urlsplit(url)
    return url.rstrip("/") + BROKER if parts.path in ("", "/") and _is_engine(parts.hostname or "") else url


def _is_engine(host: str) -> bool:
    import ipaddress

    try:
        ipaddress.ip_address(host)
    except ValueError:
        return "." not in host.rstrip(".")
    return True


def run(options: argparse.Namespace) -> int:
    """Send each photo; 0 if all went well, 1 if one was refused or died, 2 if one cannot be read, 3 if nobody hears."""
    status = 0
    with Client(options.to, timeout=options.timeout, retries=options.retries, token=options.token) as client:
        for photo in options.photos:
            try:
                data = photo.read_bytes()
            except OSError as error:
                print(f"{photo}: {error.strerror}", file=sys.stderr)
                return EXIT_USAGE
            try:
                told = send(client, photo.name, data, options.type, wait=options.wait)
            except Failed as error:
                print(f"{photo}: {error}", file=sys.stderr)
                if isinstance(error, Unreachable):
                    return error.code
                status = error.code
                continue
            print(output.as_json({"photo": str(photo), **told}, sys.stdout, indent=2))
            if told.get("dead"):
                status = EXIT_REFUSED
    return status


def headers_of(name: str, kind: str) -> dict[str, str]:
    """The headers of an event of an image, in binary mode, with an id of its own."""
    return {
        "ce-specversion": "1.0",
        "ce-id": str(uuid.uuid4()),
        "ce-source": f"//{quote(socket.gethostname(), safe='')}/pixelamp/send",
        "ce-type": kind,
        "ce-subject": quote(name, safe=_SAFE),
        "Content-Type": mimetypes.guess_type(name)[0] or "application/octet-stream",
    }


def send(client: Client, name: str, data: bytes, kind: str, *, wait: bool) -> dict[str, Any]:
    """Send one image.

    Args:
        client: of a broker or a function; its timeout is the patience until the answer, and until everything has become
            of the event if `wait`.
        name: the event's subject.
        data: the image's bytes.
        kind: the event's type.
        wait: whether to follow the event to the end.

    Returns:
        `id`, and with `wait` or from a function `results`; `dead` lists what could not be delivered and why.

    Raises:
        Failed: it was refused, or did not end in time.
    """
    headers = headers_of(name, kind)
    deadline = time.monotonic() + client.timeout
    # Each try has the same source and id: a broker that had taken one before its answer was lost knows the next again.
    response = client.ask("POST", client.url, data=data, headers=headers, deadline=deadline)
    told: dict[str, Any] = {"id": headers["ce-id"]}
    if "ce-type" in response.headers:
        return {**told, "type": response.headers["ce-type"], **_results(response)}
    if not wait:
        return told
    if "Location" not in response.headers:
        raise SendError("sent; but only the local broker tells what becomes of an event")
    try:
        chain = _settled(client, response.headers["Location"], deadline)
        return {**told, **_outcome(chain, lambda path: client.ask("GET", path, deadline=deadline))}
    except Elsewhere as error:
        raise SendError(f"sent; but what becomes of it is told elsewhere: {error.url}") from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise Unexpected(f"sent; but what becomes of it is told as no local broker tells it: {error!r}") from None


def _settled(client: Client, url: str, deadline: float) -> list[dict[str, Any]]:
    """The event's chain once nothing of it is pending."""
    pause = _FIRST_LOOK
    while True:
        response = client.ask("GET", url, deadline=deadline)
        chain: list[dict[str, Any]] = answers.document(response, {"chain": list}, "the local broker")["chain"]
        waiting = [one for event in chain for one in event["deliveries"] if one["state"] == "pending"]
        if not waiting:
            return chain
        if time.monotonic() + pause > deadline:
            names = ", ".join(f"{one['subscription']} ({one['error'] or 'under way'})" for one in waiting)
            raise SendError(f"still pending: {names}")
        time.sleep(pause)
        pause = min(pause * 1.5, _LAST_LOOK)


def _outcome(chain: list[dict[str, Any]], load: Callable[[str], requests.Response]) -> dict[str, Any]:
    """The fullest results of a chain, and its dead letters."""
    results: Mapping[str, Any] = {}
    for event in chain[1:]:
        if event["attributes"].get("datacontenttype") == "application/json":
            found = _results(load(event["data"])).get("results", {})
            results = max(results, found, key=len)
    dead = [
        {"subscription": one["subscription"], "code": one["code"], "error": _shown(one["error"])}
        for event in chain
        for one in event["deliveries"]
        if one["state"] in ("dead", "dropped")
    ]
    told: dict[str, Any] = {"events": [event["type"] for event in chain], "results": results}
    return {**told, "dead": dead} if dead else told


def _results(response: requests.Response) -> dict[str, Any]:
    try:
        document = response.json()
    except ValueError:
        return {"bytes": len(response.content)}
    if isinstance(document, dict) and isinstance(document.get("results"), dict):
        return {"results": document["results"]}
    return {"results": {"data": document}}


def _shown(error: str) -> Any:
    """A problem as the object it is, anything else as text."""
    try:
        document = json.loads(error)
    except ValueError:
        return error[:500]
    return document if isinstance(document, dict) else error[:500]
