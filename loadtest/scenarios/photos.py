"""Photographs sent to histogram and exif: every answer is compared with what the picture holds."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from knative.local.jsontypes import JsonMapping
from loadtest import images
from loadtest.generators.closed_loop import Request
from loadtest.generators.wire import multipart
from loadtest.lab import ROOT, Lab, Run
from loadtest.scenarios.terms import Bounds, judged
from loadtest.verdict import Verdict, latencies

SECONDS = 8.0
CLIENTS = 2  # of each function
MOST_PHOTOS = 8
MAKE = "Pixelamp"


@dataclass(frozen=True)
class Photo:
    """A picture to send.

    Attributes:
        pixels: width times height.
        make: what its Exif names; empty if that is not known.
    """

    name: str
    data: bytes
    pixels: int
    make: str = ""


def photos(folder: str = os.environ.get("PIXELAMP_PHOTOS", "")) -> list[Photo]:
    """The two pictures of the suite, and some JPEGs of a folder or of several, which are separated as in PATH."""
    from PIL import Image

    made = [Photo("photo.jpg", images.jpeg(), images.SIDE**2, MAKE), Photo("photo.png", images.png(), images.SIDE**2)]
    folders = [Path(one) for one in folder.split(os.pathsep) if one]
    found = sorted(path for one in folders for path in one.rglob("*.jpg"))[:MOST_PHOTOS]
    for path in found:
        data = path.read_bytes()
        with Image.open(io.BytesIO(data)) as picture:
            made.append(Photo(path.name, data, picture.width * picture.height))
    return made


def wrong_histogram(photo: Photo, answer: JsonMapping) -> str:
    """What is wrong with an answer of histogram; empty if nothing is."""
    counted = sum(answer.get("histogram", ()))
    return "" if counted == photo.pixels else f"{photo.name}: {counted:,} pixels counted of {photo.pixels:,}"


def wrong_exif(photo: Photo, answer: JsonMapping) -> str:
    """What is wrong with a flat answer of exif; empty if nothing is."""
    make = answer.get("IFD0:Make", "")
    return "" if not photo.make or make == photo.make else f"{photo.name}: make is {make!r}, not {photo.make!r}"


FUNCTIONS: Mapping[str, Callable[[Photo, JsonMapping], str]] = {
    "histogram": wrong_histogram,
    "exif?flat=1": wrong_exif,
}


async def send(
    session: aiohttp.ClientSession, url: str, path: str, photo: Photo, request: Request, known: dict[str, bytes]
) -> str:
    """Send one photograph; returns what is wrong with its answer, empty if nothing is or none came.

    Args:
        session: of one client.
        url: address of the engine.
        path: of a function, a key of `FUNCTIONS`.
        photo: to send.
        request: is filled in.
        known: the first answer to each photograph, which all others must equal.
    """
    body, kind = multipart(photo.data, photo.name)
    headers = {"Content-Type": kind, "X-Request-ID": request.id, "Accept": "application/json"}
    try:
        async with session.post(f"{url}/{path}", data=body, headers=headers) as response:
            answer = await response.read()
            request.status, request.cold = response.status, "X-Cold-Start" in response.headers
            request.pod = response.headers.get("X-Pod-Name", "")
            request.revision = response.headers.get("X-Revision", "")
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        request.reason = type(error).__name__
    request.done = time.time()
    if not request.good:
        return ""
    try:
        found = json.loads(answer)
        return FUNCTIONS[path](photo, found) or (
            "" if known.setdefault(f"{path} {photo.name}", answer) == answer else f"{photo.name}: another answer"
        )
    except (ValueError, TypeError, AttributeError) as error:
        return f"{photo.name}: {error!r}"


async def photographs(run: Run, folder: Path, bounds: Bounds) -> Verdict:
    """Photographs to histogram and exif from their own manifests; every answer is right and the same."""
    pictures = photos()
    wrong: Counter[str] = Counter()
    known: dict[str, bytes] = {}
    numbers = itertools.count()

    async with Lab(run, folder, [ROOT / "knative" / "services"], watch="histogram") as lab:

        async def client(path: str, offset: int) -> None:
            async with aiohttp.ClientSession() as session:
                for turn, photo in enumerate(itertools.islice(itertools.cycle(pictures), offset, None)):
                    if turn >= len(pictures) and time.monotonic() > deadline:
                        return
                    request = Request(f"photo-{next(numbers)}", time.time())
                    run.requests.append(request)
                    fault = await send(session, lab.url, path, photo, request, known)
                    wrong.update([fault] if fault else [])

        run.offered.append((time.time(), float(CLIENTS * len(FUNCTIONS))))
        run.say("offered", f"{CLIENTS} clients each of histogram and exif, {len(pictures)} photographs")
        deadline = time.monotonic() + SECONDS
        await asyncio.gather(*(client(path, offset) for path in FUNCTIONS for offset in range(CLIENTS)))
        run.offered.append((time.time(), 0.0))
        await asyncio.sleep(0.5)
    result = judged(run, bounds, lab)
    judge(result, known, pictures, wrong)
    for function in ("histogram", "exif"):
        warm = [one for one in run.requests if one.revision.startswith(function) and not one.cold]
        if median := latencies(warm).quantile(0.5):
            run.measured[f"{function}_seconds"] = median
    return result


def judge(result: Verdict, known: Mapping[str, bytes], pictures: list[Photo], wrong: Counter[str]) -> None:
    """Hold the answers to the pictures, and their number to every picture at both functions."""
    result.at_least("photographs answered by each function", len(known), len(pictures) * len(FUNCTIONS))
    result.at_most(
        "wrong answers", wrong.total(), 0, note="; ".join(f"{count} × {fault}" for fault, count in wrong.items())
    )
