"""Clean copies: against decoding and encoding again, against piexif, and against reading alone."""

from __future__ import annotations

import io

import piexif
from PIL import Image

from functions.exif.answer import examine
from functions.exif.edit.fields import Fields
from functions.exif.edit.set import write
from functions.exif.edit.strip import strip
from tests.functions.exif import made
from tests.images import encoded
from tools.bench.harness import Bench

SIZE = 4000, 3000
SMOKE = {"SIZE": (400, 300)}


def _photograph() -> bytes:
    """A 12-megapixel JPEG of noise over a gradient: about as many bytes as a camera's, with its Exif."""
    noise = Image.effect_noise(SIZE, 40).convert("RGB")
    return encoded(noise, "JPEG", quality=85, exif=made.exif(), icc_profile=made.profile())


def run(bench: Bench) -> None:
    """Print the figures."""
    photograph, small = _photograph(), made.jpeg()
    bench.section(f"A clean copy of a 12-megapixel JPEG of {len(photograph) / 1e6:.1f} MB")

    def encode_again() -> None:
        with Image.open(io.BytesIO(photograph)) as image:
            image.save(io.BytesIO(), "JPEG", quality=85)

    bench.paired(
        "strip, re-read included / Pillow decoding and encoding", lambda: strip(photograph), encode_again, 0.2, 7
    )
    bench.paired(
        "strip, re-read included / piexif.remove",
        lambda: strip(photograph),
        lambda: piexif.remove(photograph, io.BytesIO()),
    )
    bench.section("Small files of each container, full of metadata")
    for kind, data in made.all_of_them().items():
        bench.paired(
            f"strip {kind} / reading it", lambda data=data: strip(data), lambda data=data: examine(data), None, 11
        )
    fields = Fields(artist="Erika Mustermann", position=(48.1, 11.5, None))
    bench.paired("set two fields / reading", lambda: write(small, fields), lambda: examine(small), None, 11)
