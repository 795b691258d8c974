"""The last lines of each pod, for the console."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable

LINES = 300
PODS = 200


class Logs:
    """Keeps the last lines of the pods that wrote last, and passes every line on.

    Args:
        write: Takes each line under the name of its pod.
    """

    def __init__(self, write: Callable[[str, bytes], None]) -> None:
        self._write = write
        self._kept: OrderedDict[str, deque[bytes]] = OrderedDict()

    def __call__(self, name: str, line: bytes) -> None:
        """Keep a line and pass it on."""
        lines = self._kept.get(name)
        if lines is None:
            lines = self._kept[name] = deque(maxlen=LINES)
            if len(self._kept) > PODS:
                self._kept.popitem(last=False)
        lines.append(line)
        self._write(name, line)

    def of(self, name: str) -> list[bytes] | None:
        """The last lines of a pod; None if it has written nothing."""
        lines = self._kept.get(name)
        return None if lines is None else list(lines)
