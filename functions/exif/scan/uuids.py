"""Boxes named by a UUID: XMP, JPEG 2000's Exif and IPTC, content credentials."""

from __future__ import annotations

from functions.exif.scan.result import Scan

ADOBE_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
JP2_EXIF = b"JpgTiffExif->JP2"
JP2_IPTC = bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38")
C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")


def uuid(result: Scan, data: bytes, start: int, end: int) -> None:
    """Keep the metadata of a `uuid` box whose content stands from start to end."""
    if end - start < 16:
        result.miss("box", "uuid", start, end - start)
        return
    name, body = data[start : start + 16], start + 16
    if name == ADOBE_XMP:
        result.add("xmp", body, data[body:end], "uuid")
    elif name == JP2_EXIF:
        skipped = 6 if data[body : body + 6] == b"Exif\0\0" else 0
        result.add("exif", body + skipped, data[body + skipped : end], "uuid")
    elif name == JP2_IPTC:
        result.add("iptc", body, data[body:end], "uuid")
    elif name == C2PA:
        result.add("jumbf", body, data[body:end], "uuid")
    else:
        result.miss("box", f"uuid {name.hex()}", start, end - start)
