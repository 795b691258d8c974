"""Layers of a PSD or PSB in ExifTool's Photoshop group: their number, names, places, blending, dates.

Facts from Adobe's Photoshop File Formats Specification and ExifTool 13.58. What a layer holds is not read.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from struct import unpack_from
from typing import Any

from functions.exif.scan.result import Scan
from functions.kit.containers.layers import WIDE

GROUP = "Photoshop"
MAX_LAYERS = 512
MAX_BLOCKS = 256
# Bytes of the section that are looked at: the records come before the pixels.
HEAD = 4 * 2**20
_MODES = {
    "pass": "Pass Through",
    "norm": "Normal",
    "diss": "Dissolve",
    "dark": "Darken",
    "mul ": "Multiply",
    "idiv": "Color Burn",
    "lbrn": "Linear Burn",
    "dkCl": "Darker Color",
    "lite": "Lighten",
    "scrn": "Screen",
    "div ": "Color Dodge",
    "lddg": "Linear Dodge",
    "lgCl": "Lighter Color",
    "over": "Overlay",
    "sLit": "Soft Light",
    "hLit": "Hard Light",
    "vLit": "Vivid Light",
    "lLit": "Linear Light",
    "pLit": "Pin Light",
    "hMix": "Hard Mix",
    "diff": "Difference",
    "smud": "Exclusion",
    "fsub": "Subtract",
    "fdiv": "Divide",
    "hue ": "Hue",
    "sat ": "Saturation",
    "colr": "Color",
    "lum ": "Luminosity",
}
_COLOURS = ("None", "Red", "Orange", "Yellow", "Green", "Blue", "Violet", "Gray")
_SECTIONS = ("Layer", "Folder (open)", "Folder (closed)", "Divider")
Values = list[tuple[Any, Any]]


def add(scan: Scan, data: bytes, *, wide: bool) -> None:
    """Add the rows of the section.

    Args:
        scan: that they are added to.
        data: of the section behind its length, or its first bytes.
        wide: whether lengths have eight bytes, as in a PSB.
    """
    step = 8 if wide else 4
    at = _records(data, step)
    if at < 0:
        return
    found = _Layers(data, step)
    found.read(at)
    count = min(found.count, MAX_LAYERS)
    scan.row(GROUP, "LayerCount", found.count, found.count)
    for name, values in found.values.items():
        filler: tuple[Any, Any] = (0, "Layer") if name == "LayerSections" else ("", "")
        padded = values + [filler] * (count - len(values)) if name in _NAMED else values
        plain, printed = [value for value, _ in padded], [text for _, text in padded]
        if padded:
            single = len(padded) == 1
            scan.row(GROUP, name, plain[0] if single else plain, printed[0] if single else printed)


def _records(data: bytes, step: int) -> int:
    """Where the layers' count stands; behind a block of its own in files of 16 bits a channel; -1 for nowhere."""
    if len(data) < step + 2:
        return -1
    if int.from_bytes(data[:step], "big") or int.from_bytes(data[step : step + 2], "big"):
        return step
    at = step + 4
    for _ in range(2):
        if data[at : at + 8] == b"8BIMLr16" and len(data) >= at + 8 + step + 2:
            return at + 8 + step
        if data[at : at + 8] != b"8BIMMt16":
            break
        at += 8 + step
    return step


