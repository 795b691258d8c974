"""`pixelamp events`: what a local broker is doing, as it happens."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from functions.client.transport import DEFAULT_URL, EXIT_UNREACHABLE

_RECONNECT_SECONDS = 1.0


def add_parser(subparsers: Any) -> None:
    """Add the command to `pixelamp`."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "events",
        help="follow a local broker's events",
        description="Follow what comes to a local broker, where it goes, what is tried again and what dies.",
    )
    engine = os.environ.get("PIXELAMP_URL", DEFAULT_URL)
    parser.add_argument("--at", default=engine, metavar="URL", help="the engine (PIXELAMP_URL; default: %(default)s)")
    parser.add_argument("--dead", action="store_true", help="list the dead letters, newest first, and end")
    parser.add_argument("--limit", type=int, default=100, help="at most so many dead letters (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="a JSON object a line")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print until interrupted, or the dead letters; 3 if the engine cannot be reached."""
    import requests

    base = options.at.rstrip("/")
    try:
        if options.dead:
            return _dead(base, options.limit, as_json=options.json)
        last = ""
        while True:
            last = _follow(base, last, as_json=options.json)
            # The engine was restarted or the connection broke off: what happened meanwhile is asked for by number.
            time.sleep(_RECONNECT_SECONDS)
    except KeyboardInterrupt:
        return 0
    except requests.RequestException as error:
        print(f"{base}: {error}", file=sys.stderr)
        return EXIT_UNREACHABLE


def _follow(base: str, last: str, *, as_json: bool) -> str:
    import requests

    headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last} if last else {})}
    try:
        with requests.get(f"{base}/_knative/events", headers=headers, stream=True, timeout=(5, 60)) as response:
            response.raise_for_status()
            for number, happening in frames(response.iter_lines(chunk_size=1)):
                last = number
                print(json.dumps(happening) if as_json else line(happening), flush=True)
    except (requests.exceptions.ChunkedEncodingError, requests.ConnectionError, requests.ReadTimeout):
        if not last:
            raise
    return last


def frames(lines: Iterable[bytes]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Id and data of each server-sent event."""
    number = ""
    for raw in lines:
        field, _, value = raw.decode().partition(": ")
        if field == "id":
            number = value
        elif field == "data":
            yield number, json.loads(value)


def line(happening: Mapping[str, Any]) -> str:
    """One happening for a reader."""
    at = datetime.fromtimestamp(happening["at"]).astimezone().strftime("%H:%M:%S.%f")[:-3]
    parts = [at, f"{happening['what']:<9}", str(happening.get("type", "")), f"#{happening.get('event', '')}"]
    if happening["what"] == "accepted":
        return " ".join([*parts, f"from {happening['source']} id {happening['id']}"])
    way = {"dead-letter": " to the dead-letter sink", "reply": " reply"}.get(happening.get("kind", ""), "")
    parts.append(f"{happening.get('subscription', '')}{way}:")
    if "code" in happening:
        answered = happening["code"] if happening["code"] is not None else "no answer"
        parts.append(f"{answered} after {happening['ms']:g} ms, try {happening['attempt']}")
    if "reply_type" in happening:
        parts.append(f"→ {happening['reply_type']} #{happening['reply']}")
    if happening.get("error"):
        parts.append(f"— {reason(happening['error'])}")
    return " ".join(parts)


def reason(error: str) -> str:
    """Why something failed: a problem's detail, or the text as it is."""
    try:
        document = json.loads(error)
    except ValueError:
        return error[:200]
    return str(document.get("detail", error))[:300] if isinstance(document, dict) else error[:200]


def _dead(base: str, limit: int, *, as_json: bool) -> int:
    import requests

    wanted = {"state": "dead", "limit": str(limit)}
    response = requests.get(f"{base}/_knative/events", params=wanted, timeout=30)
    response.raise_for_status()
    for event in response.json()["events"]:
        for delivery in event["deliveries"]:
            if delivery["state"] != "dead":
                continue
            if as_json:
                print(json.dumps({**delivery, "event": event["event"], "attributes": event["attributes"]}))
                continue
            told = f"{delivery['subscription']}: {delivery['code']} after {delivery['attempts']} tries"
            print(f"#{event['event']} {event['type']} id {event['id']} — {told} — {reason(delivery['error'] or '')}")
    return 0
