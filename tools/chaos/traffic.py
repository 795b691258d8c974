"""Steady requests from several clients, with the outcome of each."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Ask:
    """One kind of request.

    Attributes:
        method: HTTP method.
        path: with its query.
        body: bytes to send.
        headers: beside those of the client.
        check: whether an answer with the right status is the right one.
        status: the right one.
    """

    method: str
    path: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    check: Callable[[bytes], bool] = bool
    status: int = 200


@dataclass(frozen=True)
class Outcome:
    """The outcome of a request: begin, end, status (0 without an answer) and whether the answer was right."""

    began: float
    ended: float
    status: int
    right: bool
    path: str


class Traffic:
    """Clients that each send a request, wait for the answer and repeat, until stopped.

    Args:
        port: of the route.
        asks: what they choose from.
        clients: how many.
        pause: seconds between an answer and the next request.
    """

    def __init__(self, port: int, asks: list[Ask], clients: int, pause: float = 0.0) -> None:
        self.outcomes: list[Outcome] = []
        self._port = port
        self._asks = asks
        self._pause = pause
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._client, args=(number,)) for number in range(clients)]

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _client(self, number: int) -> None:
        chance = random.Random(number)
        connection: http.client.HTTPConnection | None = None
        while not self._stop.is_set():
            ask = chance.choice(self._asks)
            began = time.monotonic()
            status, right = 0, False
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
                connection.request(ask.method, ask.path, ask.body, ask.headers)
                answer = connection.getresponse()
                data = answer.read()
                status, right = answer.status, answer.status == ask.status and ask.check(data)
                if answer.will_close:
                    connection.close()
            except (OSError, http.client.HTTPException):
                if connection is not None:
                    connection.close()
                connection = None
            self.outcomes.append(Outcome(began, time.monotonic(), status, right, ask.path.split("?")[0]))
            self._stop.wait(self._pause)
        if connection is not None:
            connection.close()

    def counts(self) -> Counter[int]:
        """Number of answers by status; 0 counts requests without an answer."""
        return Counter(outcome.status for outcome in self.outcomes)

    def wrong(self) -> list[Outcome]:
        """Requests without a right answer."""
        return [outcome for outcome in self.outcomes if not outcome.right]

    def last_wrong(self, since: float) -> float:
        """Seconds from a moment to the end of the last request without a right answer; 0 if all were answered."""
        return max([0.0, *(outcome.ended - since for outcome in self.wrong())])
