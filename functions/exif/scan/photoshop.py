"""Photoshop: image resources (8BIM), wherever they stand, and the PSD and PSB files that are made of them."""

from __future__ import annotations

import re
from struct import unpack_from

from functions.exif.fields import resources as fields
from functions.exif.scan.result import Scan

# Image resources that are metadata of their own kind.
KINDS = {0x0404: "iptc", 0x040F: "icc", 0x0422: "exif", 0x0423: "exif", 0x0424: "xmp"}
SIGNATURES = frozenset((b"8BIM", b"PHUT", b"DCSR", b"AgHg", b"MeSa"))
# Resources of a fixed form, which hold numbers: resolution, flags, guides, angles, digests, versions.
SILENT = frozenset(
    (
        *(0x03E9, 0x03ED, 0x03F3, 0x03F5, 0x03F8, 0x0400, 0x0402, 0x0406, 0x0408, 0x040A, 0x040D, 0x0411, 0x0414),
        *(0x0416, 0x0417, 0x0419, 0x0425, 0x0426, 0x0428, 0x042D, 0x0430, 0x2710),
    )
)
THUMBNAILS = {0x0409: "PhotoshopBGRThumbnail", 0x040C: "PhotoshopThumbnail"}
_TEXT = re.compile(rb"[ -~]{6}")
MAX_RESOURCES = 1024


def resources(result: Scan, data: bytes, offset: int, where: str, *, exif_only: bool = False) -> None:
    """Add the metadata among image resources to a scan.

    Args:
        result: the scan that the blocks are added to.
        data: the resources, from the first signature on.
        offset: of `data` in the file, or -1.
        where: the part of the container.
        exif_only: leave out the resources that are not Exif.
    """
    position, end = 0, len(data)
    for _ in range(MAX_RESOURCES):
        if position + 12 > end or data[position : position + 4] not in SIGNATURES:
            if data[position:end].strip(b"\0"):
                result.miss("gap", f"{where} behind its image resources", -1, end - position)
            return
        (number,) = unpack_from(">H", data, position + 4)
        start = position + 6 + ((data[position + 6] + 2) & ~1)  # a Pascal string, padded to an even length
        if start + 4 > end:
            result.miss("gap", f"{where} behind its image resources", -1, end - position)
            return
        (size,) = unpack_from(">I", data, start)
        start += 4
        if start + size > end:
            result.warn(f"{where}: image resource {number:#06x} runs over the end")
            size = end - start
        kind = KINDS.get(number)
        if exif_only and kind != "exif":
            position = start + size + (size & 1)
            continue
        name = data[position + 7 : position + 7 + data[position + 6]].strip(b"\0 ").decode("latin-1")
        if name:
            result.row(fields.GROUP, f"ResourceName{number:04X}", name, name)
        at = offset + start if offset >= 0 else -1
        body = data[start : start + size]
        known = fields.add(result, number, body)
        if number in THUMBNAILS and body[28:31] == b"\xff\xd8\xff":
            result.add("preview", at + 28 if at >= 0 else -1, body[28:], where, THUMBNAILS[number])
        if kind and size:
            result.add(kind, at, body, f"{where} 8BIM {number:04X}")
        elif body.strip(b"\0") and (_TEXT.search(body) if number in SILENT else not known):
            result.miss("resource", f"{where} 8BIM {number:04X}", at, size)
        position = start + size + (size & 1)
