"""Layers of a PSD or PSB: the records that draw them, and their other blocks (Adobe Photoshop File Formats).

The lengths around a block are noted, so that the writer can correct them when it goes.
"""

from __future__ import annotations

from struct import unpack_from
from typing import NamedTuple

from functions.kit.containers.packing import ContainerError
from functions.kit.containers.parts import Document, Kind, Splices

# Blocks whose length has eight bytes in a PSB.
WIDE = frozenset(
    (
        *(b"LMsk", b"Lr16", b"Lr32", b"Layr", b"Mt16", b"Mt32", b"Mtrn", b"Alph", b"FMsk", b"lnk2", b"FEid"),
        *(b"FXid", b"PxSD"),
    )
)
NESTED = frozenset((b"Lr16", b"Lr32", b"Layr"))
# Blocks that a program needs to draw a layer: adjustments, fills, effects, text, masks, patterns, smart objects.
DRAWING = frozenset(
    (
        *(b"SoCo", b"GdFl", b"PtFl", b"brit", b"levl", b"curv", b"expA", b"vibA", b"hue ", b"hue2", b"blnc", b"blwh"),
        *(b"phfl", b"mixr", b"clrL", b"nvrt", b"post", b"thrs", b"grdm", b"selc", b"lrFX", b"lfx2", b"lfxs", b"lmfx"),
        *(b"TySh", b"tySh", b"Txt2", b"infx", b"clbl", b"knko", b"lspf", b"lclr", b"fxrp", b"lsct", b"lsdk", b"brst"),
        *(b"vmsk", b"vsms", b"vscg", b"vogk", b"vstk", b"ffxi", b"iOpa", b"lyid", b"lyvr", b"lmgm", b"vmgm", b"sn2P"),
        *(b"Patt", b"Pat2", b"Pat3", b"FMsk", b"FXid", b"FEid", b"Alph", b"Mt16", b"Mt32", b"Mtrn", b"LMsk", b"SoLd"),
        *(b"PlLd", b"plLd", b"PxSD", b"anFX", b"CgEd", b"artd", b"abdd", b"pths", b"lnsr"),
    )
)
MAX_LAYERS, MAX_BLOCKS = 8192, 65_536


class Length(NamedTuple):
    """A length in the file: its place, its width, and the bytes that it counts."""

    place: int
    width: int
    start: int
    end: int


class Model(NamedTuple):
    """What a reader of layers and the writer need.

    Args:
        start: of the section behind its length.
        end: of the section.
        lengths: in the section, and its own.
        problem: why it cannot be followed; empty where it can.
    """

    start: int
    end: int
    lengths: list[Length]
    problem: str = ""


class Reader:
    """One pass over a section of layers.

    Args:
        document: whose parts are added to.
        wide: whether it is a PSB.
    """

    def __init__(self, document: Document, *, wide: bool) -> None:
        self.document, self.source, self.step = document, document.source, 8 if wide else 4
        self.lengths: list[Length] = []
        self.at = 0  # the end of what has become parts
        self.blocks = 0

    def run(self, start: int, end: int) -> None:
        """The parts of the section behind its length, which is one part where it cannot be followed."""
        self.at, problem = start, ""
        self.lengths.append(Length(start - self.step, self.step, start, end))
        try:
            if self.source.holes and not self.source.held(start, end):
                raise ContainerError("its layers are not all in the file")
            at = self._layers(self._length(start, self.step, end), start + self.step)
            if at + 4 <= end:  # the global mask
                at = self._length(at, 4, end)
            self._information(at, end)
        except ContainerError as error:
            problem = str(error)
        self._pixels(end)
        self.document.model = Model(start, end, self.lengths, problem)

    def _pixels(self, end: int) -> None:
        if self.at < end:
            self.document.add(Kind.PIXELS, self.at, end, "layers")
            self.at = end

    def _take(self, at: int, width: int, end: int) -> int:
        if at + width > end:
            raise ContainerError("a table of layers ends early")
        return int.from_bytes(self.source.read(at, at + width), "big")

    def _length(self, at: int, width: int, end: int) -> int:
        """Note a length; the end of what it counts."""
        stop = at + width + self._take(at, width, end)
        if stop > end:
            raise ContainerError("a table of layers runs over its end")
        self.lengths.append(Length(at, width, at + width, stop))
        return stop

    def _layers(self, end: int, at: int) -> int:
        """The records of layers, whose pixels follow them; the end of both."""
        if at + 2 > end:
            return end
        count = abs(unpack_from(">h", self.source.data, at)[0])
        at += 2
        for number in range(min(count, MAX_LAYERS)):
            channels = self._take(at + 16, 2, end)
            at += 18 + (2 + self.step) * channels + 12
            stop = self._length(at, 4, end)
            at += 4
            for _ in range(2):  # the mask, and the ranges of blending
                at += 4 + self._take(at, 4, stop)
            name = self._take(at, 1, stop)
            if name and self.source.read(at + 1, at + 1 + name).strip():
                self._pixels(at + 1)
                label = f"name of layer {number + 1}"
                self.document.add(Kind.TEXT, at + 1, at + 1 + name, "layers", label, key="name")
                self.at = at + 1 + name
            self._information(at + (name + 4) // 4 * 4, stop)
            at = stop
        return end

    def _information(self, at: int, end: int) -> None:
        """Blocks of further information of a layer or of the file."""
        source = self.source
        while at + 12 <= end and source.read(at, at + 4) in (b"8BIM", b"8B64"):
            self.blocks += 1
            if self.blocks > MAX_BLOCKS:
                raise ContainerError(f"more than {MAX_BLOCKS:,} blocks in layers")
            key = source.read(at + 4, at + 8)
            width = self.step if key in WIDE else 4
            size = self._take(at + 8, width, end)
            stop = at + 8 + width + size
            # Some are padded to two or four bytes, which their length does not count.
            padded = stop + -size % 4
            while stop < min(padded, end) and source.read(stop, stop + 1) == b"\0":
                stop += 1
            if stop > end:
                raise ContainerError("a block of layers runs over its end")
            if key in NESTED:
                self._layers(self._length(at + 8, width, end), at + 8 + width)
            elif key not in DRAWING:
                self._pixels(at)
                name = "linked file" if key.startswith(b"lnk") else key.decode("latin-1")
                self.document.add(Kind.APP, at, stop, "layers", name, body=at + 8 + width, stop=stop, key="layer")
                self.at = stop
            at = stop


def correct(splices: Splices, lengths: list[Length]) -> None:
    """Correct the lengths around blocks that are gone."""
    for length in lengths:
        grown = splices.moved(length.end) - splices.moved(length.start)
        if grown != length.end - length.start:
            splices.patch(length.place, grown.to_bytes(length.width, "big"))
