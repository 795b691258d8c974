"""Whether the client of a request is still there, asked of its connection while the request is worked on."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Mapping
from typing import Any


def never(seconds: float) -> bool:
    """Wait for some seconds; False, since a burn in the background has no client."""
    time.sleep(seconds)
    return False


def left_by(environ: Mapping[str, Any]) -> Callable[[float], bool]:
    """A wait for some seconds that returns True as soon as the client has closed its connection, or its sending half.

    Bytes that it may have sent ahead do not matter. Without a socket (another server, a test) the client never leaves.
    """
    connection = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
    if connection is None:
        return never
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLRDHUP)  # errors and hang-ups are always reported
    return lambda seconds: bool(poll.poll(seconds * 1000))
