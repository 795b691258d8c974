"""Labels of values: those that a cell lists or names, of the tables' files or of the lists of lenses."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from functions.exif.blocks.values import Value, whole
from functions.exif.tags.files import LABELS, texts

_BAR = re.compile(r"(?<!\\)\|")
_WHOLE = re.compile(r"-?(0|[1-9]\d*)")


class Labels:
    """Names of a tag's values, of its bits, or both."""

    __slots__ = ("bits", "exact", "word")

    def __init__(self, exact: dict[Any, str], bits: dict[int, str], word: int = 32) -> None:
        self.exact = exact
        self.bits = bits
        self.word = word

    def get(self, value: Value) -> str | None:
        """The label of a value; None for a value without one."""
        found = self.exact.get(value)
        if found is None:
            if type(value) is str:
                found = self.exact.get(whole(value.removeprefix("-")) if value[:1] != "-" else _negative(value))
            elif type(value) is float:
                found = self.exact.get(str(value))
        if found is None and self.bits:
            return self._decoded(value)
        return found

    def _decoded(self, value: Value) -> str | None:
        names: list[str] = []
        for index, number in enumerate(str(value).split()):
            if not _WHOLE.fullmatch(number):
                return None
            bits = int(number) & (1 << self.word) - 1
            while bits:
                bit = (bits & -bits).bit_length() - 1 + self.word * index
                names.append(self.bits.get(bit, f"[{bit}]"))
                bits &= bits - 1
        return ", ".join(names) or "(none)"


def _negative(text: str) -> int | None:
    found = whole(text[1:])
    return None if found is None else -found


@lru_cache(maxsize=4096)
def labels_of(file: str, cell: str) -> Labels:
    """The labels that a cell of a file's table lists or names."""
    exact: dict[Any, str] = {}
    bits: dict[int, str] = {}
    word = 32
    for item in _BAR.split(cell):
        if item.startswith("@"):
            named = label_set(file, item[1:])
            exact.update(named.exact)
            bits.update(named.bits)
            continue
        key, _, text = item.partition("=")
        text = text.replace("\\|", "|")
        if key.startswith("&"):
            if key == "&word":
                word = int(text)
            else:
                bits[int(key[1:])] = text
        else:
            exact[_key(key)] = text
    return Labels(exact, bits, word)


def label_set(file: str, name: str) -> Labels:
    """A named set of labels: of the file itself, of another as `Canon.canonModelID`, or of lenses as `lens:canon`."""
    if name.startswith("lens:"):
        from functions.exif.lenses import numbers

        shape = _LENS_KEYS.get(name[5:], _key)
        return Labels({shape(number): names[0] for number, names in numbers(name[5:]).items()}, {})
    if "." in name:
        file, _, name = name.partition(".")
    return _label_set(file, name)


# How the numbers of a list of lenses are written as values.
_LENS_KEYS: dict[str, Callable[[str], int | str]] = {
    "nikon": lambda number: bytes.fromhex(number).hex(" ").upper(),
    "pentax": lambda number: number.replace("-", " "),
    "fourthirds": lambda number: number.replace("-", " "),
}


@lru_cache(maxsize=256)
def _label_set(file: str, name: str) -> Labels:
    exact: dict[Any, str] = {}
    bits: dict[int, str] = {}
    for line in texts(file)[LABELS + name][1].splitlines():
        key, _, text = line.partition("\t")
        if key.startswith("&"):
            bits[int(key[1:])] = text
        else:
            exact[_key(key)] = text
    return Labels(exact, bits)


def _key(text: str) -> int | str:
    return int(text) if _WHOLE.fullmatch(text) else text
