"""A sink that can be read: keeps the last events it was sent, such as dead letters, and shows them.

`python -m functions.kit.cloudevents.mailbox` serves it; the image of any function holds it. Letters are held in memory,
so one pod is kept (`min-scale: "1"`), and each is written to the log besides, where a restart leaves it.
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
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from functions.kit.cloudevents import binding
from functions.kit.cloudevents.attributes import malformed
from functions.kit.http.function import Call, Function, Reply, Route
from functions.kit.http.options import Option, integer
from functions.kit.http.service import dispatch, start
from functions.kit.http.settings import Settings, setting

if TYPE_CHECKING:
    from flask import Request, Response

    from functions.kit.cloudevents.binding import Event

BOXES = ("/dead-letters", "/results")
# JSON data up to here is shown whole; of anything else the size and hash tell enough.
SHOWN_BYTES = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class MailboxSettings(Settings):
    """What the mailbox can be told by its environment."""

    letters: int = setting(1000, minimum=1, maximum=100_000, unit="events", help="events kept, the newest")


class Letters:
    """The newest events; the same one again, from the same subscriber, only adds to its count.

    Args:
        kept: most letters held.
    """

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._letters: OrderedDict[tuple[str, str, str, str], dict[str, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, box: str, event: Event, now: datetime) -> Mapping[str, Any]:
        """Keep an event; its letter."""
        key = (box, event.source, event.id, event.get("knativeerrordest"))
        with self._lock:
            known = self._letters.pop(key, None)
            letter = known or {"box": box, **described(event), "received": now.isoformat(), "times": 0}
            letter["times"] += 1
            self._letters[key] = letter
            while len(self._letters) > self._kept:
                self._letters.popitem(last=False)
            return dict(letter)

    def newest(self, box: str, limit: int) -> list[dict[str, Any]]:
        """The newest letters of a box, or of all boxes for `/`, the newest first."""
        with self._lock:
            letters = [dict(letter) for letter in reversed(self._letters.values()) if box in ("/", letter["box"])]
        return letters[:limit]


def described(event: Event) -> dict[str, Any]:
    """An event for a reader: attributes, data or what it is, and in a dead letter why it died."""
    data = event.data or b""
    letter: dict[str, Any] = {"attributes": dict(event.attributes)}
    if error := _error(event):
        letter["error"] = error
    if data and len(data) <= SHOWN_BYTES and binding.is_json(event.media_type):
        try:
            return {**letter, "data": json.loads(data)}
        except (ValueError, RecursionError):
            pass
    return {**letter, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _error(event: Event) -> dict[str, Any]:
    """What Knative's three error attributes say, the body of the failed answer decoded."""
    if not event.get("knativeerrorcode"):
        return {}
    error: dict[str, Any] = {"code": event.get("knativeerrorcode"), "subscriber": event.get("knativeerrordest")}
    encoded = event.get("knativeerrordata")
    try:
        # It may have been cut: whole groups of four characters are what can be read.
        said = base64.b64decode(encoded[: len(encoded) // 4 * 4]).decode(errors="replace")
    except binascii.Error:
        said = encoded
    try:
        return {**error, "said": json.loads(said)}
    except ValueError:
        return {**error, "said": said}


@cache
def letters(settings: MailboxSettings) -> Letters:
    """The letters of this process."""
    return Letters(settings.letters)


def receive(call: Call) -> Reply:
    """`POST`: keep an event. The empty answer ends its way."""
    event = binding.decode(call.request.headers, call.body.read())
    if event is None:
        raise malformed("this takes CloudEvents")
    letter = letters(call.settings).put(_box(call), event, datetime.now(UTC))
    line = {"letter": {name: value for name, value in letter.items() if name != "data"}}
    print(json.dumps(line, ensure_ascii=False), flush=True)  # noqa: T201 - the pod's log is where a letter lasts
    return Reply(b"", status=204)


def show(call: Call) -> Mapping[str, Any]:
    """`GET`: the newest letters."""
    return {"letters": letters(call.settings).newest(_box(call), call.options["limit"])}


def _box(call: Call) -> str:
    path = call.request.path.removeprefix("/mailbox").rstrip("/")
    return path or "/"


FUNCTION = Function(
    name="mailbox",
    summary="Keeps the events it is sent, so that they can be read.",
    settings=MailboxSettings,
    routes=(
        Route("POST", "/", receive, "keep an event", aliases=BOXES),
        Route(
            "GET",
            "/",
            show,
            "the newest events",
            options=(Option("limit", integer(1, 1000), 100, help="at most so many"),),
            aliases=BOXES,
        ),
    ),
    page=Path(__file__).parents[1] / "page" / "shell.html",
)


def mailbox(request: Request) -> Response:
    """The framework's target."""
    return dispatch(FUNCTION, request)


def main() -> int:
    """Serve the mailbox on $PORT until SIGTERM."""
    import functions_framework

    from functions.kit.server.application import Application

    app = functions_framework.create_app("mailbox", __file__, "http")  # type: ignore[no-untyped-call]
    # The framework runs this file once more, as a module of its own: that one will be called.
    service = start(sys.modules[Path(__file__).stem].FUNCTION, os.environ)
    Application(app, service, f"0.0.0.0:{os.environ.get('PORT', '8080')}").run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
