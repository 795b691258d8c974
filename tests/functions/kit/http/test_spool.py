"""Large bodies go to one spool with a budget; small ones stay in memory."""

from __future__ import annotations

import gc
import io
import threading
from dataclasses import replace

import pytest

from functions.kit.http import body, spool
from functions.kit.http.body import Body
from functions.kit.http.problems import Problem
from functions.kit.http.settings import Settings
from functions.kit.http.uploads import read_uploads

MEGA = 2**20
# A tenth of the real sizes, which `smaller` sets.
IN_MEMORY = 3 * MEGA
SETTINGS = Settings(function="demo", max_bytes=64 * MEGA, spool_bytes=10 * MEGA)
LARGE = bytes(range(256)) * (4 * MEGA // 256)


def read(data: bytes, settings: Settings = SETTINGS, length: int | None = -1) -> bytes:
    body = Body(io.BytesIO(data), len(data) if length == -1 else length, settings)
    return read_uploads(body, "image/jpeg", 1)[0].data


@pytest.fixture(autouse=True)
def smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    assert spool.IN_MEMORY == body.IN_MEMORY == 32 * MEGA
    monkeypatch.setattr(body, "IN_MEMORY", IN_MEMORY)


@pytest.fixture(autouse=True)
def empty():
    assert spool.used() == 0
    yield
    gc.collect()
    assert spool.used() == 0


@pytest.mark.parametrize("length", [-1, None])
def test_a_large_body_is_spooled_and_released(length: int | None) -> None:
    data = read(LARGE, length=length)
    held = spool.mapped(data)
    assert held is not None
    assert len(data) == len(LARGE)
    assert data[:] == LARGE
    assert held.file.fileno() > 0
    assert len(LARGE) <= spool.used() <= len(LARGE) + MEGA
    del data, held


def test_a_small_body_stays_in_memory() -> None:
    data = read(LARGE[:IN_MEMORY])
    assert spool.mapped(data) is None
    assert data == LARGE[:IN_MEMORY]
    assert spool.used() == 0


def test_a_function_without_a_spool_keeps_all_in_memory() -> None:
    assert read(LARGE, replace(SETTINGS, spool_bytes=0)) == LARGE


def test_files_of_a_form_are_spooled_each() -> None:
    parts = b"".join(
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="%d"\r\n\r\n' % index + part + b"\r\n"
        for index, part in enumerate((LARGE, b"small"))
    )
    form = parts + b"--b--\r\n"
    files = read_uploads(Body(io.BytesIO(form), len(form), SETTINGS), "multipart/form-data; boundary=b", 3)
    assert [len(file.data) for file in files] == [len(LARGE), 5]
    assert files[0].data[:] == LARGE
    assert files[1].data[:] == b"small"


@pytest.mark.parametrize("length", [-1, None])
def test_a_full_spool_is_busy(length: int | None) -> None:
    held = [read(LARGE), read(LARGE)]
    with pytest.raises(Problem) as caught:
        read(LARGE, length=length)
    assert (caught.value.status, caught.value.headers["Retry-After"]) == (503, "5")
    assert "10,485,760 bytes (DEMO_SPOOL_BYTES)" in caught.value.detail
    del held, caught
    gc.collect()
    assert len(read(LARGE)) == len(LARGE)


def test_a_body_that_breaks_off_gives_its_share_back() -> None:
    with pytest.raises(Problem) as caught:
        read(LARGE, length=len(LARGE) + 5)
    assert caught.value.status == 400
    del caught


def test_the_budget_is_one_for_all_threads() -> None:
    results: list[int] = []
    kept: list[bytes] = []

    def send() -> None:
        try:
            kept.append(read(LARGE))
            results.append(200)
        except Problem as problem:
            results.append(problem.status)

    threads = [threading.Thread(target=send) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [200, 200, 503, 503, 503]
    kept.clear()


def test_a_disk_that_is_full_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def flush(self) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(spool, "_new_file", lambda _: Full())
    with pytest.raises(Problem) as caught:
        read(LARGE)
    assert caught.value.status == 503
    assert "No space left on device" in caught.value.detail
    del caught


def test_a_folder_that_is_not_there_is_the_systems(tmp_path) -> None:
    for folder in (str(tmp_path), str(tmp_path / "none")):
        data = read(LARGE, replace(SETTINGS, spool_folder=folder))
        assert len(data) == len(LARGE)
        del data
