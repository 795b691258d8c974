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
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from functions.client import arguments, output, responses, transport
from functions.client.responses import (
    EXIT_REFUSED,
    EXIT_USAGE,
    ForeignOriginError,
    Json,
    JsonMapping,
    JsonObject,
    RequestFailedError,
    UnexpectedResponseError,
    UnreachableError,
)
from functions.client.transport import DEFAULT_URL, Client

if TYPE_CHECKING:
    import requests

BROKER = "/_knative/broker/default/images"
UPLOADED = "dev.pixelamp.image.uploaded"
# Everything printable but space, `"` and `%` (CloudEvents HTTP binding, 3.1.3.2).
_SAFE = "!#$&'()*+,-./:;<=>?@[\\]^_`{|}~"
_FIRST_LOOK, _LAST_LOOK = 0.05, 0.5


class SendError(RequestFailedError):
    """The results of an event did not arrive; the text says why."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to `pixelamp`."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "send",
        help="send images as events",
        description="Send images as CloudEvents to a broker, or to a function, whose reply is printed.",
    )
    parser.add_argument("photos", nargs="+", type=Path, metavar="PHOTO", help="image files")
    parser.add_argument(
        "--to",
        "--url",
        type=address,
        default=os.environ.get("PIXELAMP_URL") or DEFAULT_URL,
        metavar="URL",
        help="broker or function; an engine's address alone means its broker (PIXELAMP_URL; default: %(default)s)",
    )
    parser.add_argument("--type", default=UPLOADED, help="type of the events (default: %(default)s)")
    parser.add_argument(
        "--wait", action="store_true", help="wait for the end of each event's chain, and print its results"
    )
    # The timeout must cover a cold start: Knative's broker may respond only after delivery.
    transport.add_patience(parser, "longest time for each photo, all tries and the wait included")
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
    """Send each photo and return the exit code: 1 if one was refused or dead-lettered, 2 unreadable, 3 unreachable."""
    status = 0
    with Client(options.to, timeout=options.timeout, retries=options.retries, token=options.token) as client:
        for photo in options.photos:
            try:
                data = photo.read_bytes()
            except OSError as error:
                print(f"{photo}: {error.strerror}", file=sys.stderr)
                return EXIT_USAGE
            try:
                sent = send(client, photo.name, data, options.type, wait=options.wait)
            except RequestFailedError as error:
                print(f"{photo}: {error}", file=sys.stderr)
                if isinstance(error, UnreachableError):
                    return error.code
                status = error.code
                continue
            print(output.as_json({"photo": str(photo), **sent}, sys.stdout, indent=2))
            if sent.get("dead"):
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


def send(client: Client, name: str, data: bytes, kind: str, *, wait: bool) -> JsonObject:
    """Send one image.

    Args:
        client: of a broker or a function; its timeout covers the response, and with `wait` the event's whole chain.
        name: the event's subject.
        data: the image's bytes.
        kind: the event's type.
        wait: whether to follow the event to the end.

    Returns:
        `id`, and with `wait` or from a function `results`; `dead` lists what could not be delivered and why.

    Raises:
        RequestFailedError: it was refused, or did not finish in time.
    """
    headers = headers_of(name, kind)
    deadline = time.monotonic() + client.timeout
    # Each try has the same source and id, so that a broker recognises a repetition.
    response = client.ask("POST", client.url, data=data, headers=headers, deadline=deadline)
    sent: JsonObject = {"id": headers["ce-id"]}
    if "ce-type" in response.headers:
        return {**sent, "type": response.headers["ce-type"], **_results(response)}
    if not wait:
        return sent
    if "Location" not in response.headers:
        raise SendError("sent; only the local broker reports what follows from an event")
    try:
        chain = _settled(client, response.headers["Location"], deadline)
        return {**sent, **_outcome(chain, lambda path: client.ask("GET", path, deadline=deadline))}
    except ForeignOriginError as error:
        raise SendError(f"sent; what follows from it is reported at another origin: {error.url}") from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UnexpectedResponseError(f"sent; the report about it is not that of a local broker: {error!r}") from None


def _settled(client: Client, url: str, deadline: float) -> list[JsonObject]:
    """Return the event's chain once nothing in it is pending."""
    pause = _FIRST_LOOK
    while True:
        response = client.ask("GET", url, deadline=deadline)
        chain: list[JsonObject] = responses.document(response, {"chain": list}, "the local broker")["chain"]
        waiting = [one for event in chain for one in event["deliveries"] if one["state"] == "pending"]
        if not waiting:
            return chain
        if time.monotonic() + pause > deadline:
            names = ", ".join(f"{one['subscription']} ({one['error'] or 'under way'})" for one in waiting)
            raise SendError(f"still pending: {names}")
        time.sleep(pause)
        pause = min(pause * 1.5, _LAST_LOOK)


def _outcome(chain: list[JsonObject], load: Callable[[str], requests.Response]) -> JsonObject:
    """Return the fullest results of a chain, and its dead letters."""
    results: JsonMapping = {}
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
    outcome: JsonObject = {"events": [event["type"] for event in chain], "results": results}
    return {**outcome, "dead": dead} if dead else outcome


def _results(response: requests.Response) -> JsonObject:
    try:
        document = response.json()
    except ValueError:
        return {"bytes": len(response.content)}
    if isinstance(document, dict) and isinstance(document.get("results"), dict):
        return {"results": document["results"]}
    return {"results": {"data": document}}


def _shown(error: str) -> Json:
    """Return a problem as an object, anything else as text."""
    try:
        document = json.loads(error)
    except ValueError:
        return error[:500]
    return document if isinstance(document, dict) else error[:500]
