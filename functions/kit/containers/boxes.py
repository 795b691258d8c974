"""Boxes of ISO base media files, one after another and one in another (ISO/IEC 14496-12, 4.2)."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct, pack, unpack_from
from typing import NamedTuple

from functions.kit.containers.parts import Document, Kind, Splices, filler
from functions.kit.containers.source import Source

MAX_BOXES = 8_000
# Boxes that hold the picture or lead to it: one of them that is broken breaks the file.
PICTURE = frozenset(
    (b"ftyp", b"meta", b"mdat", b"moov", b"moof", b"mini", b"jp2h", b"jp2c", b"jxlc", b"jxlp", b"trak", b"idat")
)
# Boxes of metadata that a UUID names: XMP, JPEG 2000's Exif and IPTC, content credentials.
UUIDS = {
    bytes.fromhex("be7acfcb97a942e89c71999491e3afac"): Kind.XMP,
    b"JpgTiffExif->JP2": Kind.EXIF,
    bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38"): Kind.IPTC,
    bytes.fromhex("d8fec3d61b0e483c92975828877ec481"): Kind.JUMBF,
}
CONTAINERS = frozenset(
    (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"dinf", b"mvex", b"iprp", b"ipco", b"grpl")
)
TIMED = frozenset((b"mvhd", b"tkhd", b"mdhd"))
STRUCTURES = frozenset(
    (
        *(b"ftyp", b"hdlr", b"pitm", b"iloc", b"iinf", b"iref", b"ipma", b"ipro", b"vmhd", b"nmhd"),
        *(b"stsd", b"stts", b"stsc", b"stsz", b"stz2", b"stco", b"co64", b"stss", b"ctts", b"elst", b"dref", b"trex"),
        *(b"smhd", b"sbgp", b"sgpd", b"sdtp", b"cslg", b"saiz", b"saio", b"subs", b"tref", b"moof"),
        # Properties that decide how an item looks (23008-12, 6.5; MIAF; AVIF).
        *(b"ispe", b"pasp", b"colr", b"pixi", b"rloc", b"auxC", b"clap", b"irot", b"imir", b"lsel", b"iscl", b"hvcC"),
        *(b"av1C", b"av2C", b"avcC", b"vvcC", b"jpgC", b"j2kH", b"lhvC", b"oinf", b"tols", b"a1op", b"a1lx", b"clli"),
        *(
            b"subs",
            b"hdrp",
            b"cmpC",
            b"icef",
            b"icbr",
            b"tilC",
            b"mskC",
            b"pred",
            b"prfr",
            b"elng",
            b"disi",
            b"ster",
            b"dpnd",
            b"blnd",
        ),
        *(b"fpac", b"cpat", b"cloc", b"splz"),
        *(b"mdcv", b"cclv", b"amve", b"reve", b"ndwt", b"uncC", b"cmpd", b"rref", b"tmap", b"evcC", b"cmin", b"cmex"),
    )
)
# Groups of items and tracks: alternatives, stereo pairs, bursts, brackets, albums and others (23008-12, 6.8).
GROUPS = frozenset(
    (
        *(b"altr", b"ster", b"eqiv", b"tsyn", b"brst", b"aebr", b"wbbr", b"fobr", b"afbr", b"dobr", b"albc", b"favc"),
        *(b"pano", b"slid", b"prgr", b"pymd", b"cmex", b"iaug", b"vipo", b"amgl"),
    )
)
# What describes and does not show: descriptions, alternative text, times, user data.
DESCRIPTIONS = frozenset((b"udes", b"altt", b"crtt", b"mdft", b"udta", b"name", b"uuid"))
FREE = frozenset((b"free", b"skip"))
_HEAD = Struct(">I4s")
_LONG = Struct(">Q")


class Box(NamedTuple):
    """A box: its type, where it begins, where its content begins, and where it ends."""

    kind: bytes
    start: int
    body: int
    end: int

    @property
    def name(self) -> str:
        """The type as text, or in hexadecimal if it is not text."""
        return label(self.kind)


def label(kind: bytes) -> str:
    """The type of a box as text, or in hexadecimal if it is not text."""
    text = kind.decode("latin-1")
    return text.strip() if text.isprintable() else kind.hex()


class Walk:
    """The boxes of a file, within a budget, so that no nesting and no run of empty boxes takes long.

    Args:
        source: the file.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.left = MAX_BOXES

    def within(self, start: int, end: int) -> Iterator[Box]:
        """The boxes between two positions; a broken one ends them."""
        data, holes = self.source.data, self.source.holes
        while start + 8 <= end:
            if holes and not self.source.held(start, start + 8):
                return
            if not self.left:
                self.exhausted(start, end)
                return
            self.left -= 1
            size, kind = _HEAD.unpack_from(data, start)
            body, long = start + 8, size == 1
            if long and start + 16 <= end:
                (size,) = _LONG.unpack_from(data, body)
                body += 8
            elif size == 0:
                size = end - start
            box = Box(kind, start, body, start + size)
            if (box.end < body or box.end > end) and not self.broken(box, end, long=long):
                return
            stop = min(box.end, end)
            yield Box(kind, start, body, stop)
            start = stop

    def exhausted(self, start: int, end: int) -> None:
        """Note that boxes between two positions are not read."""
        raise NotImplementedError

    def broken(self, box: Box, end: int, *, long: bool) -> bool:
        """Note a box whose size cannot be right; whether it is read up to the end all the same.

        Args:
            box: as it states itself.
            end: of the box around it, or of the file.
            long: whether its size is one of 64 bits.
        """
        raise NotImplementedError


