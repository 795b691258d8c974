"""The length of a box's content by its format: bytes after it are not understood."""

from __future__ import annotations

import re

from functions.kit.containers import Document
from functions.kit.containers.boxes import GROUPS

BOXED = frozenset(("isobmff", "jp2", "jxl"))
# Boxes of a HEIF (ISO/IEC 23008-12, 6.5; 14496-12, 12.1; AV1-ISOBMFF), version and flags included.
_BOXES = {b"ispe": 12, b"pasp": 8, b"clap": 32, b"irot": 1, b"imir": 1, b"lsel": 2, b"rloc": 12, b"iscl": 12,
          b"clli": 4, b"mdcv": 24, b"amve": 8, b"ndwt": 8, b"a1op": 1, b"a1lx": 13, b"mskC": 5, b"cmin": 24,
          b"tols": 6, b"pitm": 8}  # fmt: skip
_TEXT = re.compile(rb"[ -~]{6}")
_NAMED = re.compile(rb"(?:urn|https?):[!-~]+\0")
# Known compatible brands: text after the last of them is not a brand.
_BRANDS = frozenset(
    (
        *(b"mif1", b"mif2", b"mif3", b"msf1", b"miaf", b"MiHB", b"MiHA", b"MiHE", b"MiAB", b"MiPr", b"MiAn", b"MiBu"),
        *(b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"avif", b"avis", b"avio", b"MA1A"),
        *(b"MA1B", b"avci", b"avcs", b"vvic", b"vvis", b"evbi", b"evbs", b"jpeg", b"jpgs", b"j2ki", b"j2is", b"tmap"),
        *(b"unif", b"geo1", b"1pic", b"pred", b"unci", b"iso2", b"iso3", b"iso4", b"iso5", b"iso6", b"iso7"),
        *(b"iso8", b"iso9", b"isom", b"isoa", b"isob", b"isoc", b"mp41", b"mp42", b"av01", b"avc1", b"dash", b"cmfc"),
        *(b"crx ", b"jp2 ", b"jpx ", b"jpxb", b"jpm ", b"jpmc", b"mjp2", b"mj2s", b"jph ", b"jxl ", b"SHIF", b"SHIR"),
        *(b"qt  ", b"MSNV", b"M4V ", b"3gp4", b"3gp5", b"3gp6"),
    )
)


def expected(document: Document, kind: bytes, body: bytes) -> int:
    """Bytes of a box's content by its format; -1 for an unknown format."""
    if kind in _FORMS:
        return _FORMS[kind](document, body)
    return _BOXES.get(kind, -1) if document.reader == "isobmff" else -1


def _type(_document: Document, body: bytes) -> int:
    """Bytes of brand, version, and compatible brands up to the last known one."""
    places = range(8, len(body) - 3, 4)
    return max((at + 4 for at in places if body[at : at + 4] in _BRANDS), default=8)


def _group(_document: Document, body: bytes) -> int:
    """Bytes of a group of items or tracks (ISO/IEC 14496-12, 8.18.3)."""
    return 12 + 4 * int.from_bytes(body[8:12], "big")


def _parts(_document: Document, body: bytes) -> int:
    """Bytes of a table of the parts of samples (ISO/IEC 14496-12, 8.7.7)."""
    at, entry = 8, 10 if body[:1] == b"\1" else 8
    for _ in range(int.from_bytes(body[4:8], "big")):
        if at + 6 > len(body):
            break
        at += 6 + entry * int.from_bytes(body[at + 4 : at + 6], "big")
    return at


def _requirements(_document: Document, body: bytes) -> int:
    """Bytes of what a JPX requires of its reader, without features of vendors (ISO/IEC 15444-2, M.11.1)."""
    mask = body[0] if body else 0
    at = 1 + 2 * mask
    return at + 4 + (2 + mask) * int.from_bytes(body[at : at + 2], "big")


def _colour(document: Document, body: bytes) -> int:
    """Bytes of a box of colours that is not a profile; those of another method have no known form."""
    if document.reader == "jp2":
        return {1: 7, 2: len(body)}.get(body[0], 3) if body else 0
    return {b"nclx": 11, b"nclc": 10}.get(body[:4], 4)


def _depths(_document: Document, body: bytes) -> int:
    """Bytes of the depths of channels; with flags there are further fields."""
    return len(body) if any(body[1:4]) or len(body) < 5 else 5 + body[4]


def _auxiliary(_document: Document, body: bytes) -> int:
    """Bytes of the type of an auxiliary picture, which is a URN, and of the binary data behind it."""
    named = _NAMED.match(body, 4)
    if named is None:
        return 4
    return len(body) if not _TEXT.search(body, named.end()) else named.end()


def _references(_document: Document, body: bytes) -> int:
    """Bytes of a table of data references, all to the file itself."""
    return 8 + 12 * int.from_bytes(body[4:8], "big")


def _components(document: Document, _body: bytes) -> int:
    return int(document.details.get("components", 0))


def _palette(_document: Document, body: bytes) -> int:
    entries, columns = int.from_bytes(body[:2], "big"), body[2] if len(body) > 2 else 0
    return 3 + columns + entries * sum(((bits & 0x7F) + 8) // 8 for bits in body[3 : 3 + columns])


def _resolutions(_document: Document, body: bytes) -> int:
    """Bytes of one or two resolutions, each a box of 18."""
    return 36 if body[18:22] == body[:4] == b"\0\0\0\x12" else 18


def _definitions(_document: Document, body: bytes) -> int:
    return 2 + 6 * int.from_bytes(body[:2], "big")


_FORMS = {
    b"ftyp": _type,
    b"rreq": _requirements,
    b"subs": _parts,
    **dict.fromkeys(GROUPS, _group),
    b"colr": _colour,
    b"pixi": _depths,
    b"auxC": _auxiliary,
    b"dref": _references,
    b"bpcc": _components,
    b"pclr": _palette,
    b"cdef": _definitions,
    b"res ": _resolutions,
}
