"""The dominant colours of an image and their shares: Pillow's quantizer over an even sample of pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from PIL import Image

SAMPLE = 32  # pixels a side at most: a thousand samples know a share to one or two percent, in a millisecond


class Colour(NamedTuple):
    """A colour as `#rrggbb`, and its share of the opaque pixels in percent."""

    hex: str
    percent: float


def dominant(image: Image.Image, most: int) -> list[Colour]:
    """Dominant colours, the most frequent first.

    Args:
        image: decoded image. Gray ones have no colours, and LAB ones none without a colour profile.
        most: number of colours at most.
    """
    from PIL import Image

    if image.mode in {"1", "L", "LA", "La", "LAB", "I", "F"} or image.mode.startswith("I;16"):
        return []
    # Nearest neighbour touches only the pixels it keeps, so the cost does not grow with the image.
    sample = image.resize((min(SAMPLE, image.width), min(SAMPLE, image.height)), Image.Resampling.NEAREST)
    rgba = sample.convert("RGBA")
    opaque = rgba.getchannel("A").point([0] + [255] * 255)
    counted = sum(opaque.histogram()[1:])
    if not counted:
        return []
    colours = rgba.convert("RGB")
    # Median cut alone makes equal shares, and the faster octree one large one: k-means moves them to where colours are.
    quantized = colours.quantize(most, method=Image.Quantize.MEDIANCUT, kmeans=1)
    palette = quantized.getpalette() or []
    counts = quantized.histogram(opaque)
    ranked = sorted(((pixels, index) for index, pixels in enumerate(counts) if pixels), key=lambda pair: -pair[0])
    return [
        Colour("#{:02x}{:02x}{:02x}".format(*palette[3 * index : 3 * index + 3]), round(100 * pixels / counted, 1))
        for pixels, index in ranked
    ]
