"""The store in a file, so that a later run goes on from it."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from knative.local.api.history import Object
from knative.local.api.store import Store
from knative.local.controllers.files import Files
from knative.local.controllers.objects import DEPLOYMENTS, EVENTS, PODS
from knative.local.jsontypes import Json

NAME = "objects.state"
"""Of the file in the folder of the state: JSON, by a name that is not taken for code of a pod."""
_FORMAT = 1
_QUIET_SECONDS = 0.5  # changes that come in a swarm are written once
_LARGEST_SHARE = 0.1  # of the time that writing may take
_LOST_VERSIONS = 10_000
"""Versions that an engine may have given after it wrote the file for the last time: none is given twice."""
_NOT_KEPT = frozenset({PODS, DEPLOYMENTS, EVENTS})  # of what runs, which ends with the engine
_NEEDED = ("name", "uid", "resourceVersion", "creationTimestamp")


class Kept(NamedTuple):
    """The stored form of a store."""

    version: int
    objects: Sequence[tuple[str, Object]]
    files: Sequence[tuple[str, str, str, str]]


class StateError(ValueError):
    """The file cannot be read; the message says why and what to do."""


def snapshot(store: Store, files: Files) -> Kept:
    """Return all that is kept; objects cannot change, so that this is quick and may be encoded in a thread."""
    objects = [(resource, obj) for resource, obj in store.everything() if resource not in _NOT_KEPT]
    return Kept(store.version, objects, [(*place, uid) for place, uid in sorted(files.uids.items())])


def encode(kept: Kept) -> bytes:
    """Return what is kept as JSON, an object at a time: a thread that encodes holds nothing else up for long."""
    objects = ",".join(_compact([resource, obj]) for resource, obj in kept.objects)
    text = f'{{"format":{_FORMAT},"version":{kept.version},"files":{_compact(kept.files)},"objects":[{objects}]}}'
    return text.encode()


def _compact(value: Json) -> str:
    return json.dumps(value, separators=(",", ":"))


def write(path: Path, data: bytes) -> None:
    """Replace a file at once: a reader finds the old content or the new one, also after a power failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # Secrets are in it
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def read(path: Path) -> tuple[Store, Files]:
    """Return the store of a file; an empty one without a file.

    Raises:
        StateError: The file is damaged, or of another version of this program.
    """
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):  # the second is reported when the file is written
        return Store(), Files()
    except OSError as error:
        raise StateError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        data = json.loads(text)
        if data["format"] != _FORMAT:
            raise ValueError(f"format {data['format']} is not {_FORMAT}")
        store = Store(version=int(data["version"]) + _LOST_VERSIONS)
        for resource, obj in data["objects"]:
            _verify(obj)
            store.restore(str(resource), obj)
        files = Files({(str(one[0]), str(one[1]), str(one[2])): str(one[3]) for one in data["files"]})
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise StateError(f"{path} is damaged ({reason}): move it away to start without its objects") from None
    return store, files


def _verify(obj: Json) -> None:
    metadata = obj["metadata"]
    missing = [name for name in _NEEDED if not isinstance(metadata[name], str)]
    wrong = [name for name in ("apiVersion", "kind") if not isinstance(obj[name], str)]
    if missing or wrong or not metadata["resourceVersion"].isdigit():
        raise ValueError(f"an object's {(missing or wrong or ['resourceVersion'])[0]} is no text of its kind")


def _write(path: Path, kept: Kept) -> None:
    write(path, encode(kept))


class StateFile:
    """Keeps a file in line with a store.

    Args:
        path: The file; its folder is made.
        store: What it holds.
        files: What of it files have brought.
        say: Takes a line where the file cannot be written.
    """

    def __init__(self, path: Path, store: Store, files: Files, say: Callable[[str], None]) -> None:
        self._path = path
        self._store = store
        self._files = files
        self._say = say
        self._failure = ""
        self._quiet = _QUIET_SECONDS
        self._due: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None
        store.on_change.append(self._heard)

    def _heard(self, resource: str, _type: str, _obj: Object) -> None:
        if resource not in _NOT_KEPT and self._due is None:
            self._due = asyncio.get_running_loop().call_later(self._quiet, self._begin)

    def _begin(self) -> None:
        self._due = None
        if self._writing is not None and not self._writing.done():
            self._due = asyncio.get_running_loop().call_later(self._quiet, self._begin)
            return
        self._writing = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        begun = time.monotonic()
        try:
            await asyncio.to_thread(_write, self._path, snapshot(self._store, self._files))
            self._failure = ""
        except OSError as error:
            failure = f"the state is not kept: {self._path}: {error.strerror}"
            if failure != self._failure:
                self._say(failure)
            self._failure = failure
        self._quiet = max(_QUIET_SECONDS, (time.monotonic() - begun) / _LARGEST_SHARE)

    async def close(self, _within: float = 0.0) -> None:
        """Write what has changed last."""
        if self._due is not None:
            self._due.cancel()
        if self._writing is not None:
            await self._writing
        await self._write()
