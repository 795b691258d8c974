"""A client's socket: one deadline for all that is received, and an end to sending."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from functions.kit.server import deadlines
from functions.kit.server.deadlines import ClientSocket, limit


@pytest.fixture
def pair() -> Iterator[tuple[ClientSocket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    client = ClientSocket(fileno=ours.detach())
    yield client, theirs
    client.close()
    theirs.close()


def test_pieces_share_one_deadline(pair: tuple[ClientSocket, socket.socket]):
    client, theirs = pair
    ended = threading.Event()

    def drip() -> None:
        while not ended.wait(0.05):
            theirs.send(b"x")

    dripping = threading.Thread(target=drip)
    dripping.start()
    limit(client, time.monotonic() + 0.5)
    try:
        assert client.recv(1) == b"x"
        with pytest.raises(TimeoutError):
            all(client.recv(1) for _ in range(1000))
    finally:
        ended.set()
        dripping.join()


def test_after_the_deadline_not_even_what_has_come_is_received(pair: tuple[ClientSocket, socket.socket]):
    client, theirs = pair
    theirs.send(b"late")
    limit(client, time.monotonic())
    with pytest.raises(TimeoutError):
        client.recv(4)
    assert client.recv(4, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b"late"
    limit(client, None)
    assert client.recv(4) == b"late"
    assert client.gettimeout() is None


def test_what_is_known_to_come_is_received_in_one_piece(pair: tuple[ClientSocket, socket.socket]):
    client, theirs = pair
    sent = bytes(range(256)) * 200

    def send() -> None:
        for at in range(0, len(sent), 1000):
            theirs.sendall(sent[at : at + 1000])
            time.sleep(0.001)

    sending = threading.Thread(target=send)
    sending.start()
    limit(client, time.monotonic() + 30)
    try:
        assert client.recv(len(sent)) == sent
    finally:
        sending.join()
    limit(client, None)
    assert client.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT) == 1


def test_a_little_is_received_at_once_after_much(pair: tuple[ClientSocket, socket.socket]):
    client, theirs = pair
    limit(client, time.monotonic() + 30)
    theirs.sendall(bytes(20_000))
    assert len(client.recv(20_000)) == 20_000
    theirs.sendall(b"\r\n")  # as between two chunks
    assert client.recv(8192) == b"\r\n"


def test_what_was_to_come_and_ends_early_is_received(pair: tuple[ClientSocket, socket.socket]):
    client, theirs = pair
    theirs.sendall(b"half")
    theirs.shutdown(socket.SHUT_WR)
    limit(client, time.monotonic() + 30)
    assert client.recv(100_000) == b"half"
    assert client.recv(100_000) == b""


def test_a_client_that_does_not_read_counts_as_gone(
    pair: tuple[ClientSocket, socket.socket], monkeypatch: pytest.MonkeyPatch
):
    client, _ = pair
    monkeypatch.setattr(deadlines.ClientSocket, "send_seconds", 0.2)
    with pytest.raises(ConnectionResetError, match="does not read"):
        client.sendall(bytes(2**26))
    assert client.gettimeout() is None


def test_a_socket_of_another_server_gets_a_timeout():
    with socket.socket() as plain:
        limit(plain, time.monotonic() + 5)
        assert 0 < plain.gettimeout() <= 5
        limit(plain, time.monotonic() - 5)
        assert 0 < plain.gettimeout() < 1
        limit(plain, None)
        assert plain.gettimeout() is None
    limit(None, 1.0)
