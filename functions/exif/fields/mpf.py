"""The index of a Multi-Picture file in ExifTool's MPF groups (CIPA DC-007): each picture's type, place and size."""

from __future__ import annotations

from collections.abc import Callable
from struct import unpack_from

from functions.exif.blocks.values import binary

Put = Callable[[str, str, object, object], None]
VERSION, NUMBER, LIST, ORIENTATION = 0xB000, 0xB001, 0xB002, 0xB201
MAX_PICTURES = 256
NAMES = {
    0xB000: "MPFVersion",
    0xB001: "NumberOfImages",
    0xB003: "ImageUIDList",
    0xB004: "TotalFrames",
    0xB101: "MPIndividualNum",
    0xB201: "PanOrientation",
    0xB202: "PanOverlapH",
    0xB203: "PanOverlapV",
    0xB204: "BaseViewpointNum",
    0xB205: "ConvergenceAngle",
    0xB206: "BaselineLength",
    0xB207: "VerticalDivergence",
    0xB208: "AxisDistanceX",
    0xB209: "AxisDistanceY",
    0xB20A: "AxisDistanceZ",
    0xB20B: "YawAngle",
    0xB20C: "PitchAngle",
    0xB20D: "RollAngle",
}
TYPES = {
    0x000000: "Undefined",
    0x010001: "Large Thumbnail (VGA equivalent)",
    0x010002: "Large Thumbnail (full HD equivalent)",
    0x010003: "Large Thumbnail (4K equivalent)",
    0x010004: "Large Thumbnail (8K equivalent)",
    0x010005: "Large Thumbnail (16K equivalent)",
    0x020001: "Multi-frame Panorama",
    0x020002: "Multi-frame Disparity",
    0x020003: "Multi-angle",
    0x030000: "Baseline MP Primary Image",
    0x040000: "Original Preservation Image",
    0x050000: "Gain Map Image",
}
_FLAGS = {2: "Representative image", 3: "Dependent child image", 4: "Dependent parent image"}


def pictures(body: bytes, order: str, base: int, data_end: int, put: Put) -> None:
    """Add the rows of each picture.

    Args:
        body: the list's entries, of 16 bytes each.
        order: `<` or `>`.
        base: what the pictures' offsets are relative to, in the file.
        data_end: bytes of the file; 0 where that is not known.
        put: called with group, name, value and print of each row.
    """
    preview = False
    for index, at in enumerate(range(0, len(body) - 15, 16), 1):
        if index > MAX_PICTURES:
            return
        attribute, size, offset, first, second = unpack_from(order + "IIIHH", body, at)
        group = f"MPImage{index}"
        start = base + offset if offset else 0
        flags, form, kind = attribute >> 27, attribute >> 24 & 7, attribute & 0xFFFFFF
        names = [_FLAGS.get(bit, f"[{bit}]") for bit in range(5) if flags >> bit & 1]
        put(group, "MPImageFlags", flags, ", ".join(names) or "(none)")
        put(group, "MPImageFormat", form, "JPEG" if not form else f"Unknown ({form})")
        put(group, "MPImageType", kind, TYPES.get(kind, f"Unknown (0x{kind:x})"))
        put(group, "MPImageLength", size, size)
        put(group, "MPImageStart", start, start)
        put(group, "DependentImage1EntryNumber", first, first)
        put(group, "DependentImage2EntryNumber", second, second)
        if offset and size and start + size <= data_end:
            thumbnail = kind >> 16 == 1 and not preview
            preview = preview or thumbnail
            put(group, "PreviewImage" if thumbnail else f"MPImage{index}", binary(size), binary(size))
