"""Changed manifests and changed code of a running engine: when they are seen, and how they are applied."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from knative.local.check.admission import SUFFIXES, load
from knative.local.engine import fingerprint
from knative.local.engine.engine import Engine
from knative.local.manifests.findings import ManifestError
from knative.local.pods.template import TemplateError

WATCH_SECONDS = 1.0


async def follow(
    engine: Engine, paths: Sequence[Path], reload: asyncio.Event, seen: tuple[object, ...], *, watch: bool
) -> None:
    """Apply the manifests again on SIGHUP and, when watching, after a change of them or of the code."""
    while True:
        asked = False
        try:
            await asyncio.wait_for(reload.wait(), WATCH_SECONDS if watch else None)
            reload.clear()
            asked = True
        except TimeoutError:
            pass
        found = await asyncio.to_thread(state, engine, paths)
        if found == seen and not asked:
            continue
        # An editor writes in several steps: wait until nothing changes any more.
        while (later := await asyncio.to_thread(state, engine, paths)) != found:
            found = later
            await asyncio.sleep(0.2)
        seen = found
        try:
            _apply(engine, paths, fingerprint.fingerprint(engine.directory))
        except Exception as error:  # noqa: BLE001 - an internal error: the next change must be seen
            engine.say(f"not applied: {type(error).__name__}: {error}")


def state(engine: Engine, paths: Sequence[Path]) -> tuple[object, ...]:
    """What a watcher compares: the code, the files that were read, and the folders, where others may turn up.

    After a refusal the files that were read are those from before it: the mended ones are found in their folder.
    """
    folders = [fingerprint.fingerprint(str(path), SUFFIXES) for path in paths if path.is_dir()]
    files = []
    for path in engine.written.sources:
        try:
            found = os.stat(path)  # noqa: PTH116
            files.append((str(path), found.st_mtime_ns, found.st_size))
        except OSError:
            files.append((str(path), 0, 0))
    return (fingerprint.fingerprint(engine.directory), *folders, *files)


def _apply(engine: Engine, paths: Sequence[Path], code: str) -> None:
    try:
        done = engine.apply(load(paths), code)
    except (ManifestError, TemplateError) as error:
        engine.say(f"not applied: {error}")
        return
    for line in done or ["nothing has changed"]:
        engine.say(line)
