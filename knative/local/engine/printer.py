"""The engine's standard output: its own lines, and those of the pods under their names."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque

_LINES = 10_000


class Printer:
    """Writes lines to standard output from a thread of its own: a reader that stalls must not stall the route."""

    def __init__(self) -> None:
        self._lines: deque[bytes] = deque()
        self._dropped = 0
        self._some = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="printer", daemon=True)
        self._thread.start()

    def __call__(self, name: str, line: bytes) -> None:
        """Print a line under a name."""
        if len(self._lines) >= _LINES:
            self._dropped += 1
            return
        self._lines.append(b"[%s] %s\n" % (name.encode(), line))
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
                    batch.append(b"%d lines of output dropped: nobody reads fast enough\n" % self._dropped)
                    self._dropped = 0
                with contextlib.suppress(OSError):
                    _write_all(b"".join(batch))
            if self._closed:
                return

    def close(self) -> None:
        """Write what is left, unless nobody reads it."""
        self._closed = True
        self._some.set()
        self._thread.join(timeout=1.0)


def _write_all(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]
