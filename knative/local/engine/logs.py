"""The last lines of each pod, for the console and `kubectl logs`."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable

LINES = 300
PODS = 200

Entry = tuple[float, bytes]
"""A line with the time at which it was written, in seconds since the epoch."""


class Logs:
    """Keeps the last lines of the pods that wrote last, and passes every line on.

    Args:
        write: Takes each line under the name of its pod.
        clock: Seconds since the epoch.
    """

    def __init__(self, write: Callable[[str, bytes], None], clock: Callable[[], float] = time.time) -> None:
        self._write = write
        self._clock = clock
        self._kept: OrderedDict[str, deque[Entry]] = OrderedDict()
        self._followers: dict[str, list[Callable[[Entry], None]]] = {}

    def __call__(self, name: str, line: bytes) -> None:
        """Keep a line and pass it on."""
        lines = self._kept.get(name)
        if lines is None:
            lines = self._kept[name] = deque(maxlen=LINES)
            if len(self._kept) > PODS:
                self._kept.popitem(last=False)
        entry = (self._clock(), line)
        lines.append(entry)
        self._write(name, line)
        for take in tuple(self._followers.get(name, ())):
            take(entry)

    def of(self, name: str) -> list[bytes] | None:
        """The last lines of a pod; None if it has written nothing."""
        lines = self._kept.get(name)
        return None if lines is None else [line for _, line in lines]

    def entries(self, name: str) -> list[Entry]:
        """The last lines of a pod, each with its time; none if it has written nothing."""
        return list(self._kept.get(name, ()))

    def follow(self, name: str, take: Callable[[Entry], None]) -> Callable[[], None]:
        """Pass each further line of a pod to a function; returns what ends that."""
        followers = self._followers.setdefault(name, [])
        followers.append(take)

        def end() -> None:
            followers.remove(take)
            if not followers:
                self._followers.pop(name, None)

        return end