class _Layers:
    def __init__(self, data: bytes, step: int) -> None:
        self.data, self.step = data, step
        self.count = 0
        self.values: dict[str, Values] = {}

    def put(self, name: str, value: object, printed: object) -> None:
        self.values.setdefault(name, []).append((value, printed))

    def read(self, at: int) -> None:
        """All layers."""
        (count,) = unpack_from(">h", self.data, at)
        self.count = abs(count)
        at += 2
        for number in range(min(self.count, MAX_LAYERS)):
            at = self.layer(number, at)
            if at < 0:
                return

    def layer(self, number: int, at: int) -> int:
        """One layer, and where the next begins; -1 where it is broken."""
        data = self.data
        if at + 18 > len(data):
            return -1
        *sides, channels = unpack_from(">4IH", data, at)
        at += 18 + (2 + self.step) * channels
        if at + 20 > len(data) or data[at : at + 4] != b"8BIM":
            return -1
        text = " ".join(map(str, sides))
        self.put("LayerRectangles", text, text)
        mode, (opacity, _, flags) = data[at + 4 : at + 8].decode("latin-1"), data[at + 8 : at + 11]
        self.put("LayerBlendModes", mode, _MODES.get(mode, f"Unknown ({mode})"))
        share = 100 * opacity / 255
        self.put("LayerOpacities", int(share) if share == int(share) else float(f"{share:.15g}"), f"{int(share)}%")
        self.put("LayerVisible", flags & 2, "No" if flags & 2 else "Yes")
        extra, mask = (int.from_bytes(data[at + place : at + place + 4], "big") for place in (12, 16))
        following = at + 16 + extra
        at += 20 + mask
        if at + 4 > len(data):
            return -1
        at += 4 + int.from_bytes(data[at : at + 4], "big")
        if at >= len(data):
            return -1
        length = data[at]
        name = data[at + 1 : at + 1 + length].decode("cp1252", "replace")
        self.put("LayerNames", name, name)
        self.blocks(number, at + (length + 4) // 4 * 4, min(following, len(data)))
        return following

    def blocks(self, number: int, at: int, end: int) -> None:
        """The further information of a layer."""
        data = self.data
        for _ in range(MAX_BLOCKS):
            if at + 12 > end or data[at : at + 4] not in (b"8BIM", b"8B64"):
                return
            key = data[at + 4 : at + 8]
            wide = self.step == 8 and key in WIDE
            size = int.from_bytes(data[at + 8 : at + (16 if wide else 12)], "big")
            at += 16 if wide else 12
            if at + size > end:
                return
            reader = _BLOCKS.get(key)
            if reader is not None:
                name, read = reader
                values = self.values.setdefault(name, [])
                values += [(0, "Layer") if name == "LayerSections" else ("", "")] * (number - len(values))
                values.append(read(data[at : at + size]))
            at += (size + 3) // 4 * 4


def _unicode(body: bytes) -> tuple[str, str]:
    size = int.from_bytes(body[:4], "big")
    text = body[4 : 4 + 2 * size]
    shown = text[: len(text) & ~1].decode("utf-16-be", "replace").rstrip("\0")
    return shown, shown


def _colour(body: bytes) -> tuple[int, str]:
    value = int.from_bytes(body[:2], "big")
    return value, _COLOURS[value] if value < len(_COLOURS) else f"Unknown ({value})"


def _section(body: bytes) -> tuple[int, str]:
    value = int.from_bytes(body[:4], "big")
    return value, _SECTIONS[value] if value < len(_SECTIONS) else f"Unknown ({value})"


def _changed(body: bytes) -> tuple[str, str]:
    """When a layer was changed: seconds since 1970 as a floating-point number."""
    at = body.find(b"layerTimedoub")
    if at < 0 or at + 21 > len(body):
        return "", ""
    (seconds,) = unpack_from(">d", body, at + 13)
    if not 0 < seconds < 2**36:
        return "", ""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(seconds + 0.5))
    text = f"{moment.year:04d}:{moment:%m:%d %H:%M:%S}+00:00"
    return text, text


_BLOCKS: dict[bytes, tuple[str, Callable[[bytes], tuple[Any, Any]]]] = {
    b"luni": ("LayerUnicodeNames", _unicode),
    b"lclr": ("LayerColors", _colour),
    b"lsct": ("LayerSections", _section),
    b"shmd": ("LayerModifyDates", _changed),
}
_NAMED = frozenset(name for name, _ in _BLOCKS.values())
