"""What a file states of its colours and of how it is held: ICC profile, transfer curve, orientation."""

from __future__ import annotations

from dataclasses import dataclass

from functions.kit.containers import Document, Kind, read
from functions.kit.images import tiff
from functions.kit.images.metering import HeaderLimitError

MOST_PROFILE = 16 * 2**20  # bytes; press profiles have two megabytes
# Their decoders turn the picture themselves.
_TURNED = frozenset(("HEIF", "JXL"))
_PROFILE_RESOURCE, _MOST_RESOURCES = 1039, 1024


@dataclass(frozen=True)
class Colour:
    """What a file states of its colours.

    Args:
        profile: an ICC profile.
        gamma: exponent of a PNG's gAMA, encoded = light ^ gamma; None where another statement replaces it.
        transfer: transfer characteristics by ITU-T H.273, of cICP (PNG) or nclx (HEIC, AVIF, JPEG XL); None for none.
    """

    profile: bytes | None = None
    gamma: float | None = None
    transfer: int | None = None


def colour(data: bytes, frame: int = 0) -> Colour:
    """The statements of a file; a profile of a TIFF is that of the page.

    Raises:
        HeaderLimitError: the directories of a TIFF exceed a limit.
    """
    document = read(data)
    if document is None:
        return Colour()
    if document.reader == "tiff":
        page = tiff.page(data, frame)
        return Colour(page.content(tiff.PROFILE) if page is not None else None)
    if document.reader == "png":
        return _png(document)
    return Colour(_profile(document), transfer=_nclx(document))


def _profile(document: Document) -> bytes | None:
    """The first profile of a document; those of thumbnails follow the picture's."""
    for part in document.parts:
        found = None
        if part.kind is Kind.ICC:
            found = document.content(part)
        elif part.kind is Kind.PHOTOSHOP and document.reader == "psd":
            found = _resource(document.raw(part))
        if found:
            return found if len(found) <= MOST_PROFILE else None
    return None


def _resource(data: bytes) -> bytes | None:
    """The profile among the image resources of a Photoshop file."""
    at = 0
    for _ in range(_MOST_RESOURCES):
        if data[at : at + 4] != b"8BIM" or at + 12 > len(data):
            return None
        name = data[at + 6]
        body = at + 7 + name + (name + 1) % 2
        size = int.from_bytes(data[body : body + 4], "big")
        if int.from_bytes(data[at + 4 : at + 6], "big") == _PROFILE_RESOURCE:
            return data[body + 4 : body + 4 + size]
        at = body + 4 + size + size % 2
    return None


def _png(document: Document) -> Colour:
    """The statement of a PNG that counts: cICP before iCCP before sRGB before gAMA."""
    chunks: dict[str, bytes] = {}
    for part in document.parts:
        if part.label in {"cICP", "sRGB", "gAMA"}:
            chunks.setdefault(part.label, document.raw(part))
        elif part.kind is Kind.PIXELS:
            break
    if len(chunks.get("cICP", b"")) == 4:
        return Colour(transfer=chunks["cICP"][1])
    profile = _profile(document)
    if profile or "sRGB" in chunks or len(chunks.get("gAMA", b"")) != 4:
        return Colour(profile)
    return Colour(gamma=int.from_bytes(chunks["gAMA"], "big") / 100_000)


def _nclx(document: Document) -> int | None:
    """The transfer characteristics of the first `colr` box that has them."""
    for part in document.parts:
        if part.key == b"colr" or part.label == "colr":
            body = document.source.read(part.start, part.end)
            at = body.find(b"nclx")
            if at >= 0 and at + 8 <= len(body):
                return int.from_bytes(body[at + 6 : at + 8], "big")
    return None


def orientation(data: bytes, name: str, frame: int = 0) -> int:
    """How the stored pixels have to be turned for display, 1 to 8 as Exif counts; 1 where the decoder has done it.

    Args:
        data: the whole file.
        name: Pillow's name of the format.
        frame: page of a TIFF.
    """
    if name in _TURNED:
        return 1
    try:
        if name == "TIFF":
            page = tiff.page(data, frame)
            found = page.value(tiff.ORIENTATION, 1) if page is not None else 1
        else:
            document = read(data)
            found = _stated(document) if document is not None else 1
    except HeaderLimitError:
        return 1
    return found if 1 <= found <= 8 else 1


def _stated(document: Document) -> int:
    """The orientation of the first Exif block; of an AVIF its own boxes, in the same numbers."""
    if document.format == "AVIF":
        rotation, mirroring = document.details.get("rotation", 0), document.details.get("mirroring")
        turns = int(rotation) // 90
        if mirroring is None:
            return (1, 8, 3, 6)[turns]
        return ((4, 5, 2, 7), (2, 7, 4, 5))[int(mirroring)][turns]
    for part in document.parts:
        if part.kind is Kind.EXIF:
            block = (document.content(part) or b"").removeprefix(b"Exif\0\0")
            page = tiff.page(block, 0)
            return page.value(tiff.ORIENTATION, 1) if page is not None else 1
    return 1
