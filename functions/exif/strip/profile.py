"""ICC profiles: names that identify somebody blanked in their text, the colours untouched (ICC.1:2022)."""

from __future__ import annotations

from collections.abc import Iterable
from struct import unpack_from

# Description, copyright, device manufacturer and model: text that no conversion of colours reads.
TEXT_TAGS = frozenset((b"desc", b"cprt", b"dmnd", b"dmdd", b"vued", b"dscm"))
MAX_TAGS = 256


def is_whole(data: bytes) -> bool:
    """Whether a profile is as long as it says: colour engines refuse a shorter one."""
    return len(data) >= 132 and int.from_bytes(data[:4], "big") <= len(data)


def anonymous(data: bytes, secrets: Iterable[bytes]) -> bytes:
    """The profile with each secret blanked in its text; the same length, the same colours.

    Args:
        data: the profile.
        secrets: ASCII or UTF-8 texts, looked for in any case, as they are and as UTF-16.
    """
    looked_for = [form for secret in secrets for form in (secret, _utf16(secret)) if form]
    if len(data) < 132 or not looked_for or not any(form.lower() in data.lower() for form in looked_for):
        return data
    out = bytearray(data)
    (count,) = unpack_from(">I", data, 128)
    for index in range(min(count, MAX_TAGS, (len(data) - 132) // 12)):
        signature, start, size = unpack_from(">4sII", data, 132 + 12 * index)
        if signature in TEXT_TAGS and start >= 132:
            for form in looked_for:
                _blank(out, form, start + 8, min(start + size, len(data)))
    if out != data:
        # Bytes 84 to 99 are a digest of the profile; zero says that there is none.
        out[84:100] = bytes(16)
    return bytes(out)


def _utf16(secret: bytes) -> bytes:
    try:
        return secret.decode().encode("utf-16-be")
    except UnicodeDecodeError:
        return b""


def _blank(out: bytearray, form: bytes, start: int, end: int) -> None:
    wide = form[:1] == b"\0"
    lower, folded = bytes(out[start:end]).lower(), form.lower()
    at = lower.find(folded)
    while at >= 0:
        out[start + at : start + at + len(form)] = b"\0 " * (len(form) // 2) if wide else b" " * len(form)
        at = lower.find(folded, at + len(form))
