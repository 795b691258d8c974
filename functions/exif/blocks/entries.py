"""Entries and directories of a TIFF structure (TIFF 6.0, BigTIFF, Exif 3.0): types, and what a walk finds of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

MAX_WARNINGS = 64

BYTE, ASCII, SHORT, LONG, RATIONAL, SBYTE, UNDEFINED, SSHORT, SLONG, SRATIONAL, FLOAT, DOUBLE, IFD = range(1, 14)
UTF8 = 129
TYPE_NAMES = {
    1: "byte",
    2: "ascii",
    3: "short",
    4: "long",
    5: "rational",
    6: "sbyte",
    7: "undefined",
    8: "sshort",
    9: "slong",
    10: "srational",
    11: "float",
    12: "double",
    13: "ifd",
    16: "long8",
    17: "slong8",
    18: "ifd8",
    129: "utf8",
}
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8, 129: 1}
# Entries that hold a block of another kind, with any type: XMP, IPTC, image resources, an ICC profile, DNG's
# private data, the maker note.
MAKER_NOTE, PRIVATE_DATA, XMP_PACKET, IPTC_RECORDS, RESOURCES, ICC_PROFILE = (
    0x927C,
    0xC634,
    0x2BC,
    0x83BB,
    0x8649,
    0x8773,
)
EMBEDDED = frozenset((MAKER_NOTE, XMP_PACKET, IPTC_RECORDS, RESOURCES, ICC_PROFILE, PRIVATE_DATA))

# Numbers as a tuple, rationals as pairs; text, opaque values and embedded blocks as their bytes; None for too many.
Value = tuple[int, ...] | tuple[float, ...] | tuple[tuple[int, int], ...] | bytes | None


# One entry of a directory, by its parts' places. A plain tuple, because a photograph has hundreds of them:
#   TAG: its number.
#   TYPE: as in `TYPE_NAMES`.
#   COUNT: of values of that type, as the file says.
#   VALUE: raw: numbers, pairs of numerator and denominator, or bytes; None for too many, or if it is not wanted.
#   OFFSET: of the value within the structure.
#   SIZE: of the value in bytes.
Entry = tuple[int, int, int, Value, int, int]
TAG: Final = 0
TYPE: Final = 1
COUNT: Final = 2
VALUE: Final = 3
OFFSET: Final = 4
SIZE: Final = 5


@dataclass(slots=True)
class Ifd:
    """One directory: `IFD0`, `ExifIFD`, `GPS`, `InteropIFD`, `IFD1`, `SubIFD`, `SubIFD1`, …, and where it stands."""

    name: str
    offset: int
    entries: dict[int, Entry] = field(default_factory=dict)


@dataclass(slots=True)
class Ifds:
    """All directories of one TIFF structure, in the order of their discovery."""

    order: str
    ifds: list[Ifd] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    big: bool = False

    def get(self, name: str) -> Ifd | None:
        """The directory of that name."""
        for ifd in self.ifds:
            if ifd.name == name:
                return ifd
        return None

    def warn(self, text: str) -> None:
        """Keep a warning once, and at most `MAX_WARNINGS`."""
        if len(self.warnings) < MAX_WARNINGS and text not in self.warnings:
            self.warnings.append(text)
