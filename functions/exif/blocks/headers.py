"""The containers' own metadata, beside embedded blocks: JFIF, PNG's fields and texts, comments, Adobe, C2PA."""

from __future__ import annotations

import re
from collections.abc import Callable
from struct import unpack_from

from functions.exif.blocks.values import binary, number_or_text, text_of
from functions.exif.printing.places import sexagesimal
from functions.exif.rows import Preview, Reading
from functions.exif.scan.movie import position
from functions.exif.scan.result import Block, Scan
from functions.exif.tags.formulas import Members
from functions.exif.tags.tables import table

Put = Callable[[str, str, object, object], None]

# Groups of previews by the part of the container, where they are none of Photoshop's.
_PREVIEWS = (("THMB", "Canon"), ("record", "CanonRaw"), ("IMA", "SigmaRaw"))
_UNITS = ("None", "inches", "cm")
_PNG_COLOURS = {0: "Grayscale", 2: "RGB", 3: "Palette", 4: "Grayscale with Alpha", 6: "RGB with Alpha"}
_PNG_NAMES = {"Creation Time": "CreationTime", "create-date": "CreateDate", "modify-date": "ModDate"}
_PROCESSES = {
    0: "Baseline DCT, Huffman coding",
    1: "Extended sequential DCT, Huffman coding",
    2: "Progressive DCT, Huffman coding",
    3: "Lossless, Huffman coding",
    5: "Sequential DCT, differential Huffman coding",
    6: "Progressive DCT, differential Huffman coding",
    7: "Lossless, Differential Huffman coding",
    9: "Extended sequential DCT, arithmetic coding",
    10: "Progressive DCT, arithmetic coding",
    11: "Lossless, arithmetic coding",
    13: "Sequential DCT, differential arithmetic coding",
    14: "Progressive DCT, differential arithmetic coding",
    15: "Lossless, differential arithmetic coding",
}
_SUBSAMPLING = {
    "1 1": "YCbCr4:4:4 (1 1)",
    "2 1": "YCbCr4:2:2 (2 1)",
    "2 2": "YCbCr4:2:0 (2 2)",
    "4 1": "YCbCr4:1:1 (4 1)",
    "4 2": "YCbCr4:1:0 (4 2)",
    "1 2": "YCbCr4:4:0 (1 2)",
    "1 4": "YCbCr4:4:1 (1 4)",
    "2 4": "YCbCr4:2:1 (2 4)",
}


def container(scan: Scan, put: Put) -> None:
    """The header's own fields, in the group that ExifTool puts them in."""
    details, width, height = scan.details, scan.width, scan.height
    if scan.format in ("PNG", "APNG"):
        _png(scan, put)
    elif scan.format == "WebP" and width is not None:
        put("RIFF", "ImageWidth", width, width)
        put("RIFF", "ImageHeight", height, height)
    elif scan.format == "GIF" and width is not None:
        put("GIF", "ImageWidth", width, width)
        put("GIF", "ImageHeight", height, height)
        put("GIF", "BitsPerPixel", details["bits_per_sample"], details["bits_per_sample"])
    elif "jpeg_width" in details:
        put("File", "ImageWidth", details["jpeg_width"], details["jpeg_width"])
        put("File", "ImageHeight", details["jpeg_height"], details["jpeg_height"])
        text = binary(int(details["jpeg_bytes"]))
        group, name = ("File", "PreviewImage") if scan.format == "RAF" else ("SigmaRaw", "JpgFromRaw")
        put(group, name, text, text)
    elif width is not None and scan.format != "MRW":
        put("File", "ImageWidth", width, width)
        put("File", "ImageHeight", height, height)
    if "process" in details:
        process = int(details["process"])
        put("File", "EncodingProcess", process, _PROCESSES.get(process, f"Unknown (0x{process:x})"))
        put("File", "BitsPerSample", details["bits_per_sample"], details["bits_per_sample"])
        put("File", "ColorComponents", details["components"], details["components"])
        subsampling = details.get("subsampling")
        if subsampling is not None:
            put("File", "YCbCrSubSampling", subsampling, _SUBSAMPLING.get(str(subsampling), f"Unknown ({subsampling})"))


def _png(scan: Scan, put: Put) -> None:
    details = scan.details
    if scan.width is not None:
        put("PNG", "ImageWidth", scan.width, scan.width)
        put("PNG", "ImageHeight", scan.height, scan.height)
        colour = int(details["color_type"])
        put("PNG", "BitDepth", details["bits_per_sample"], details["bits_per_sample"])
        put("PNG", "ColorType", colour, _PNG_COLOURS.get(colour, f"Unknown ({colour})"))
        for name, key, labels in (
            ("Compression", "compression", ("Deflate/Inflate",)),
            ("Filter", "filter", ("Adaptive",)),
            ("Interlace", "interlace", ("Noninterlaced", "Adam7 Interlace")),
        ):
            number = int(details[key])
            put("PNG", name, number, labels[number] if number < len(labels) else f"Unknown ({number})")
    if "pixel_units" in details:
        unit = int(details["pixel_units"])
        put("PNG-pHYs", "PixelsPerUnitX", details["pixels_per_unit_x"], details["pixels_per_unit_x"])
        put("PNG-pHYs", "PixelsPerUnitY", details["pixels_per_unit_y"], details["pixels_per_unit_y"])
        put("PNG-pHYs", "PixelUnits", unit, ("Unknown", "meters")[unit] if unit < 2 else f"Unknown ({unit})")
    if "modified" in details:
        put("PNG", "ModifyDate", details["modified"], details["modified"])
    if scan.format == "APNG":
        put("PNG", "AnimationFrames", scan.frames, scan.frames)


