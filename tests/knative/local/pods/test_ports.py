"""The choice of a pod's port."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack

import pytest

from knative.local.pods.runtimes import ports


@pytest.mark.parametrize("first", [0, 7, len(ports._PORTS) - 1])
def test_each_port_is_a_candidate_once_wherever_the_search_begins(monkeypatch: pytest.MonkeyPatch, first: int) -> None:
    monkeypatch.setattr(random, "randrange", lambda _stop: first)
    tried: list[int] = []
    monkeypatch.setattr(ports, "_is_free", tried.append)
    with pytest.raises(OSError, match="no free port left"), ports.free_port():
        pass
    assert tried[0] == ports._PORTS[first]
    assert sorted(tried) == list(ports._PORTS)


def test_a_port_is_given_once_and_passed_over_while_another_program_listens_on_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(random, "randrange", lambda _stop: 0)
    with ExitStack() as stack:
        one = stack.enter_context(ports.free_port())
        two = stack.enter_context(ports.free_port())
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        monkeypatch.setattr(ports, "_PORTS", range(listener.getsockname()[1], listener.getsockname()[1] + 1))
        with pytest.raises(OSError, match="no free port left"):
            stack.enter_context(ports.free_port())
    assert one != two


def test_a_search_tries_no_more_ports_than_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []
    monkeypatch.setattr(ports, "_is_free", lambda port: tried.append(port) or True)
    with ports.free_port() as port:
        assert tried == [port]
