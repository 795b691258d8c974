from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from knative.local.api.store import Store
from knative.local.controllers.files import Files
from knative.local.controllers.objects import EVENTS, PODS, REVISIONS, SERVICES
from knative.local.controllers.state import StateError, StateFile, encode, read, snapshot, write


def filled() -> tuple[Store, Files]:
    store = Store()
    metadata = {"name": "exif", "namespace": "default"}
    service = store.create(SERVICES, {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": metadata})
    owner = [{"kind": "Service", "name": "exif", "uid": service["metadata"]["uid"]}]
    for resource, kind in ((REVISIONS, "Revision"), (PODS, "Pod"), (EVENTS, "Event")):
        named = {"name": "exif-00001", "namespace": "default", "ownerReferences": owner}
        store.create(resource, {"apiVersion": "v1", "kind": kind, "metadata": named})
    return store, Files({(SERVICES, "default", "exif"): service["metadata"]["uid"]})


def test_a_store_is_read_as_it_was_written_without_what_runs(tmp_path: Path) -> None:
    store, files = filled()
    write(tmp_path / "new" / "objects.state", encode(snapshot(store, files)))
    again, brought = read(tmp_path / "new" / "objects.state")
    kept = [(resource, one) for resource, one in store.everything() if resource in (SERVICES, REVISIONS)]
    assert list(again.everything()) == kept
    assert again.version > store.version, "versions given after the file was written are not given again"
    assert brought == files
    again.delete(SERVICES, "default", "exif")
    assert list(again.everything()) == []


def test_there_is_nothing_before_the_first_run(tmp_path: Path) -> None:
    store, files = read(tmp_path / "objects.state")
    assert (list(store.everything()), files) == ([], Files())


def test_secrets_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "objects.state"
    write(path, encode(snapshot(*filled())))
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["objects.state"]


GOOD = encode(snapshot(*filled()))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, len(GOOD) - 1), junk=st.binary(max_size=4))
def test_a_damaged_file_is_reported(tmp_path: Path, cut: int, junk: bytes) -> None:
    path = tmp_path / "objects.state"
    path.write_bytes(GOOD[:cut] + junk)
    with pytest.raises(StateError, match=r"objects\.state is damaged .* move it away"):
        read(path)


@pytest.mark.parametrize(
    "data",
    [
        [],
        {"format": 2},
        {"format": 1, "version": "x", "objects": [], "files": []},
        {"format": 1, "version": 1, "objects": [["services", {"metadata": {"name": "a"}}]], "files": []},
        {"format": 1, "version": 1, "objects": [["services"]], "files": []},
        {"format": 1, "version": 1, "objects": [], "files": [["a"]]},
        {
            "format": 1,
            "version": 1,
            "objects": [["services", {"metadata": {"name": 7, "uid": "", "resourceVersion": ""}}]],
        },
    ],
)
def test_content_of_another_form_is_reported(tmp_path: Path, data: Any) -> None:
    path = tmp_path / "objects.state"
    path.write_text(json.dumps(data))
    with pytest.raises(StateError, match="is damaged"):
        read(path)


def test_a_nest_of_brackets_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "objects.state"
    path.write_text("[" * 100_000)
    with pytest.raises(StateError, match="is damaged"):
        read(path)


def test_changes_are_written_and_an_unwritable_folder_is_reported_once(tmp_path: Path) -> None:
    async def run() -> None:
        said: list[str] = []
        store, files = filled()
        path = tmp_path / "kept" / "objects.state"
        kept = StateFile(path, store, files, said.append)
        store.delete(SERVICES, "default", "exif")
        await kept.close()
        assert list(read(path)[0].everything()) == []
        blocked = tmp_path / "file"
        blocked.write_text("")
        other = StateFile(blocked / "objects.state", store, files, said.append)
        await other.close()
        await other.close()
        assert len(said) == 1
        assert said[0].startswith(f"the state is not kept: {blocked}")

    asyncio.run(run())


def test_a_file_is_whole_whenever_the_program_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "objects.state"
    write(path, GOOD)
    monkeypatch.setattr(os, "fsync", lambda _fd: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        write(path, b"half")
    assert path.read_bytes() == GOOD
