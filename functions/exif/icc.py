"""ICC profiles: the header's fields and the tags that people read, named and printed as ExifTool does."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from struct import unpack_from
from typing import Any

from functions.exif.values import binary

Put = Callable[[str, str, Any, Any], None]
Keep = Callable[[str, Any, Any], None]
Warn = Callable[[str], None]
MAX_TAGS = 200

_MAKERS = {
    "ADBE": "Adobe Systems Inc.",
    "APPL": "Apple Computer Inc.",
    "appl": "Apple Computer Inc.",
    "CANO": "Canon, Inc. (Canon Development Americas)",
    "EPSO": "Seiko Epson Corporation",
    "GOOG": "Google",
    "HP  ": "Hewlett-Packard",
    "IEC ": "Hewlett-Packard",
    "MNLT": "Minolta",
    "KODA": "Kodak",
    "lcms": "Little CMS",
    "Lino": "Linotronic",
    "MSFT": "Microsoft Corporation",
    "NKON": "Nikon Corporation",
    "none": "none",
    "SGI ": "Silicon Graphics Inc.",
    "SONY": "Sony Corporation",
    "SUNW": "Sun Microsystems Inc.",
    "TGNT": "Taligent Inc.",
}
_PLATFORMS = {
    "APPL": "Apple Computer Inc.",
    "MSFT": "Microsoft Corporation",
    "SGI ": "Silicon Graphics Inc.",
    "SUNW": "Sun Microsystems Inc.",
    "TGNT": "Taligent Inc.",
}
_CLASSES = {
    "scnr": "Input Device Profile",
    "mntr": "Display Device Profile",
    "prtr": "Output Device Profile",
    "link": "DeviceLink Profile",
    "spac": "ColorSpace Conversion Profile",
    "abst": "Abstract Profile",
    "nmcl": "NamedColor Profile",
    "nkpf": "Nikon Input Device Profile (NON-STANDARD!)",
    "cenc": "ColorEncodingSpace Profile",
}
_INTENTS = ("Perceptual", "Media-Relative Colorimetric", "Saturation", "ICC-Absolute Colorimetric")
_TECHNOLOGIES = {
    "fscn": "Film Scanner",
    "dcam": "Digital Camera",
    "rscn": "Reflective Scanner",
    "ijet": "Ink Jet Printer",
    "CRT ": "Cathode Ray Tube Display",
    "PMD ": "Passive Matrix Display",
    "AMD ": "Active Matrix Display",
    "offs": "Offset Lithography",
}
_NAMES = {
    b"A2B0": "AToB0",
    b"A2B1": "AToB1",
    b"A2B2": "AToB2",
    b"B2A0": "BToA0",
    b"B2A1": "BToA1",
    b"B2A2": "BToA2",
    b"bTRC": "BlueTRC",
    b"gTRC": "GreenTRC",
    b"rTRC": "RedTRC",
    b"kTRC": "GrayTRC",
    b"bXYZ": "BlueMatrixColumn",
    b"gXYZ": "GreenMatrixColumn",
    b"rXYZ": "RedMatrixColumn",
    b"bkpt": "MediaBlackPoint",
    b"wtpt": "MediaWhitePoint",
    b"chad": "ChromaticAdaptation",
    b"cprt": "ProfileCopyright",
    b"desc": "ProfileDescription",
    b"dscm": "ProfileDescriptionML",
    b"dmdd": "DeviceModelDesc",
    b"dmnd": "DeviceMfgDesc",
    b"gamt": "Gamut",
    b"lumi": "Luminance",
    b"mmod": "MakeAndModel",
    b"ndin": "NativeDisplayInfo",
    b"targ": "CharTarget",
    b"tech": "Technology",
    b"vcgt": "VideoCardGamma",
    b"vued": "ViewingCondDesc",
}


def read(data: bytes, turn: str, put: Put, warn: Warn) -> None:
    """Read a profile.

    Args:
        data: the whole profile (ICC.1:2022).
        turn: what is put behind its groups: nothing for a file's first profile.
        put: called with group, name, value and print of each field.
        warn: called with each warning.
    """
    if len(data) < 132 or data[36:40] != b"acsp":
        warn("ICC profile: its header is broken")
        return
    _header(data, partial(put, f"ICC-header{turn}"))
    keep = partial(put, f"ICC_Profile{turn}")
    (count,) = unpack_from(">I", data, 128)
    for at in range(132, min(132 + 12 * min(count, MAX_TAGS), len(data) - 11), 12):
        signature, offset, size = unpack_from(">4sII", data, at)
        if offset + size > len(data) or size < 8:
            warn(f"ICC profile: tag {signature.decode('latin-1')!r} lies outside it")
            continue
        name = _NAMES.get(signature)
        if name is None:
            continue
        # Large tables are only counted: no need to copy them.
        if data.startswith(_READABLE, offset):
            _tag(name, data[offset : offset + size], keep)
        else:
            text = binary(size)
            keep(name, text, text)


def _fixed(data: bytes, at: int, count: int) -> str:
    """Numbers of 16 bits before and 16 after the point, to five places."""
    return " ".join([_shortest(value) for value in unpack_from(f">{count}i", data, at)])


def _shortest(value: int) -> str:
    whole, rest = divmod(value, 65536)
    return f"{round(value / 65536, 5):.15g}" if rest else str(whole)


def _header(data: bytes, field: Keep) -> None:
    def four(at: int) -> str:
        return data[at : at + 4].decode("latin-1")

    def maker(at: int) -> str:
        signature = four(at)
        return "" if not signature.strip("\0") else _MAKERS.get(signature, f"Unknown ({signature.rstrip()})")

    major, minor = data[8], data[9]
    version = f"{major}.{minor >> 4}.{minor & 15}"
    year, *rest = unpack_from(">6H", data, 24)
    date = f"{year:04d}:{rest[0]:02d}:{rest[1]:02d} {rest[2]:02d}:{rest[3]:02d}:{rest[4]:02d}"
    (flags,) = unpack_from(">I", data, 44)
    (attributes,) = unpack_from(">Q", data, 56)
    (intent,) = unpack_from(">I", data, 64)
    identifier = data[84:100]
    field("ProfileCMMType", four(4), maker(4))
    field("ProfileVersion", major << 8 | minor, version)
    field("ProfileClass", four(12), _CLASSES.get(four(12), f"Unknown ({four(12)})"))
    field("ColorSpaceData", four(16), four(16))
    field("ProfileConnectionSpace", four(20), four(20))
    field("ProfileDateTime", date, date)
    field("ProfileFileSignature", four(36), four(36))
    platform = four(40)
    shown = _PLATFORMS.get(platform, "" if not platform.strip("\0") else f"Unknown ({platform})")
    field("PrimaryPlatform", platform, shown)
    embedded = "Embedded" if flags & 1 else "Not Embedded"
    field("CMMFlags", flags, f"{embedded}, {'Not Independent' if flags & 2 else 'Independent'}")
    field("DeviceManufacturer", four(48), maker(48))
    field("DeviceModel", four(52), four(52).strip("\0"))
    words = ("Transparency", "Matte", "Negative", "B&W"), ("Reflective", "Glossy", "Positive", "Color")
    shown = ", ".join(words[0 if attributes >> bit & 1 else 1][bit] for bit in range(4))
    field("DeviceAttributes", f"{attributes >> 32} {attributes & 0xFFFFFFFF}", shown)
    field("RenderingIntent", intent, _INTENTS[intent] if intent < 4 else f"Unknown ({intent})")
    field("ConnectionSpaceIlluminant", _fixed(data, 68, 3), _fixed(data, 68, 3))
    field("ProfileCreator", four(80), maker(80))
    field("ProfileID", " ".join(map(str, identifier)), identifier.hex() if any(identifier) else 0)


# Types of tags that say something to people.
_READABLE = (b"text", b"desc", b"mluc", b"XYZ ", b"sf32", b"sig ")


def _tag(name: str, body: bytes, keep: Keep) -> None:
    kind = body[:4]
    if kind == b"text" and len(body) < 65536:
        value: Any = body[8:].split(b"\0")[0].decode("latin-1")
    elif kind == b"desc" and len(body) >= 12:
        (size,) = unpack_from(">I", body, 8)
        value = body[12 : 12 + size].split(b"\0")[0].decode("latin-1")
    elif kind == b"mluc":
        _languages(name, body, keep)
        return
    elif kind == b"XYZ " and len(body) >= 20:
        value = _fixed(body, 8, 3)
    elif kind == b"sf32" and len(body) >= 12:
        value = _fixed(body, 8, min((len(body) - 8) // 4, 64))
    elif kind == b"sig " and len(body) >= 12:
        value = body[8:12].decode("latin-1")
        keep(name, value, _TECHNOLOGIES.get(value, f"Unknown ({value})"))
        return
    else:
        value = binary(len(body))
    keep(name, value, value)


def _languages(name: str, body: bytes, keep: Keep) -> None:
    """Texts in UTF-16, each with its language and country; the English one without a suffix."""
    if len(body) < 16:
        return
    count, size = unpack_from(">II", body, 8)
    if size < 12:
        return
    for at in range(16, min(16 + size * min(count, 100), len(body) - 11), size):
        language, length, offset = unpack_from(">4sII", body, at)
        text = body[offset : offset + length].decode("utf-16-be", "replace").split("\0")[0]
        code = language.decode("latin-1")
        english = code == "enUS"
        suffix = "" if english or count == 1 else f"-{code[:2]}-{code[2:]}"
        keep(name + suffix, text, text)
