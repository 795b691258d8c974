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
from urllib.parse import quote, urljoin, urlsplit

from functions.client.transport import DEFAULT_URL, EXIT_REFUSED, EXIT_UNREACHABLE, EXIT_USAGE

if TYPE_CHECKING:
    import requests

BROKER = "/_knative/broker/default/images"
UPLOADED = "dev.pixelamp.image.uploaded"
# Everything printable but space, `"` and `%` (CloudEvents HTTP binding, 3.1.3.2).
_SAFE = "!#$&'()*+,-./:;<=>?@[\\]^_`{|}~"
# A publisher's patience must cover a cold start: Knative's broker may answer only after delivery.
_PATIENCE = 60.0
_FIRST_LOOK, _LAST_LOOK = 0.05, 0.5


class SendError(Exception):
    """An event was not taken, or its results did not come; the text says why."""


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
        default=address(os.environ.get("PIXELAMP_URL", DEFAULT_URL)),
        metavar="URL",
        help="broker or function; an engine without a path is its broker (default: %(default)s)",
    )
    parser.add_argument("--type", default=UPLOADED, help="type of the events (default: %(default)s)")
    parser.add_argument(
        "--wait", action="store_true", help="wait for the end of each event's chain, and print its results"
    )
    parser.add_argument(
        "--timeout", type=float, default=_PATIENCE, metavar="SECONDS", help="patience for each (default: %(default)g)"
    )
    parser.set_defaults(run=run)


def address(url: str) -> str:
    """Where events go: a URL without a path is an engine, whose broker is meant."""
    return url.rstrip("/") + BROKER if urlsplit(url).path in ("", "/") else url


def run(options: argparse.Namespace) -> int:
    """Send each photo; 0 if all went well, 1 if one was refused or died, 2 if one cannot be read, 3 if nobody hears."""
    import requests

    status = 0
    with requests.Session() as session:
        for photo in options.photos:
            try:
                data = photo.read_bytes()
            except OSError as error:
                print(f"{photo}: {error.strerror}", file=sys.stderr)
                return EXIT_USAGE
            try:
                told = send(session, options.to, photo.name, data, options.type, options.timeout, wait=options.wait)
            except requests.ConnectionError as error:
                print(f"{photo}: {error}", file=sys.stderr)
                return EXIT_UNREACHABLE
            except (SendError, requests.RequestException) as error:
                print(f"{photo}: {error}", file=sys.stderr)
                status = EXIT_REFUSED
                continue
            print(json.dumps({"photo": str(photo), **told}, ensure_ascii=False, indent=2))
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


def send(
    session: requests.Session, to: str, name: str, data: bytes, kind: str, timeout: float, *, wait: bool
) -> dict[str, Any]:
    """Send one image.

    Args:
        session: an open one.
        to: URL of a broker or a function.
        name: the event's subject.
        data: the image's bytes.
        kind: the event's type.
        timeout: seconds until the answer, and until everything has become of the event if `wait`.
        wait: whether to follow the event to the end.

    Returns:
        `id`, and with `wait` or from a function `results`; `dead` lists what could not be delivered and why.

    Raises:
        SendError: it was refused, or did not end in time.
    """
    headers = headers_of(name, kind)
    deadline = time.monotonic() + timeout
    response = session.post(to, data=data, headers=headers, timeout=timeout, allow_redirects=False)
    if not 200 <= response.status_code < 300:
        raise SendError(f"{response.status_code}: {_reason(response)}")
    told: dict[str, Any] = {"id": headers["ce-id"]}
    if "ce-type" in response.headers:
        return {**told, "type": response.headers["ce-type"], **_results(response)}
    if not wait:
        return told
    if "Location" not in response.headers:
        raise SendError("sent; but only the local broker tells what becomes of an event")
    chain = _settled(session, urljoin(to, response.headers["Location"]), deadline)
    return {**told, **_outcome(chain, lambda path: session.get(urljoin(to, path), timeout=timeout))}


def _settled(session: requests.Session, url: str, deadline: float) -> list[dict[str, Any]]:
    """The event's chain once nothing of it is pending."""
    pause = _FIRST_LOOK
    while True:
        response = session.get(url, timeout=max(1.0, deadline - time.monotonic()))
        response.raise_for_status()
        chain: list[dict[str, Any]] = response.json()["chain"]
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


def _reason(response: requests.Response) -> str:
    shown = _shown(response.text)
    return shown if isinstance(shown, str) else str(shown.get("detail") or shown.get("title") or shown)


def _shown(error: str) -> Any:
    """A problem as the object it is, anything else as text."""
    try:
        document = json.loads(error)
    except ValueError:
        return error[:500]
    return document if isinstance(document, dict) else error[:500]
