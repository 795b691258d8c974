"""Fuzz targets of counting: samples of more than 8 bits by their readers, and colour profiles."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

from tools.fuzz.target import Target, refusing

LONGEST = 4096


def deep_files() -> Iterator[bytes]:
    """A small file of each format whose samples have readers of their own.

    OpenEXR is left out: its library crashes on some headers, which ends the child process and is a 422.
    """
    import numpy as np
    import tifffile

    from tests.functions.kit.images import test_more_formats as made

    values = made.DEEP[:6, :5]
    for mode, bands in ((1, 1), (3, 4), (4, 4)):
        for packed in (False, True):
            yield made.photoshop(values[..., :bands], mode, packed, packed)
    for kind, masks in made.FIELDS:
        yield made.bitmap(np.zeros((5, 4), kind), masks)
    for planar in ("contig", "separate"):
        out = io.BytesIO()
        planes = np.moveaxis(values[..., :3], 2, 0).copy() if planar == "separate" else values[..., :3]
        how = {"planarconfig": planar, "predictor": planar == "contig", "compression": "deflate"}
        tifffile.imwrite(out, planes, photometric="rgb", **how)
        yield out.getvalue()
    yield b"P5 5 4 4095\n" + values[:4, :5, 0].astype(">u2").tobytes()
    yield b"PF\n5 4\n-1.0\n" + bytes(240)
    cards = ("SIMPLE  =                    T", "BITPIX  =                   16", "NAXIS   =                    2",
             "NAXIS1  =                    5", "NAXIS2  =                    4", "END")  # fmt: skip
    yield "".join(card.ljust(80) for card in cards).ljust(2880).encode() + bytes(2880)


def read(data: bytes) -> None:
    """Find the reader of a picture, and read its rows."""
    from functions.kit.http.settings import Settings
    from functions.kit.images.opening import LargeImageError, open_pixels
    from functions.kit.images.samples.model import EarlyEndError, Samples

    try:
        with open_pixels(data, Settings(max_pixels=2**14)) as found:
            if isinstance(found, Samples):
                shape, held = (found.width, len(found.names) + found.masked), found.rows
                try:
                    rows = [strip.shape for strip in found.strips()]
                except EarlyEndError as early:
                    held = early.rows
                    assert 0 < held < found.rows
                    rows = [strip.shape for strip in found.read(held)]
                assert sum(each[0] for each in rows) == held <= found.height
                assert all((each[1], each[2]) == shape for each in rows)
    except LargeImageError:
        pass


def paintbrushes() -> Iterator[bytes]:
    """A PCX of each number of bits and planes, as Pillow writes it and as it only reads it here."""
    from tests.functions.kit.images import test_more_formats as made
    from tests.images import encoded, gradient

    for mode in ("1", "L", "P", "RGB"):
        yield encoded(gradient("L", (24, 16)).convert(mode), "PCX")
    for bits in (1, 2, 4):
        yield made.paintbrush(made.RANDOM.integers(0, 2**bits, (16, 24)), bits, made.COLOURS)


def profiles() -> Iterator[bytes]:
    """Profiles with each kind of curve."""
    from tests.functions.histogram import test_spaces as made

    for stored, _ in made.CURVES.values():
        yield made.rgb_profile(stored)
    yield made.profile(b"GRAY", {b"kTRC": made.curve(0, 100, 65535)})


def profile(data: bytes) -> None:
    """Read a profile; its curves give light from 0 to 1, or a reason."""
    from functions.histogram.counting.spaces import tone
    from tests.images import encoded, gradient

    data = data.ljust(1, b"\0")
    picture = encoded(gradient(size=(8, 6)), icc_profile=data)
    for form in ("RGB", "L"):
        found = tone(picture, form, "linear", "y")
        if found.used == "linear":
            table = found.table(0, 256)
            assert 0 <= float(table.min()) <= float(table.max()) <= 1
        else:
            assert found.reason
        struct.pack(">3d", *found.weights)


TARGETS = {
    "samples": Target(refusing(read), deep_files, LONGEST, seconds=5.0),
    "pcx": Target(refusing(read), paintbrushes, LONGEST),
    "profiles": Target(refusing(profile), profiles, LONGEST),
}
