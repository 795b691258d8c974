"""Printers of bytes, bits and single characters: what is packed into a value, and encodings of text.

Bytes come as Latin-1 text, as to all printers.
"""

from __future__ import annotations

import re
import struct
from typing import Any

from functions.exif.blocks.values import Value
from functions.exif.blocks.values import binary as _binary
from functions.exif.blocks.values import number_of as _number
from functions.exif.printing.functions import text, words

_CODE = re.compile(r"([a-zA-Z])(\d+|\*)?")
_WORDS = {"C": "B", "c": "b", "v": "<H", "n": ">H", "V": "<I", "N": ">I"}


def code(v: Value) -> int:
    """The number of a text's first character."""
    shown = text(v)
    return ord(shown[0]) if shown else 0


def character(v: Value) -> str:
    """The character of a number."""
    return chr(int(_number(v)) & 0xFF)


def from_hex(v: Value) -> int:
    """Hexadecimal text as a number."""
    return int(text(v), 16)


def translate(old: str, new: str, v: Value, flags: str = "") -> str:
    """Text with characters exchanged, or removed with `d`; `c` means all but those of `old`."""
    listed = _spread(old)
    shown = text(v)
    if "c" in flags:
        return "".join(char for char in shown if char in listed)
    if "d" in flags and not new:
        return shown.translate({ord(char): None for char in listed})
    targets = _spread(new) or listed
    targets += targets[-1:] * (len(listed) - len(targets))
    return shown.translate({ord(a): b for a, b in zip(listed, targets, strict=False)})


def _spread(listed: str) -> str:
    return re.sub(r"(?s)(.)-(.)", lambda m: "".join(map(chr, range(ord(m[1]), ord(m[2]) + 1))), listed)


def bit_numbers(v: Value, names: dict[int, str] | None = None, size: int = 32) -> str:
    """The numbers of the set bits, or their names, in words of the given size."""
    lit = [size * index + bit for index, item in enumerate(words(v)) for bit in range(size) if int(item) >> bit & 1]
    if names is None:
        return ",".join(map(str, lit)) or "(none)"
    return ", ".join(names.get(bit, f"[{bit}]") for bit in lit) or "(none)"


def unpack(template: str, v: Value) -> list[Any]:
    """Numbers or hexadecimal text out of bytes, by a template such as `C*`, `vC5`, `H2H2`, `x4N`."""
    data = v if isinstance(v, bytes) else text(v).encode("latin-1", "replace")
    found: list[Any] = []
    at = 0
    for kind, count in _CODE.findall(template):
        if kind == "x":
            at += int(count or 1)
        elif kind == "H":
            size = len(data) - at if count == "*" else (int(count or 1) + 1) // 2
            found.append(data[at : at + size].hex())
            at += size
        elif kind in "aA":
            size = len(data) - at if count == "*" else int(count or 1)
            found.append(data[at : at + size].decode("latin-1"))
            at += size
        else:
            at = _numbers(data, at, _WORDS[kind], count, found)
    return found


def _numbers(data: bytes, at: int, kind: str, count: str, found: list[Any]) -> int:
    size = struct.calcsize(kind)
    room = (len(data) - at) // size
    for _ in range(min(room, room if count == "*" else int(count or 1))):
        found.append(struct.unpack_from(kind, data, at)[0])
        at += size
    return at


def pairs_of_hex(v: Value, count: int | None = None) -> str:
    """Bytes as pairs of hexadecimal digits, a space between."""
    data = text(v).encode("latin-1", "replace")
    return data[:count].hex(" ")


def hexadecimal(v: Value) -> str:
    """Bytes as hexadecimal digits."""
    return text(v).encode("latin-1", "replace").hex()


def numbers_of(v: Value, kind: str = "C") -> str:
    """Bytes as their numbers, by a letter of `unpack`."""
    return " ".join(map(str, unpack(f"{kind}*", v)))


def from_numbers(v: Value) -> str:
    """Numbers between 0 and 255 as bytes."""
    return bytes(int(item) & 0xFF for item in words(v)).decode("latin-1")


def big(v: Value, kind: str = "N") -> int | None:
    """The first number of bytes, by a letter of `unpack`."""
    found = unpack(kind, v)
    return found[0] if found else None


def binary(v: Value) -> str:
    """The placeholder of bytes that are not text."""
    shown = text(v)
    return shown if shown.startswith("(Binary data") else _binary(len(shown))


def image(v: Value) -> str | None:
    """A JPEG by its size; None for other bytes. Some cameras write its first byte wrong."""
    shown = text(v)
    if shown.startswith("(Binary data"):
        return shown
    return _binary(len(shown)) if shown.startswith("\xff\xd8\xff") or shown[1:4] == "\xd8\xff\xdb" else None


def decode(v: Value, encoding: str = "UTF8", order: str = "MM") -> str:
    """Text in an encoding of its own, as the UTF-8 bytes of it."""
    data = text(v).encode("latin-1", "replace")
    codec = {"UTF8": "utf-8", "UTF16": "utf-16-be" if order == "MM" else "utf-16-le", "Latin": "cp1252"}
    return data.decode(codec.get(encoding, "utf-8"), "replace").split("\0", 1)[0].encode().decode("latin-1")
