"""CBOR (RFC 8949), as content credentials are written in it.

A reader of our own, because a library resolves tags: shared references make cyclic values, big numbers and nested
arrays of a crafted file take memory and stack that no option of it limits.
"""

from __future__ import annotations

from struct import error, unpack_from
from typing import Any

MAX_ITEMS = 50_000
MAX_DEPTH = 24
_SIZES = {24: ">B", 25: ">H", 26: ">I", 27: ">Q"}
_FLOATS = {25: ">e", 26: ">f", 27: ">d"}
_SIMPLE = {20: False, 21: True, 22: None, 23: None}
_BREAK = object()


class CborError(ValueError):
    """Bytes that are not CBOR, or more of it than is read."""


def decode(data: bytes) -> list[Any]:
    """The values of a sequence: numbers, text, bytes, true, false, None, lists and dictionaries with text keys.

    Args:
        data: of the sequence; a value 0 between others is padding, after which nothing is read.

    Raises:
        CborError: where it is broken, or has more items or levels than are read.
    """
    reader, found = _Reader(data), []
    while reader.at < len(data):
        value = reader.value(0)
        if value is _BREAK:
            raise CborError("a break outside an array")
        if value == 0 and value is not False:
            break
        found.append(value)
    return found


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.left = data, 0, MAX_ITEMS

    def value(self, depth: int) -> Any:
        """The value at the current place; `_BREAK` for the end of one of indefinite length."""
        self.left -= 1
        if self.left < 0 or depth > MAX_DEPTH:
            raise CborError(f"more than {MAX_ITEMS} items or {MAX_DEPTH} levels")
        if self.at >= len(self.data):
            raise CborError("it ends early")
        first = self.data[self.at]
        major, short = first >> 5, first & 31
        self.at += 1
        if major == 7:
            return self._simple(short)
        number = self._number(short)
        if major < 2:
            if number is None:
                raise CborError("a number without a length")
            return -1 - number if major else number
        if major < 4:
            return self._string(major, number, depth)
        if major == 4:
            return self._array(number, depth)
        if major == 5:
            flat = self._array(None if number is None else 2 * number, depth)
            return {str(key): item for key, item in zip(flat[::2], flat[1::2], strict=False)}
        return self._tagged(number, depth)

    def _number(self, short: int) -> int | None:
        if short < 24:
            return short
        if short == 31:
            return None
        return int(self._unpack(_SIZES.get(short, "")))

    def _unpack(self, form: str) -> Any:
        if not form:
            raise CborError("a length that is not defined")
        try:
            (found,) = unpack_from(form, self.data, self.at)
        except error:
            raise CborError("it ends inside a number") from None
        self.at += {"B": 1, "H": 2, "I": 4, "Q": 8, "e": 2, "f": 4, "d": 8}[form[1]]
        return found

    def _string(self, major: int, size: int | None, depth: int) -> bytes | str:
        if size is None:
            parts = self._array(None, depth)
            return b"".join(map(bytes, parts)) if major == 2 else "".join(map(str, parts))
        if self.at + size > len(self.data):
            raise CborError("it ends inside a text")
        found = self.data[self.at : self.at + size]
        self.at += size
        return found if major == 2 else found.decode("utf-8", "replace")

    def _array(self, count: int | None, depth: int) -> list[Any]:
        found: list[Any] = []
        while count is None or len(found) < count:
            item = self.value(depth + 1)
            if item is _BREAK:
                if count is not None:
                    raise CborError("a break inside an array of known length")
                break
            found.append(item)
        return found

    def _tagged(self, number: int | None, depth: int) -> Any:
        """What a tag is put on; only bignums are converted, dates stay as they are written."""
        found = self.value(depth + 1)
        if found is _BREAK:
            raise CborError("a break after a tag")
        if number in (2, 3) and isinstance(found, bytes) and len(found) <= 64:
            big = int.from_bytes(found, "big")
            return big if number == 2 else -1 - big
        return found

    def _simple(self, short: int) -> Any:
        if short == 31:
            return _BREAK
        if short in _FLOATS:
            return self._unpack(_FLOATS[short])
        if short == 24:
            self.at += 1
        return _SIMPLE.get(short)
