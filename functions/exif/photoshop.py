"""Photoshop: image resources (8BIM), wherever they stand, and the PSD and PSB files that are made of them."""

from __future__ import annotations

from struct import unpack_from

from functions.exif.blocks import Scan

# Image resources that are metadata of their own kind.
KINDS = {0x0404: "iptc", 0x040F: "icc", 0x0422: "exif", 0x0423: "exif", 0x0424: "xmp"}
SIGNATURES = frozenset((b"8BIM", b"PHUT", b"DCSR", b"AgHg", b"MeSa"))
MAX_RESOURCES = 1024


def resources(result: Scan, data: bytes, offset: int, where: str) -> None:
    """Add the metadata among image resources to a scan.

    Args:
        result: the scan that the blocks are added to.
        data: the resources, from the first signature on.
        offset: of `data` in the file, or -1.
        where: the part of the container.
    """
    position, end = 0, len(data)
    for _ in range(MAX_RESOURCES):
        if position + 12 > end or data[position : position + 4] not in SIGNATURES:
            return
        (number,) = unpack_from(">H", data, position + 4)
        start = position + 6 + ((data[position + 6] + 2) & ~1)  # a Pascal string, padded to an even length
        if start + 4 > end:
            return
        (size,) = unpack_from(">I", data, start)
        start += 4
        if start + size > end:
            result.warn(f"{where}: image resource {number:#06x} runs over the end")
            size = end - start
        kind = KINDS.get(number)
        if kind and size:
            at = offset + start if offset >= 0 else -1
            result.add(kind, at, data[start : start + size], f"{where} 8BIM {number:04X}")
        position = start + size + (size & 1)


def scan(data: bytes) -> Scan:
    """Read a PSD's or PSB's header and image resources."""
    result = Scan("PSD", "image/vnd.adobe.photoshop")
    if len(data) < 30:
        result.warn("the file ends inside its header")
        return result
    _, version, channels, height, width, bits, mode = unpack_from(">4sH6xHIIHH", data)
    if version == 2:
        result.format = "PSB"
    result.width, result.height = width, height
    result.details.update(channels=channels, bits_per_sample=bits, color_mode=mode)
    (colours,) = unpack_from(">I", data, 26)
    start = 30 + colours
    if start + 4 > len(data):
        result.warn("the file ends before its image resources")
        return result
    (size,) = unpack_from(">I", data, start)
    resources(result, data[start + 4 : start + 4 + size], start + 4, "PSD")
    return result
