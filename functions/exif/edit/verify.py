"""Verification of a clean copy by the reader of `/exif`, independent of the editor.

The scanner of `functions.exif.scan` finds the blocks again, knowing nothing of how they were edited, each
is decided about once more, and texts that identified somebody in the source are looked for in all the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from functions.exif.blocks.entries import ASCII, UTF8
from functions.exif.blocks.ifd import POINTERS as LEADING
from functions.exif.blocks.ifd import walk
from functions.exif.edit.blocks import icc
from functions.exif.edit.blocks.exif import GEO_TAGS, KEPT_TAGS, wanted
from functions.exif.edit.decide import GAIN_MAP, Edit
from functions.exif.edit.errors import NotClean
from functions.exif.edit.tiff import PROFILE
from functions.exif.scan import parts
from functions.exif.scan.result import BEYOND_READING, Block, Scan
from functions.kit import containers
from functions.kit.containers import Document, Kind
from functions.kit.containers.tiff import PICTURE

# What identifies a person, a device or a moment, by the name of `keep` that lets it stay; "" for none.
IDENTIFYING: dict[int, str] = {
    **{tag: name for name, groups in KEPT_TAGS.items() for tags in groups.values() for tag in tags},
    **dict.fromkeys((0x013C, 0xA420, 0xA430, 0xA431, 0xA435, 0xC614, 0xC62F, 0x9286), ""),
}
# The type of an auxiliary image (ISO 23008-12, 6.5.8), such as urn:com:samsung:image:2022:gainmap.
AUXILIARY = re.compile(rb"auxC\0{4}urn:[A-Za-z0-9:._-]{1,120}\0")
MIN_TEXT = 5  # shorter ones occur in compressed pixels by chance
MAX_TEXT = 400
# Names that containers themselves write.
STRUCTURE = (
    b"Adobe ICC_PROFILE NETSCAPE2.0 ANIMEXTS1.0 XMP DataXMP JFIF Exif http://ns.adobe.com/xap/1.0/ adobe:ns:meta/"
)
POINTERS = frozenset((0x014A, 0x0190, 0x8769, 0xA005))
KINDS = {"IFD": "image", "Sub": "image", "Exi": "exif", "GPS": "gps", "Int": "interop", "Glo": "image"}
TIFF_FILE = "TIFF"


def secrets(blocks: Iterable[bytes], keep: Iterable[str], location_only: bool) -> tuple[bytes, ...]:
    """Return the texts and values of a file's Exif that must not occur in a clean copy.

    Args:
        blocks: the Exif blocks of the source.
        keep: names whose tags may stay.
        location_only: only the position, as the file's own rationals.
    """
    kept, result = set(keep), set()
    for block in blocks:
        for ifd in walk(block, wanted=LEADING).ifds:
            for tag, kind, _, _, offset, size in ifd.entries.values():
                raw = block[offset : offset + size]
                if ifd.name == "GPS" and tag in (2, 4) and size == 24 and len(set(raw)) > 4:
                    result.add(raw)
                elif not location_only and kind in (ASCII, UTF8) and ifd.name != "GPS":
                    text = raw.strip(b"\0 ")
                    identifies = tag in IDENTIFYING and IDENTIFYING[tag] not in kept
                    if identifies and text.strip(b":-0 ") and len(text) <= MAX_TEXT:
                        result.add(text)
    return tuple(sorted(text for text in result if len(text) >= MIN_TEXT and text not in STRUCTURE))


def check(result: bytes, edit: Edit, looked_for: Iterable[bytes]) -> None:
    """Read a result again.

    Args:
        result: the clean copy.
        edit: the decision it was made by.
        looked_for: texts and values that must not be in it.

    Raises:
        NotClean: one of them is, or a block that should not be.
    """
    document, found = _again(result)
    for block in found.blocks:
        _block(block, edit)
    named, further = _structure(result), []
    for part in document.parts if edit.further else ():
        if part.kind is Kind.PICTURE:
            further.append(result[part.start : part.end])
            check(further[-1], replace(edit, gainmap=0), looked_for)
    for text in looked_for:
        if result.find(text) < 0:
            continue
        stated = named.count(text) + sum(_stated(block, text) for block in found.blocks)
        if result.count(text) > stated + sum(picture.count(text) for picture in further):
            raise NotClean("a text that identifies its maker is still in the copy")


def _again(result: bytes) -> tuple[Document, Scan]:
    """The copy as parts, and the blocks in them; without the container's fields, which no policy is about.

    Raises:
        NotClean: it cannot be read again.
    """
    form = containers.sniff(result)
    if form is not None and form.reader:
        try:
            document = containers.read(result, whole=form.reader != "tiff", found=form)
            if document is not None:
                return document, parts.scan(document, whole=False, accounted=False)
        except BEYOND_READING:
            pass
    raise NotClean("the copy cannot be read again")


def _structure(result: bytes) -> bytes:
    """Return the types of auxiliary images in a HEIC or AVIF, which contain makers' names."""
    if result[4:8] != b"ftyp":
        return b""
    return b"\n".join(match[0] for match in AUXILIARY.finditer(result))


def _block(block: Block, edit: Edit) -> None:
    """Decide about a block again; nothing of it may be left to remove.

    Raises:
        NotClean: there is.
    """
    again = Edit(edit.keep, edit.location_only, gainmap=edit.gainmap)
    if block.kind == "app" and block.name.startswith(GAIN_MAP) and "gainmap" in edit.keep:
        return
    if block.kind == "exif":
        _exif(block, again)
        return
    if block.kind == "xmp":
        packet = block.data[: block.data.rfind(b">") + 1]
        # An emptied packet states nothing.
        if b"rdf:" in packet:
            again.xmp(packet, block.where)
    elif block.kind == "iptc":
        again.iptc(block.data, block.where)
    elif block.kind == "icc" and not edit.location_only:
        if "icc" not in edit.keep or icc.anonymous(block.data, ()) != block.data:
            raise NotClean(f"a colour profile is still in {block.where}, or names a display")
    elif block.kind == "text":
        again.text(block.name, block.data, block.where)
    elif block.kind in ("comment", "app", "jfxx", "jumbf") and not edit.location_only:
        raise NotClean(f"{block.kind} is still in {block.where}")
    if again.removed:
        raise NotClean(f"{again.removed[0].kind} is still in {block.where}")


def _exif(block: Block, edit: Edit) -> None:
    tags = wanted(edit.keep)
    if block.where == TIFF_FILE:
        tags["image"] |= PICTURE | ({PROFILE} if "icc" in edit.keep else set())
    for ifd in walk(block.data, wanted=LEADING).ifds:
        kind = KINDS.get(ifd.name[:3], "image")
        for tag in ifd.entries:
            if edit.location_only:
                if kind == "gps" or tag in GEO_TAGS:
                    raise NotClean(f"a location is still in {block.where}")
            elif tag not in tags[kind] and tag not in POINTERS:
                raise NotClean(f"{ifd.name} tag {tag:#06x} is still in {block.where}")


def _stated(block: Block, text: bytes) -> int:
    """Count the occurrences of a text in a block that may stay: a copyright may contain the artist's name."""
    if block.kind != "exif":
        return block.data.count(text) if block.offset >= 0 else 0
    values = (
        block.data[offset : offset + size]
        for ifd in walk(block.data, wanted=LEADING).ifds
        for _, kind, _, _, offset, size in ifd.entries.values()
        if kind in (ASCII, UTF8)
    )
    return sum(value.count(text) for value in values)
