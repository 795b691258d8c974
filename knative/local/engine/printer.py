"""The engine's standard output: its own lines, and those of the pods under their names."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections import deque
from enum import StrEnum
from typing import Any

from knative.local.jsontypes import JsonMapping

_LINES = 10_000
_RESET = "\x1b[0m"
_DIM, _BOLD, _GREEN, _YELLOW, _RED = (f"\x1b[{code}m" for code in (2, 1, 32, 33, 31))


class LogFormat(StrEnum):
    """The form of the pods' lines on the engine's standard output."""

    TEXT = "text"  # a request as one short line; what is no JSON object of a function's log as it is
    JSON = "json"  # every line as the pod wrote it


class Printer:
    """Writes lines to standard output from a thread of its own: a reader that stalls must not stall the route.

    Args:
        form: the form of the pods' lines.
        colour: whether lines of `LogFormat.TEXT` carry terminal colours.
    """

    def __init__(self, form: LogFormat = LogFormat.JSON, *, colour: bool = False) -> None:
        self._form = form
        self._colour = colour
        self._lines: deque[bytes] = deque()
        self._dropped = 0
        self._some = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="printer", daemon=True)
        self._thread.start()

    def __call__(self, name: str, line: bytes) -> None:
        """Print a line of a pod."""
        if len(self._lines) >= _LINES:
            self._dropped += 1
            return
        text = readable(name, line, colour=self._colour) if self._form is LogFormat.TEXT else None
        self._lines.append(text.encode() + b"\n" if text is not None else b"[%s] %s\n" % (name.encode(), line))
        self._some.set()

    def say(self, text: str) -> None:
        """Print a line of the engine itself."""
        self._lines.append(text.encode() + b"\n")
        self._some.set()

    def _run(self) -> None:
        while True:
            self._some.wait()
            self._some.clear()
            while self._lines:
                batch = [self._lines.popleft() for _ in range(min(len(self._lines), 500))]
                if self._dropped:
                    batch.append(b"%d lines of output dropped: standard output is read too slowly\n" % self._dropped)
                    self._dropped = 0
                with contextlib.suppress(OSError):
                    _write_all(b"".join(batch))
            if self._closed:
                return

    def close(self) -> None:
        """Write the remaining lines, unless standard output is not read."""
        self._closed = True
        self._some.set()
        self._thread.join(timeout=1.0)


def coloured() -> bool:
    """Whether standard output shows colours: a terminal, and `NO_COLOR` (https://no-color.org) is empty."""
    return os.isatty(1) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def readable(pod: str, line: bytes, *, colour: bool) -> str | None:
    """Return a line of a function's JSON log as text: time, status, what was called, duration and pod.

    Args:
        pod: the pod's name.
        line: the line as the pod wrote it.
        colour: whether the text carries terminal colours.

    Returns:
        The text, or None if the line is no such record.
    """
    if not line.startswith(b"{"):
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or not {"time", "level", "message"} <= record.keys():
        return None
    paint = _painted if colour else _plain
    time = paint(str(record["time"])[11:19], _DIM)
    is_request = record["message"] == "request" and "status" in record
    body = _request(record, paint) if is_request else _event(record, paint)
    return f"{time} {body}  {paint(pod, _DIM)}"


def _request(record: JsonMapping, paint: Any) -> str:
    status = record["status"]
    grave = isinstance(status, int) and status >= 500
    shade = _RED if grave else _YELLOW if isinstance(status, int) and status >= 400 else _GREEN
    operation = record.get("operation", "")
    called = record.get("function", "") + ("" if operation in {"", "root"} else f" {operation}")
    spent = record.get("milliseconds")
    duration = f"{spent:8.1f} ms" if isinstance(spent, int | float) else ""
    outcome = record.get("outcome", "ok")
    more = "" if outcome == "ok" else f" {outcome}"
    return f"{paint(str(status), shade)} {record.get('method', ''):<4} {paint(f'{called:<18}', _BOLD)} {duration}{more}"


_NAMED = ("time", "level", "message", "function", "pod", "revision")


def _event(record: JsonMapping, paint: Any) -> str:
    level = str(record["level"])
    shade = _RED if level == "error" else _YELLOW if level == "warning" else _DIM
    fields = " ".join(f"{name}={value}" for name, value in record.items() if name not in _NAMED)
    return f"{paint(level, shade)} {record.get('function', '')} {record['message']} {fields}".rstrip()


def _plain(text: str, _shade: str) -> str:
    return text


def _painted(text: str, shade: str) -> str:
    return f"{shade}{text}{_RESET}"


def _write_all(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]
