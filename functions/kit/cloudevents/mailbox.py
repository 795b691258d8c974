"""A readable sink: keep the last events received, such as dead letters, and list them.

`python -m functions.kit.cloudevents.mailbox` serves it; the image of each function contains it. Events are kept in
memory, in one permanent pod (`min-scale: "1"`), and are also written to the log, which outlives a restart.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import sys
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from functions.kit.cloudevents import binding
from functions.kit.cloudevents.attributes import malformed
from functions.kit.http.function import Call, Function, Reply, Route
from functions.kit.http.options import Option, integer
from functions.kit.http.service import dispatch, start
from functions.kit.http.settings import Settings, setting
from functions.kit.jsontypes import JsonMapping, JsonObject

if TYPE_CHECKING:
    from flask import Request, Response

    from functions.kit.cloudevents.binding import Event

BOXES = ("/dead-letters", "/results")
# JSON data up to this size is shown; other data by size and hash.
SHOWN_BYTES = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class MailboxSettings(Settings):
    """The settings of the mailbox."""

    letters: int = setting(1000, minimum=1, maximum=100_000, unit="events", help="number of newest events kept")


class Letters:
    """The newest events; a repetition from the same subscriber only increases a count.

    Args:
        kept: limit of events.
    """

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._letters: OrderedDict[tuple[str, str, str, str], JsonObject] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, box: str, event: Event, now: datetime) -> JsonMapping:
        """Keep an event and return its letter."""
        key = (box, event.source, event.id, event.get("knativeerrordest"))
        with self._lock:
            known = self._letters.pop(key, None)
            letter = known or {"box": box, **described(event), "received": now.isoformat(), "times": 0}
            letter["times"] += 1
            self._letters[key] = letter
            while len(self._letters) > self._kept:
                self._letters.popitem(last=False)
            return dict(letter)

    def newest(self, box: str, limit: int) -> list[JsonObject]:
        """The newest letters of a box, or of all boxes for `/`, the newest first."""
        with self._lock:
            letters = [dict(letter) for letter in reversed(self._letters.values()) if box in ("/", letter["box"])]
        return letters[:limit]


def described(event: Event) -> JsonObject:
    """Describe an event: attributes, data or its size and hash, and the error of a dead letter."""
    data = event.data or b""
    letter: JsonObject = {"attributes": dict(event.attributes)}
    if error := _error(event):
        letter["error"] = error
    if data and len(data) <= SHOWN_BYTES and binding.is_json(event.media_type):
        try:
            return {**letter, "data": json.loads(data)}
        except (ValueError, RecursionError):
            pass
    return {**letter, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _error(event: Event) -> JsonObject:
    """Decode Knative's three error attributes."""
    if not event.get("knativeerrorcode"):
        return {}
    error: JsonObject = {"code": event.get("knativeerrorcode"), "subscriber": event.get("knativeerrordest")}
    encoded = event.get("knativeerrordata")
    try:
        # It may be truncated: decode whole groups of four characters.
        text = base64.b64decode(encoded[: len(encoded) // 4 * 4]).decode(errors="replace")
    except binascii.Error:
        text = encoded
    try:
        return {**error, "said": json.loads(text)}
    except ValueError:
        return {**error, "said": text}


@cache
def letters(settings: MailboxSettings) -> Letters:
    """The letters of this process."""
    return Letters(settings.letters)


def receive(call: Call[MailboxSettings]) -> Reply:
    """Keep an event; the empty response ends the chain."""
    event = binding.decode(call.request.headers, call.body.read())
    if event is None:
        raise malformed("only CloudEvents are accepted")
    letter = letters(call.settings).put(_box(call), event, datetime.now(UTC))
    line = {"letter": {name: value for name, value in letter.items() if name != "data"}}
    print(json.dumps(line, ensure_ascii=False), flush=True)  # noqa: T201 - the log keeps it beyond a restart
    return Reply(b"", status=204)


def show(call: Call[MailboxSettings]) -> JsonMapping:
    """Return the newest letters."""
    return {"letters": letters(call.settings).newest(_box(call), call.options["limit"])}


def _box(call: Call[MailboxSettings]) -> str:
    path = call.request.path.removeprefix("/mailbox").rstrip("/")
    return path or "/"


FUNCTION = Function(
    name="mailbox",
    summary="Keeps events and lists them.",
    settings=MailboxSettings,
    routes=(
        Route("POST", "/", receive, "keep an event", aliases=BOXES),
        Route(
            "GET",
            "/",
            show,
            "the newest events",
            options=(Option("limit", integer(1, 1000), 100, help="limit of events"),),
            aliases=BOXES,
        ),
    ),
    page=Path(__file__).parents[1] / "page" / "shell.html",
)


def mailbox(request: Request) -> Response:
    """Answer a request: the target of the functions framework."""
    return dispatch(FUNCTION, request)


def main() -> int:
    """Serve the mailbox on $PORT until SIGTERM."""
    import functions_framework

    from functions.kit.server.application import Application

    app = functions_framework.create_app("mailbox", __file__, "http")  # type: ignore[no-untyped-call]
    # The framework runs this file again as another module: that one will be called.
    service = start(sys.modules[Path(__file__).stem].FUNCTION, os.environ)
    Application(app, service, f"0.0.0.0:{os.environ.get('PORT', '8080')}").run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
