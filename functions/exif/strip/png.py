"""PNG and APNG: chunks that make the picture stay, text and the like goes (PNG 3, 11)."""

from __future__ import annotations

import binascii
import zlib
from struct import pack, unpack_from

from functions.exif.strip.edit import Edit
from functions.exif.strip.layout import Broken

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Ancillary chunks that decide how the picture looks or moves.
PICTURE = frozenset(
    (
        *(b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"bKGD", b"hIST", b"pHYs", b"sPLT"),
        *(b"acTL", b"fcTL", b"fdAT", b"cICP", b"mDCV", b"mDCv", b"cLLI", b"cLLi"),
    )
)
TEXT = frozenset((b"tEXt", b"zTXt", b"iTXt"))
XMP_KEYWORD = "XML:com.adobe.xmp"
RAW_PROFILE = "raw profile type "
MAX_CHUNKS = 100_000
MAX_INFLATED = 16 * 2**20


def clean(data: bytes, edit: Edit) -> bytes:
    """A PNG without what `edit` removes.

    Raises:
        Broken: it ends before the picture's data.
    """
    parts, position, end, pictures = [SIGNATURE], 8, len(data), 0
    for _ in range(MAX_CHUNKS):
        if position + 12 > end:
            break
        length, kind = unpack_from(">I4s", data, position)
        stop = position + 12 + length
        if stop > end:
            if kind in (b"IDAT", b"fdAT"):
                parts.append(data[position:])  # a picture cut off is copied as far as it goes
                pictures += 1
                position = end
            break
        body = data[position + 8 : stop - 4]
        pictures += kind == b"IDAT"
        if kind in PICTURE or kind[:1].isupper():
            parts.append(data[position:stop])
        else:
            result = _ancillary(kind, body, edit)
            if result == body:
                parts.append(data[position:stop])
            elif result is not None:
                parts.append(pack(">I", len(result)) + kind + result + pack(">I", binascii.crc32(kind + result)))
        position = stop
        if kind == b"IEND":
            break
    else:
        raise Broken(f"more than {MAX_CHUNKS:,} chunks")
    if not pictures:
        raise Broken("it ends before its picture")
    edit.trailer("after IEND", end - position, "bytes after the picture")
    return b"".join(parts)


def _ancillary(kind: bytes, body: bytes, edit: Edit) -> bytes | None:
    """What replaces a chunk's body; None where it goes."""
    where = kind.decode("latin-1")
    if kind in (b"eXIf", b"exIf"):
        skipped = 6 if body.startswith(b"Exif\0\0") else 0
        result = edit.exif(body[skipped:], where)
        return None if result is None else body[:skipped] + result
    if kind == b"iCCP":
        return _profile(body, edit)
    if kind in TEXT:
        return _text(kind, body, edit)
    if kind == b"tIME" and "date" in edit.keep:
        return body
    if kind == b"zxIf" and edit.location_only:
        edit.gone("exif", where, len(body), "compressed Exif of a withdrawn proposal, which may state a location")
        return None
    kinds = {b"tIME": "date", b"caBX": "c2pa", b"iDOT": "app"}
    names = {b"tIME": "time of the last change", b"caBX": "content credentials (C2PA)"}
    return body if edit.other(kinds.get(kind, "chunk"), where, len(body), names.get(kind, f"chunk {where!r}")) else None


def _profile(body: bytes, edit: Edit) -> bytes | None:
    name, _, rest = body.partition(b"\0")
    inflated = inflate(rest[1:])
    if inflated is None:
        # Readers ignore a broken profile as well: it adds nothing to the picture.
        return body if edit.other("icc", "iCCP", len(body), "broken colour profile") else None
    result = edit.icc(inflated, "iCCP")
    if result is None:
        return None
    return body if result == inflated else name + b"\0\0" + zlib.compress(result, 9)


def inflate(data: bytes) -> bytes | None:
    """Decompressed zlib data; None where they are broken or larger than any real block."""
    engine = zlib.decompressobj()
    try:
        result = engine.decompress(data, MAX_INFLATED)
    except zlib.error:
        return None
    return result if engine.eof else None


def _text(kind: bytes, body: bytes, edit: Edit) -> bytes | None:
    """A text chunk: a packet, a raw profile in hexadecimal, or just text."""
    where = kind.decode("ascii")
    raw, _, rest = body.partition(b"\0")
    keyword = raw.decode("latin-1")
    prefix, packed = raw + b"\0", False
    if kind == b"zTXt":
        prefix, rest, packed = prefix + rest[:1], rest[1:], True
    elif kind == b"iTXt":
        flags, fields = rest[:2], rest[2:].split(b"\0", 2)
        if len(fields) < 3:
            return body if edit.text(keyword, body, where) else None
        prefix += flags + fields[0] + b"\0" + fields[1] + b"\0"
        rest, packed = fields[2], flags[:1] == b"\1"
    text = inflate(rest) if packed else rest
    special = keyword == XMP_KEYWORD or keyword.lower().startswith(RAW_PROFILE)
    if not special:
        return body if edit.text(keyword, text or rest, where) else None
    if text is None:
        edit.gone("text", where, len(body), f"broken text {keyword[:40]!r}")
        return None
    result = edit.xmp(text, where) if keyword == XMP_KEYWORD else _raw_profile(keyword, text, edit, where)
    if result is None or result == text:
        return None if result is None else body
    return prefix + (zlib.compress(result, 9) if packed else result)


def _raw_profile(keyword: str, text: bytes, edit: Edit, where: str) -> bytes | None:
    r"""A profile as ImageMagick writes it: `\nname\n   length\nhexadecimal, in lines of 72`."""
    fields = text.strip(b"\n").split(b"\n", 2)
    try:
        profile = binascii.unhexlify(fields[2].translate(None, b" \r\n\t"))
    except (IndexError, binascii.Error):
        edit.gone("text", where, len(text), f"broken {keyword[:40]!r}")
        return None
    name = keyword[len(RAW_PROFILE) :].lower()
    head, result = b"", None
    if name in ("exif", "app1") and (profile.startswith(b"Exif\0\0") or profile[:2] in (b"II", b"MM")):
        head = profile[:6] if profile.startswith(b"Exif\0\0") else b""
        result = edit.exif(profile[len(head) :], f"{where} {name}")
    elif name in ("xmp", "app1") and b"<" in profile[:256]:
        head = profile[: profile.find(b"<")]
        result = edit.xmp(profile[len(head) :], f"{where} {name}")
    elif name in ("icc", "icm"):
        result = edit.icc(profile, f"{where} {name}")
    elif name in ("iptc", "8bim"):
        result = (edit.resources if profile.startswith(b"8BIM") else edit.iptc)(profile, f"{where} {name}")
    elif edit.other("text", where, len(text), f"text {keyword[:40]!r}"):
        result = profile
    if result is None or head + result == profile:
        return None if result is None else text
    digits = binascii.hexlify(head + result)
    lines = b"\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    return b"\n%s\n%8d\n%s\n" % (fields[0], len(head + result), lines)