class Boxes(Walk):
    """The boxes of a document, which a broken one breaks unless it is what follows the last box."""

    def __init__(self, document: Document) -> None:
        super().__init__(document.source)
        self.document = document

    def finish(self, at: int) -> None:
        """Add what follows the last box, and break a document without a picture."""
        document, end = self.document, self.source.size
        if at < end:
            document.add(filler(self.source, at, end, Kind.TRAILER), at, end, "after the last box")
        if not any(part.kind is Kind.PIXELS for part in document.parts):
            document.broken = document.broken or "it ends before its picture"

    def exhausted(self, start: int, end: int) -> None:  # noqa: ARG002 - the base class has them
        """Break the document."""
        self.document.broken = f"more than {MAX_BOXES:,} boxes"

    def broken(self, box: Box, end: int, *, long: bool) -> bool:
        """Break the document."""
        document, kind, start = self.document, box.kind.decode("latin-1"), box.start
        if end == self.source.size and box.kind not in PICTURE and not long and start > 0:
            document.warn(f"no box at byte {start}")
            return False  # what follows the last box
        if box.end < box.body:
            document.warn(f"box {kind!r} of {box.end - start} bytes at byte {start}")
            document.broken = document.broken or f"a box of {box.end - start} bytes at byte {start:,}"
            return False
        document.warn(f"box {kind!r} at byte {start} runs over its end")
        if box.kind == b"jp2c" and end == self.source.size:
            return True  # decoders show what is there of the picture
        document.broken = document.broken or f"a box at byte {start:,} runs over its end"
        return True


def encode(kind: bytes, body: bytes) -> bytes:
    """A box of a type and a content."""
    return pack(">I4s", len(body) + 8, kind) + body


def resize(splices: Splices, boxes: list[Box], *, explicit: bool = False) -> None:
    """Patch the sizes of boxes whose content changed its length.

    Args:
        splices: the changes.
        boxes: around them.
        explicit: state the size of a box that runs to the end of the file, so that another may follow.
    """
    data = splices.source.data
    for box in boxes:
        start, end = splices.moved(box.start), splices.moved(box.end)
        (size,) = unpack_from(">I", data, box.start)
        if end == start or (end - start == box.end - box.start and not (explicit and not size)):
            continue
        if size == 1:
            splices.patch(box.start + 8, pack(">Q", end - start))
        elif size or explicit:
            splices.patch(box.start, pack(">I", end - start))