def block(found: Block, reading: Reading) -> None:
    """A block that is neither Exif, XMP, IPTC nor ICC; what its form does not account for is recorded as not read."""
    kind, data, put = found.kind, found.data, reading.add
    known = len(data)
    if kind == "comment":
        text = text_of(data.rstrip(b"\0"))
        put("File", "Comment", text, text)
    elif kind == "text":
        _text(found, put)
    elif kind == "value":
        _value(found, put)
    elif kind == "samsung":
        _samsung(found, reading)
    elif kind == "preview":
        text = binary(len(data))
        group = next((group for where, group in _PREVIEWS if found.where.startswith(where)), "Photoshop")
        put(group, found.name, text, text)
        reading.previews.append(Preview(group, found.name, data, 0, len(data)))
    elif kind == "jfif" and len(data) >= 7:
        known = _jfif(data, put)
    elif kind == "jfxx" and data[:1] == b"\x10":
        text = binary(len(data) - 1)
        put("JFXX", "ThumbnailImage", text, text)
        reading.previews.append(Preview("JFXX", "ThumbnailImage", data, 1, len(data) - 1))
    elif kind == "adobe" and len(data) >= 7:
        version, first, second, transform = unpack_from(">HHHB", data)
        put("Adobe", "DCTEncodeVersion", version, version)
        for index, flags in enumerate((first, second)):
            names = [
                "Encoded with Blend=1 downsampling" if bit == 15 and not index else f"[{bit}]" for bit in _bits(flags)
            ]
            put("Adobe", f"APP14Flags{index}", flags, ", ".join(names) or "(none)")
        words = ("Unknown (RGB or CMYK)", "YCbCr", "YCCK")
        put("Adobe", "ColorTransform", transform, words[transform] if transform < 3 else f"Unknown ({transform})")
        known = 7
    else:
        known = 0
    offset = found.offset + known if found.offset >= 0 else -1
    reading.miss(kind, found.where, offset, len(data) - known)


def _bits(flags: int) -> list[int]:
    return [bit for bit in range(16) if flags >> bit & 1]


def _jfif(data: bytes, put: Put) -> int:
    """JFIF's header; how many bytes it has with its thumbnail of uncompressed pixels."""
    major, minor, unit, x, y = unpack_from(">BBBHH", data)
    put("JFIF", "JFIFVersion", f"{major} {minor}", f"{major}.{minor:02d}")
    put("JFIF", "ResolutionUnit", unit, _UNITS[unit] if unit < 3 else f"Unknown ({unit})")
    put("JFIF", "XResolution", x, x)
    put("JFIF", "YResolution", y, y)
    if len(data) >= 9 and data[7]:
        put("JFIF", "ThumbnailWidth", data[7], data[7])
    if len(data) >= 9 and data[8]:
        put("JFIF", "ThumbnailHeight", data[8], data[8])
    return min(len(data), 9 + 3 * data[7] * data[8] if len(data) >= 9 else 7)


def _value(found: Block, put: Put) -> None:
    """A value of a box, named `Group:Name`."""
    group, _, name = found.name.partition(":")
    text: str | int = text_of(found.data)
    printed = text
    if name == "GPSCoordinates":
        at = position(str(text))
        if at:
            numbers = [f"{number:.15g}" for number in at if number is not None]
            text, printed = " ".join(numbers), _coordinates(*at)
    put(group, name, text, printed)


def _coordinates(latitude: float, longitude: float, altitude: float | None) -> str:
    south, west = ("S" if latitude < 0 else "N"), ("W" if longitude < 0 else "E")
    text = f"{sexagesimal(latitude)} {south}, {sexagesimal(longitude)} {west}"
    if altitude is None:
        return text
    return f"{text}, {abs(altitude):.15g} m {'Below' if altitude < 0 else 'Above'} Sea Level"


def _samsung(found: Block, reading: Reading) -> None:
    """One of Samsung's records behind a picture, by its row; without one, its name is the tag's."""
    text = text_of(found.data.rstrip(b"\0"))
    m = Members({"RecordName": found.name, "RecordText": text, "size": len(found.data)})
    row = table("Samsung.Trailer").find(int(found.where, 16), m)
    value = number_or_text(text)
    shown = row.show(value, m) if row is not None else None
    if row is not None and shown is not None:
        reading.add(row.group, row.name, *shown)
        if row.grade:
            reading.grades[row.group, row.name] = row.grade
        if isinstance(value, str) and text not in map(str, shown):
            # A text where a number should be: its row shows none of it.
            reading.miss("value", f"{row.group} record {found.where}", found.offset, len(found.data))
    else:
        name = re.sub(r"[^\w-]+", "", found.name).removesuffix("_Data") or "Record"
        reading.add("Samsung", name, text, text)


def _text(found: Block, put: Put) -> None:
    """A named text of a PNG: its name as ExifTool makes one of the keyword."""
    words = found.name.strip()
    if found.name.startswith("Raw profile type "):
        text = binary(len(found.data))
    else:
        encoding = "utf-8" if found.where == "iTXt" else "latin-1"
        text = found.data.decode(encoding, "replace")
    name = _PNG_NAMES.get(words) or re.sub(
        r"[^\w-]+", "", re.sub(r"\s+(.)", lambda m: m[1].upper(), words), flags=re.ASCII
    )
    put("PNG", (name[:1].upper() + name[1:]) or "Text", text, text)
