"""Counting of a large image in a process of its own, which is killed when its time is over."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
from typing import IO

from functions.kit.http import problems
from functions.kit.http.problems import Problem
from functions.kit.http.settings import Settings
from functions.kit.http.spool import mapped
from functions.kit.jsontypes import JsonObject

_one = threading.Lock()


def analyse(data: bytes, settings: Settings, choices: JsonObject) -> JsonObject:
    """Count one image in a process of its own, one at a time.

    Returns:
        The fields of an `Analysis`, as JSON.

    Raises:
        Problem: as `analysis.analyse`; 413 where the time is over, 503 where another one takes too long.
    """
    seconds = int(getattr(settings, "decode_seconds", 50))
    if not _one.acquire(timeout=settings.timeout_seconds):
        raise problems.busy(f"another large image was being decoded for {settings.timeout_seconds} s", retry_after=5)
    try:
        with _file(data) as file:
            asked = {
                "settings": {item.name: getattr(settings, item.name) for item in dataclasses.fields(Settings)}
                | {"decode_bytes": getattr(settings, "decode_bytes", 2**30)},
                "choices": choices,
                "descriptor": file.fileno(),
                "seconds": seconds,
                "parent": os.getpid(),
            }
            answer = _run(asked, settings)
    finally:
        _one.release()
    if "problem" in answer:
        raise Problem(**answer["problem"])
    found: JsonObject = answer["analysis"]
    return found


def _file(data: bytes) -> IO[bytes]:
    """The image as an open file: where it is spooled, or in memory."""
    spooled = mapped(data)
    if spooled is not None:
        return os.fdopen(os.dup(spooled.file.fileno()), "rb")
    file = os.fdopen(os.memfd_create("image"), "w+b")
    file.write(data)
    file.flush()
    return file


def _ended(status: int) -> str:
    """Why a decoder gave no answer."""
    if status < 0:
        return f"the image cannot be decoded: its decoder was ended by {signal.Signals(-status).name}"
    return f"the image cannot be decoded: its decoder ended with status {status}"


def _run(asked: JsonObject, settings: Settings) -> JsonObject:
    """The answer of `worker` to a request."""
    seconds, descriptor = asked["seconds"], asked["descriptor"]
    with subprocess.Popen(
        [sys.executable, "-m", "functions.histogram.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # decoders print there
        pass_fds=(descriptor,),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    ) as process:
        try:
            out, _ = process.communicate(json.dumps(asked).encode(), timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Problem(
                413,
                "decode-too-long",
                "Decode too long",
                f"decoding this image takes more than the limit of {seconds} s ({settings.variable('decode_seconds')})",
                limit=seconds,
            ) from None
    try:
        answer: JsonObject = json.loads(out)
    except ValueError:
        raise problems.unreadable_image(_ended(process.returncode)) from None
    return answer
