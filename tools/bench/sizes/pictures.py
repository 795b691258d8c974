"""Pictures that the benchmarks measure with."""

from __future__ import annotations

import random

from PIL import Image

MEGA = 1_000_000


def photograph(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """An image with the statistics of a photograph: soft shapes and a little grain, the same each time."""
    generator = random.Random(width * height)
    bands = []
    for _ in range(len(mode)):
        soft = Image.frombytes("L", (24, 16), generator.randbytes(24 * 16)).resize(
            (width, height), Image.Resampling.BICUBIC
        )
        tile = Image.frombytes("L", (512, 512), generator.randbytes(512 * 512)).point(lambda level: 64 + level // 2)
        grain = Image.new("L", (width, height))
        for x in range(0, width, 512):
            for y in range(0, height, 512):
                grain.paste(tile, (x, y))
        bands.append(Image.blend(soft, grain, 0.3))
    return Image.merge(mode, bands) if mode != "L" else bands[0]
