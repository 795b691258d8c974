"""What the tests of the contract send, and what they require of each response."""

from __future__ import annotations

from functions.kit.http.problems import problem_types
from tests.contract.conftest import LIMITS, Subject


def form(field: str, data: bytes, name: str = "photo.jpg") -> tuple[bytes, dict[str, str]]:
    head = f'--xYz\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'.encode()
    return head + data + b"\r\n--xYz--\r\n", {"Content-Type": "multipart/form-data; boundary=xYz"}


def problem(answer, status: int) -> dict:
    """The problem of an answer, after what every problem promises."""
    assert answer.status == status, answer.body
    assert answer.headers["Content-Type"] == "application/problem+json"
    said = answer.json()
    assert said["status"] == status
    kind = problem_types()[said["type"].removeprefix("/problems/")]
    assert str(status) in kind.statuses.split()
    assert said["title"]
    assert said["detail"]
    assert "Traceback" not in answer.body.decode()
    return said


def still_serves(subject: Subject) -> None:
    path, body = subject.work
    assert subject.ask("POST", path, body).status == 200


OVERSIZED = b"\xff\xd8" + b"x" * int(LIMITS["MAX_BYTES"])
