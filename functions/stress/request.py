"""A request to stress: its parameters, which an event gives as JSON, its pod, and whether its client is connected."""

from __future__ import annotations

import select
import time
from collections.abc import Callable

from functions.kit.http.options import Option, choice, flag, integer, number, text
from functions.kit.jsontypes import JsonMapping
from functions.stress.plan import CORE, NICE, NICEST, QUOTA
from functions.stress.profiles import NAMES

JSON = "application/json"
NDJSON = "application/x-ndjson"
SSE = "text/event-stream"
MEDIA_TYPES = {"json": JSON, "ndjson": NDJSON, "sse": SSE}

TARGET_POD = "X-Target-Pod"
"""The header that names the one pod that a request is for: the local engine routes by it, a cluster does not."""

PARAMETERS = (
    Option("seconds", number(0, 600), help="length of the burn; 10, or 0 for sleep or memory without a load"),
    Option("load", number(0, 100), help="percent to use of each core, or of the quota; 100"),
    Option("cores", integer(1, 1024), help="processes that burn; 1, or as many as the quota has where relative to it"),
    Option("relative_to", choice(CORE, QUOTA), CORE, help="what the load is a percentage of"),
    Option("profile", choice(*NAMES), help="load over time, up to the load: constant, ramp, sine, steps or burst"),
    Option("low", number(0, 100), help="lowest load of a profile, percent; 0"),
    Option("period", number(0.1, 600), help="seconds of one sine or burst; the whole burn"),
    Option("steps", integer(1, 500), help="steps from low to load; 4"),
    Option("on", number(0, 100), help="percent of each period that a burst lasts; 20"),
    Option("levels", text(8000), help="loads and durations: 10x5s,80x10s, or from one to another: 20..80x10s"),
    Option("memory_mb", integer(0, 2**20), help="MiB of memory to fill and hold"),
    Option("hold", number(0, 600), help="seconds to hold memory, disk or network load; as long as the burn"),
    Option("leak_mb_s", number(0, 2**20), help="MiB a second by which the memory grows, up to memory_mb"),
    Option("touch", flag(), False, "write to every page again each second"),
    Option("disk_mb_s", number(0, 10_000), help="MiB a second to write to a temporary file"),
    Option("network_mb_s", number(0, 10_000), help="MiB a second to send over a loopback connection"),
    Option("sleep_ms", number(0, 600_000), help="milliseconds to wait first, without using CPU"),
    Option("jitter_ms", number(0, 600_000), help="up to so many milliseconds more, at random"),
    Option("seed", integer(-(2**63), 2**63 - 1), help="makes the jitter repeatable"),
    Option("nice", integer(0, NICEST), NICE, help="niceness of the burners, added to the server's own"),
)
FAULTS = (
    Option("fail", number(0, 100), help="percent of requests that fail; needs STRESS_FAULTS=1"),
    Option("status", integer(400, 599), help="status of a failure, with fail; 500 if not given"),
)
CODE = Option("code", integer(0, 255), 1, help="exit code")
UNREADY_SECONDS = Option("seconds", number(0, 600), 10.0, help="how long readiness is false; 0 ends it")
AUTOSCALE_GO = (
    Option("sleep", number(0, 600_000), help="milliseconds to wait"),
    Option("prime", integer(0, 10_000_000), help="look for the largest prime below this"),
    Option("bloat", integer(0, 2**20), help="MiB to hold meanwhile"),
)
STATUSES = tuple(f"/status/{code}" for code in range(200, 600))
FORMAT = Option("format", choice(*MEDIA_TYPES), help="json, or samples while it burns: ndjson, sse; else by Accept")
STREAM_SECONDS = Option("seconds", number(0.25, 600), 10.0, help="length of the stream")


def never(seconds: float) -> bool:
    """Wait for some seconds; False, since a burn in the background has no client."""
    time.sleep(seconds)
    return False


def left_by(environ: JsonMapping) -> Callable[[float], bool]:
    """A wait for some seconds that returns True as soon as the client has closed its connection, or its sending half.

    Bytes that it may have sent ahead do not matter. Without a socket (another server, a test) the client never leaves.
    """
    connection = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
    if connection is None:
        return never
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLRDHUP)  # errors and hang-ups are always reported
    return lambda seconds: bool(poll.poll(seconds * 1000))
