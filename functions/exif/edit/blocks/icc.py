"""Colour profiles without what identifies a display or a person; what conversions of colours read is unchanged.

A profile keeps its length, and every tag that colour engines read keeps its bytes and place (ICC.1:2022). Tags that
describe the device go from the table of tags, their data become zero, and descriptions of an unknown kind are blanked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path
from struct import pack, unpack_from

HEADER, ENTRY = 132, 12
MAX_TAGS = 256
MAX_PASSES = 4
# What colour engines read (ICC.1:2022, 9.2, ICC.2 and the older ICC.1:2001).
COLOUR = frozenset(
    (
        *(b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC", b"kTRC", b"wtpt", b"bkpt", b"chad", b"lumi", b"chrm"),
        *(b"A2B0", b"A2B1", b"A2B2", b"A2B3", b"B2A0", b"B2A1", b"B2A2", b"B2A3", b"A2M0", b"M2A0"),
        *(b"D2B0", b"D2B1", b"D2B2", b"D2B3", b"B2D0", b"B2D1", b"B2D2", b"B2D3", b"gamt", b"pre0", b"pre1", b"pre2"),
        *(b"gbd0", b"gbd1", b"gbd2", b"gbd3", b"rig0", b"rig2", b"cicp", b"meas", b"view", b"tech", b"ciis"),
        *(b"clro", b"clrt", b"clot", b"ncl2", b"ncol", b"bfd ", b"scrn", b"aabg", b"aarg", b"aagg"),
        *(b"hdgm", b"HDR ", b"dtim"),
    )
)
# Description, copyright, device manufacturer and model: text that no conversion of colours reads.
TEXT = frozenset((b"desc", b"cprt", b"dmnd", b"dmdd", b"vued", b"dscm", b"scrd"))
TEXT_TYPES = frozenset((b"desc", b"text", b"mluc", b"ascii"))
_WORDS = re.compile(r"[^\W_]+")
_STANDARDS = re.compile(r"\d{1,5}|(s?rgb|iec|iso|fogra|rec|bt|gamma|d|v|gracol|swop|smpte|p|l)\d{1,5}")
# Names that writers of PNG files give to any profile.
NAMES = frozenset(
    ("", "icc", "icc profile", "photoshop icc profile", "embedded", "embedded profile", "profile", "unknown")
)
NEUTRAL_NAME = b"icc"
# Profiles that a library makes on the spot carry the time of their making.
LIBRARIES = (b"lcms", b"argl")


def is_whole(data: bytes) -> bool:
    """Whether a profile is as long as it states: colour engines refuse a shorter one."""
    return len(data) >= HEADER and HEADER <= int.from_bytes(data[:4], "big") <= len(data)


@cache
def vocabulary() -> frozenset[str]:
    """Words that many profiles share: a text that has others may name a person or a display."""
    lines = Path(__file__).with_name("icc_words.txt").read_text(encoding="ascii").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


@lru_cache(maxsize=512)
def is_common(text: str) -> bool:
    """Whether a description, notice or name has only words that many profiles share."""
    known, words = vocabulary(), _WORDS.findall(text.lower())
    return all(word in known or _STANDARDS.fullmatch(word) for word in words)


def is_common_name(name: str) -> bool:
    """Whether a PNG's name of a profile tells nothing of its owner."""
    return name.strip().lower() in NAMES or is_common(name)


def anonymous(data: bytes, secrets: Iterable[bytes]) -> bytes | None:
    """Return the profile without what identifies a device or a person: the same length, the same colours.

    Args:
        data: the profile; a whole one.
        secrets: ASCII or UTF-8 texts that are blanked in descriptions, in any case, as they are and as UTF-16.

    Returns:
        None where its tags overlap so that this has no end.
    """
    lower = data.lower()
    known = tuple(secret for secret in secrets if _occurs(secret, lower))
    return _remembered(data, known) if len(data) <= MAX_REMEMBERED else _settled(data, known)


def _occurs(secret: bytes, lower: bytes) -> bool:
    wide = _utf16(secret).lower()
    return secret.lower() in lower or (bool(wide) and wide in lower)


def _settled(data: bytes, secrets: tuple[bytes, ...]) -> bytes | None:
    for _ in range(MAX_PASSES):
        result = _once(data, secrets)
        if result == data:
            return result
        data = result
    return None


# Most files have a copy of one of a few profiles; bytes of the longest that is remembered.
MAX_REMEMBERED = 8192
_remembered = lru_cache(maxsize=64)(_settled)


