"""`pixelamp events`: follow a local broker."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import datetime

from functions.client import arguments, output, responses, transport
from functions.client.responses import JsonMapping, JsonObject, UnreachableError
from functions.client.transport import DEFAULT_URL, Client

_RECONNECT_SECONDS = 1.0
_TIMEOUT = 60.0  # the engine sends a heartbeat more often than that


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to `pixelamp`."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "events",
        help="follow a local broker's events",
        description="Follow the events of a local broker: accepted, delivered, retried, dead-lettered.",
    )
    engine = os.environ.get("PIXELAMP_URL") or DEFAULT_URL
    parser.add_argument(
        "--at",
        "--url",
        type=arguments.url,
        default=engine,
        metavar="URL",
        help="the engine (PIXELAMP_URL; default: %(default)s)",
    )
    parser.add_argument("--dead", action="store_true", help="list the dead letters, newest first, and end")
    parser.add_argument(
        "--limit", type=arguments.count, default=100, help="at most so many dead letters (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="a JSON object a line")
    transport.add_token(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print until interrupted, or the dead letters.

    Raises:
        RequestFailedError: the engine cannot be reached, or its response is unusable.
    """
    base = options.at.rstrip("/")
    with Client(base, timeout=_TIMEOUT, retries=0, token=options.token) as client:
        try:
            if options.dead:
                return _dead(client, base, options.limit, as_json=options.json)
            last = ""
            while True:
                last = _follow(client, base, last, as_json=options.json)
                # After a restart or a lost connection, what happened meanwhile is requested by number.
                time.sleep(_RECONNECT_SECONDS)
        except KeyboardInterrupt:
            return 0


def _follow(client: Client, base: str, last: str, *, as_json: bool) -> str:
    import requests

    headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last} if last else {})}
    try:
        with client.ask("GET", f"{base}/_knative/events", headers=headers, stream=True) as response:
            if responses.media_type(response) != "text/event-stream":
                raise responses.unexpected(response, "the local broker", "expected a stream of events")
            for number, happening in frames(response.iter_lines(chunk_size=1)):
                last = number
                print(output.as_json(happening, sys.stdout) if as_json else line(happening), flush=True)
    except (requests.exceptions.ChunkedEncodingError, requests.ConnectionError, UnreachableError) as error:
        if not last:
            raise UnreachableError(f"{base}: {error}") from error
    return last


def frames(lines: Iterable[bytes]) -> Iterator[tuple[str, JsonObject]]:
    """Yield id and data of each server-sent event."""
    number = ""
    for raw in lines:
        field, _, value = raw.decode().partition(": ")
        if field == "id":
            number = value
        elif field == "data":
            yield number, json.loads(value)


def line(happening: JsonMapping) -> str:
    """Return one event of the stream as a line of text."""
    at = datetime.fromtimestamp(happening["at"]).astimezone().strftime("%H:%M:%S.%f")[:-3]
    parts = [at, f"{happening['what']:<9}", str(happening.get("type", "")), f"#{happening.get('event', '')}"]
    if happening["what"] == "accepted":
        return " ".join([*parts, f"from {happening['source']} id {happening['id']}"])
    way = {"dead-letter": " to the dead-letter sink", "reply": " reply"}.get(happening.get("kind", ""), "")
    parts.append(f"{happening.get('subscription', '')}{way}:")
    if "code" in happening:
        answered = happening["code"] if happening["code"] is not None else "no response"
        parts.append(f"{answered} after {happening['ms']:g} ms, try {happening['attempt']}")
    if "reply_type" in happening:
        parts.append(f"→ {happening['reply_type']} #{happening['reply']}")
    if happening.get("error"):
        parts.append(f"— {reason(happening['error'])}")
    return " ".join(parts)


def reason(error: str) -> str:
    """Return the reason of a failure: a problem's detail, or the unchanged text."""
    try:
        document = json.loads(error)
    except ValueError:
        return error[:200]
    return str(document.get("detail", error))[:300] if isinstance(document, dict) else error[:200]


def _dead(client: Client, base: str, limit: int, *, as_json: bool) -> int:
    wanted = {"state": "dead", "limit": str(limit)}
    response = client.ask("GET", f"{base}/_knative/events", params=wanted)
    events = responses.document(response, {"events": list}, "the local broker")["events"]
    try:
        lines = [
            _letter(event, delivery, as_json=as_json)
            for event in events
            for delivery in event["deliveries"]
            if delivery["state"] == "dead"
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise responses.UnexpectedResponseError(
            f"{base} does not describe events as a local broker does: {error!r}"
        ) from None
    for line in lines:
        print(line)
    return 0


def _letter(event: JsonObject, delivery: JsonObject, *, as_json: bool) -> str:
    if as_json:
        letter = {**delivery, "event": event["event"], "attributes": event["attributes"]}
        return output.as_json(letter, sys.stdout)
    end = f"{delivery['subscription']}: {delivery['code']} after {delivery['attempts']} tries"
    return f"#{event['event']} {event['type']} id {event['id']} — {end} — {reason(delivery['error'] or '')}"
