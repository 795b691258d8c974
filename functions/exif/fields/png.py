"""Ancillary chunks of PNG in ExifTool's PNG group: gamma, chromaticities, palette, background, profile name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from functions.exif.blocks.values import binary, shorten
from functions.exif.scan.result import Scan

Row = tuple[str, object, object]
_INTENTS = ("Perceptual", "Relative Colorimetric", "Saturation", "Absolute Colorimetric")
_CHROMATICITIES = ("WhitePointX", "WhitePointY", "RedX", "RedY", "GreenX", "GreenY", "BlueX", "BlueY")


def add(scan: Scan, kind: bytes, body: bytes) -> None:
    """Add the rows of a chunk."""
    reader = _READERS.get(kind)
    if reader is not None and body:
        for name, value, printed in reader(scan, body):
            scan.row("PNG", name, value, printed)


def _long(body: bytes, at: int = 0) -> int:
    return int.from_bytes(body[at : at + 4], "big")


def _words(body: bytes, size: int) -> str:
    return " ".join(str(int.from_bytes(body[at : at + size], "big")) for at in range(0, len(body) - size + 1, size))


def _number(text: str) -> Any:
    return int(text) if text.isdecimal() else text


def _gamma(_scan: Scan, body: bytes) -> Iterable[Row]:
    stored = _long(body)
    if stored:
        value = shorten(f"{int(1e9 / stored + 0.5) / 1e4:.15g}")
        yield "Gamma", value, value


def _chromaticities(_scan: Scan, body: bytes) -> Iterable[Row]:
    for index, name in enumerate(_CHROMATICITIES):
        if 4 * index + 4 <= len(body):
            value = shorten(f"{_long(body, 4 * index) / 100000:.15g}")
            yield name, value, value


def _background(_scan: Scan, body: bytes) -> Iterable[Row]:
    value = _number(_words(body, 1 if len(body) < 2 else 2))
    yield "BackgroundColor", value, value


def _palette(_scan: Scan, body: bytes) -> Iterable[Row]:
    value = _words(body, 1) if len(body) <= 3 else binary(len(body))
    yield "Palette", value, value


def _transparency(scan: Scan, body: bytes) -> Iterable[Row]:
    if len(body) > 6:
        value: Any = binary(len(body))
    else:
        value = _number(_words(body, 1 if scan.details.get("color_type") == 3 else 2))
    yield "Transparency", value, value


def _significant(_scan: Scan, body: bytes) -> Iterable[Row]:
    value = _number(_words(body, 1))
    yield "SignificantBits", value, value


def _rendering(_scan: Scan, body: bytes) -> Iterable[Row]:
    yield "SRGBRendering", body[0], _INTENTS[body[0]] if body[0] < 4 else f"Unknown ({body[0]})"


def _offset(_scan: Scan, body: bytes) -> Iterable[Row]:
    if len(body) >= 9:
        value = f"{_long(body)}, {_long(body, 4)} ({'microns' if body[8] else 'pixels'})"
        yield "ImageOffset", value, value


def _page(_scan: Scan, body: bytes) -> Iterable[Row]:
    if len(body) >= 9:
        yield "VirtualImageWidth", _long(body), _long(body)
        yield "VirtualImageHeight", _long(body, 4), _long(body, 4)
        yield "VirtualPageUnits", body[8], body[8]


def _profile(_scan: Scan, body: bytes) -> Iterable[Row]:
    name, separator, _ = body.partition(b"\0")
    if separator:
        yield "ProfileName", name.decode("latin-1"), name.decode("latin-1")


def _scale(_scan: Scan, body: bytes) -> Iterable[Row]:
    unit, (width, _, height) = body[0], body[1:].decode("latin-1").partition("\0")
    names = {1: "meters", 2: "radians"}
    yield "SubjectUnits", unit, names.get(unit, f"Unknown ({unit})")
    for name, text in (("SubjectPixelWidth", width), ("SubjectPixelHeight", height.split("\0")[0])):
        if text:
            yield name, text, text


def _stereo(_scan: Scan, body: bytes) -> Iterable[Row]:
    names = {0: "Cross-fused Layout", 1: "Diverging-fused Layout"}
    yield "StereoMode", body[0], names.get(body[0], f"Unknown ({body[0]})")


def _animation(_scan: Scan, body: bytes) -> Iterable[Row]:
    if len(body) >= 8:
        yield "AnimationPlays", _long(body, 4), _long(body, 4) or "inf"


def _data(name: str) -> Callable[[Scan, bytes], Iterable[Row]]:
    def read(_scan: Scan, body: bytes) -> Iterable[Row]:
        yield name, binary(len(body)), binary(len(body))

    return read


_READERS: dict[bytes, Callable[[Scan, bytes], Iterable[Row]]] = {
    b"gAMA": _gamma,
    b"cHRM": _chromaticities,
    b"bKGD": _background,
    b"PLTE": _palette,
    b"tRNS": _transparency,
    b"sBIT": _significant,
    b"sRGB": _rendering,
    b"oFFs": _offset,
    b"vpAg": _page,
    b"iCCP": _profile,
    b"sCAL": _scale,
    b"sTER": _stereo,
    b"acTL": _animation,
    b"hIST": _data("PaletteHistogram"),
    b"pCAL": _data("PixelCalibration"),
    b"dSIG": _data("DigitalSignature"),
    b"fRAc": _data("FractalParameters"),
    b"gIFg": _data("GIFGraphicControlExtension"),
}


CHUNKS = frozenset(_READERS)
# More bytes than this no field has.
MAX_FIELD = 2**20