def _once(data: bytes, secrets: tuple[bytes, ...]) -> bytes:
    tags = _tags(data)
    size = int.from_bytes(data[:4], "big")
    out = bytearray(data)
    kept = [tag for tag in tags if tag[0] in COLOUR or (tag[0] in TEXT and _is_text(data, tag))]
    if len(kept) < len(tags):
        table = b"".join(pack(">4sII", *tag) for tag in kept)
        out[128 : HEADER + ENTRY * len(tags)] = pack(">I", len(kept)) + table.ljust(ENTRY * len(tags), b"\0")
    _clear_gaps(out, kept, size)
    for tag in kept:
        if tag[0] in TEXT:
            _anonymise(out, tag, secrets)
    if out != data:
        # Names of the device, the times, and a digest of the profile, for which zero means none.
        out[24:36], out[48:64], out[84:100] = bytes(12), bytes(16), bytes(16)
    elif out[4:8] in LIBRARIES or out[80:84] in LIBRARIES:
        out[24:36] = bytes(12)
        out[84:100] = bytes(16)
    return bytes(out)


def _tags(data: bytes) -> list[tuple[bytes, int, int]]:
    (count,) = unpack_from(">I", data, 128)
    return [
        unpack_from(">4sII", data, HEADER + ENTRY * index)
        for index in range(min(count, MAX_TAGS, (len(data) - HEADER) // ENTRY))
    ]


def _is_text(data: bytes, tag: tuple[bytes, int, int]) -> bool:
    _, start, size = tag
    return start >= HEADER and start + size <= len(data) and data[start : start + 4] in TEXT_TYPES


def _clear_gaps(out: bytearray, kept: list[tuple[bytes, int, int]], size: int) -> None:
    """Zero what belongs to no tag: data of removed tags, padding, and bytes behind the profile's stated end."""
    at = HEADER + ENTRY * len(kept)
    for start, end in sorted((start, start + length) for _, start, length in kept if start >= HEADER):
        if start > at:
            out[at:start] = bytes(len(out[at:start]))
        at = max(at, min(end, size))
    if at < len(out):
        out[at:] = bytes(len(out) - at)


def _anonymise(out: bytearray, tag: tuple[bytes, int, int], secrets: Iterable[bytes]) -> None:
    """Blank the texts of a tag that may name a person or a device, and the secrets in the others."""
    _, start, size = tag
    for low, high, wide in _texts(out, start, min(start + size, len(out))):
        text = out[low:high].decode("utf-16-be" if wide else "latin-1", "replace").strip("\0 ")
        if not is_common(text):
            out[low:high] = (b"\0 " if wide else b" ") * ((high - low) // (2 if wide else 1))
            continue
        for secret in secrets:
            _blank(out, _utf16(secret) if wide else secret, low, high)


def _texts(out: bytearray, start: int, end: int) -> list[tuple[int, int, bool]]:
    """Places of the texts of a tag, and whether each is in UTF-16."""
    kind = bytes(out[start : start + 4])
    if kind == b"text":
        return [(start + 8, _end(out, start + 8, end), False)]
    if kind == b"desc" and start + 12 <= end:
        (count,) = unpack_from(">I", out, start + 8)
        first = min(start + 12 + count, end)
        found = [(start + 12, _end(out, start + 12, first), False)]
        if first + 8 <= end:
            (wide,) = unpack_from(">I", out, first + 4)
            stop = min(first + 8 + 2 * wide, end)
            found.append((first + 8, first + 8 + (stop - first - 8) // 2 * 2, True))
            if stop + 3 <= end:
                found.append((stop + 3, min(stop + 3 + out[stop + 2], end), False))
        return found
    if kind == b"mluc" and start + 16 <= end:
        count, width = unpack_from(">II", out, start + 8)
        found = []
        for index in range(min(count, 256)):
            at = start + 16 + index * max(width, 12)
            if at + 12 > end:
                break
            length, offset = unpack_from(">II", out, at + 4)
            if offset >= 16 and start + offset + length <= end:
                found.append((start + offset, start + offset + length // 2 * 2, True))
        return found
    return [(start + 8, end, False)]


def _end(out: bytearray, start: int, end: int) -> int:
    """The end of a text without its zeros."""
    return start + len(bytes(out[start:end]).rstrip(b"\0"))


def _utf16(secret: bytes) -> bytes:
    try:
        return secret.decode().encode("utf-16-be")
    except UnicodeDecodeError:
        return b""


def _blank(out: bytearray, form: bytes, start: int, end: int) -> None:
    wide = form[:1] == b"\0"
    lower, folded = bytes(out[start:end]).lower(), form.lower()
    at = lower.find(folded) if folded else -1
    while at >= 0:
        out[start + at : start + at + len(form)] = b"\0 " * (len(form) // 2) if wide else b" " * len(form)
        at = lower.find(folded, at + len(form))
