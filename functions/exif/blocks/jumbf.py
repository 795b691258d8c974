"""JUMBF boxes (ISO 19566-5) and the content credentials (C2PA) in them, named as ExifTool names them.

What a signature is worth is not checked: only whether there is one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from functions.exif.blocks import cbor
from functions.exif.blocks.values import binary, text_of
from functions.exif.tags.tables import table

Put = Callable[[str, str, object, object], None]
# Called with group, name and privacy grade of a row.
Grade = Callable[[str, str, str], None]
# Called with kind, place, offset in the block, and bytes of what was not read.
Miss = Callable[[str, str, int, int], None]
# Called with place, offset in the block, and bytes of a picture.
Hold = Callable[[str, int, bytes], None]
MAX_BOXES = 4096
MAX_DEPTH = 12
MAX_JSON = 2**20
_TYPE = re.compile(r"(\w{8})(\w{4})(\w{4})(\w{16})")
_AFTER_SIGN = re.compile(r"[^-_a-zA-Z0-9]([a-z])")
_SIGNS = re.compile(r"[^-_a-zA-Z0-9]")


@dataclass(slots=True)
class Box:
    """A superbox: its description and its content.

    Args:
        label: of its description box; empty without one.
        kind: the description's type, 32 hexadecimal digits.
        content: type, offset in the block and bytes of each content box.
        inner: superboxes in it.
    """

    label: str = ""
    kind: str = ""
    content: list[tuple[bytes, int, bytes]] = field(default_factory=list)
    inner: list[Box] = field(default_factory=list)

    def walk(self) -> Iterator[Box]:
        """This box and all in it."""
        yield self
        for box in self.inner:
            yield from box.walk()


def boxes(data: bytes, miss: Miss) -> list[Box]:
    """The superboxes of a block.

    Args:
        data: of the block: one `jumb` box or several.
        miss: called with what was not read.
    """
    return _Boxes(data, miss).inside(0, len(data), 0)


class _Boxes:
    def __init__(self, data: bytes, miss: Miss) -> None:
        self.data, self.miss, self.left = data, miss, MAX_BOXES

    def headers(self, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
        """Type, start and end of the content of each box."""
        data = self.data
        while at + 8 <= end:
            size, kind, start = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], at + 8
            if size == 1:
                size, start = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
            stop = at + size if size else end
            self.left -= 1
            if stop > end or stop < start or self.left < 0:
                break
            yield kind, start, stop
            at = stop
        if at < end:
            self.miss("box", "bytes that are no box", at, end - at)

    def inside(self, at: int, end: int, depth: int) -> list[Box]:
        """The superboxes between two places."""
        found = []
        for kind, start, stop in self.headers(at, end):
            if kind != b"jumb" or depth > MAX_DEPTH:
                self.miss("box", f"box {text_of(kind)}", start, stop - start)
            else:
                found.append(self.box(start, stop, depth))
        return found

    def box(self, at: int, end: int, depth: int) -> Box:
        """A superbox."""
        found = Box()
        for kind, start, stop in self.headers(at, end):
            if kind == b"jumd":
                self.describe(found, start, stop)
            elif kind == b"jumb" and depth < MAX_DEPTH:
                found.inner.append(self.box(start, stop, depth + 1))
            elif kind == b"jumb":
                self.miss("limit", f"{found.label} more than {MAX_DEPTH} levels", start, stop - start)
            else:
                found.content.append((kind, start, self.data[start:stop]))
        return found

    def describe(self, found: Box, at: int, end: int) -> None:
        """A description box: type, label, identifier, signature, private boxes."""
        data = self.data
        if end - at < 17:
            self.miss("box", "description", at, end - at)
            return
        found.kind, toggles = data[at : at + 16].hex(), data[at + 16]
        at += 17
        if toggles & 2:
            stop = data.find(b"\0", at, end)
            stop = end if stop < 0 else stop
            found.label = text_of(data[at:stop])
            at = stop + 1
        at += 4 * bool(toggles & 4) + 32 * bool(toggles & 8)
        for kind, start, stop in self.headers(at, end):
            found.content.append((kind, start, data[start:stop]))


def read(data: bytes, put: Put, grade: Grade, miss: Miss, hold: Hold) -> list[Box]:
    """Add the rows of a block.

    Args:
        data: of the block.
        put: called with group, name, value and print of each row.
        grade: called with the privacy grade of a row.
        miss: called with what was not read.
        hold: called with each picture in it.

    Returns:
        The superboxes.
    """
    found = boxes(data, miss)
    rows = _Rows(put, grade, miss, hold)
    for top in found:
        for box in top.walk():
            rows.box(box)
    rows.finish()
    return found


class _Rows:
    """Adds rows: of several of one name the first counts, whose list goes on in its own box."""

    def __init__(self, put: Put, grade: Grade, miss: Miss, hold: Hold) -> None:
        self.put, self.grade, self.miss, self.hold = put, grade, miss, hold
        self.found: dict[tuple[str, str], list[Any]] = {}

    def box(self, box: Box) -> None:
        """The rows of one superbox's own content."""
        if box.kind:
            self.put("JUMBF", "JUMDType", box.kind, _type(box.kind))
        if box.label:
            self.put("JUMBF", "JUMDLabel", box.label, box.label)
        name, media = _named(box.label), ""
        for kind, at, data in box.content:
            if kind in _STRUCTURED:
                self.structured(box, kind, at, data)
            elif kind == b"bfdb":
                media, *rest = text_of(data[1:].rstrip(b"\0")).split("\0")
                text = ", ".join((media, *rest))
                self.put("Jpeg2000", f"{name}Type" if name else "BinaryDataType", text, text)
            elif kind == b"bidb":
                text = binary(len(data))
                self.put("Jpeg2000", f"{name}Data" if name else "BinaryData", text, text)
                if media.startswith("image/"):
                    self.hold(box.label, at, data)
                else:
                    self.miss("content credentials", f"{box.label} {media}".strip(), at, len(data))
            elif kind == b"c2sh":
                self.put("Jpeg2000", f"{name}Salt" if name else "C2PASaltHash", data.hex(), data.hex())
            elif kind not in (b"free", b"skip"):
                self.miss("box", f"{box.label} box {text_of(kind)}".strip(), at, len(data))

    def structured(self, box: Box, kind: bytes, at: int, data: bytes) -> None:
        """A box of CBOR or JSON."""
        values = parsed(kind, data)
        if values is None:
            self.miss("content credentials", f"{box.label} {text_of(kind)}", at, len(data))
            return
        group = "CBOR" if kind == b"cbor" else "JSON"
        own: dict[tuple[str, str], list[Any]] = {}
        for value in values:
            pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
            for key, item in pairs:
                name, grade = _tag(group, f"Item{key}" if isinstance(key, int) else key)
                own.setdefault((group, name), []).extend(_listed(item))
                if grade:
                    self.grade(group, name, grade)
        for tag, items in own.items():
            if tag in self.found:
                shown = [readable(item) for item in items]
                self.put(*tag, *((shown[0] if len(shown) == 1 else shown),) * 2)
            else:
                self.found[tag] = items
                self.put(*tag, *(_shown(items),) * 2)

    def finish(self) -> None:
        """Forget what was found."""
        self.found.clear()


def parsed(kind: bytes, data: bytes) -> list[Any] | None:
    """The values of a box of CBOR or JSON; None where it is broken."""
    try:
        if kind == b"cbor":
            return cbor.decode(data)
        return [json.loads(data.rstrip(b"\0").decode("utf-8"))] if len(data) <= MAX_JSON else None
    except (ValueError, RecursionError):
        return None


_STRUCTURED = frozenset((b"cbor", b"json"))


def _shown(items: list[Any]) -> Any:
    shown = [readable(item) for item in items]
    return shown[0] if len(shown) == 1 else shown


def _listed(item: Any) -> list[Any]:
    """A value as the items that ExifTool makes of it: lists in lists are one list."""
    if not isinstance(item, list):
        return [item]
    return [inner for held in item for inner in _listed(held)]


def readable(value: Any) -> Any:
    """A value as JSON: bytes by their size."""
    if isinstance(value, bytes):
        return binary(len(value))
    if isinstance(value, dict):
        return {key: readable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [readable(item) for item in value]
    return "null" if value is None else value


def _type(kind: str) -> str:
    """A type as ExifTool prints it: its four letters, then the rest."""
    match = _TYPE.fullmatch(kind)
    if match is None:
        return kind
    first = bytes.fromhex(match[1])
    return "-".join((f"({first.decode()})" if first.isalnum() else match[1], *match.groups()[1:]))


def _named(label: str) -> str:
    """The tag that ExifTool makes of a label."""
    name = _SIGNS.sub("", _AFTER_SIGN.sub(lambda match: match[1].upper(), label)).replace("__", "_", 1)
    name = (name[:1].upper() + name[1:]).replace("C2pa", "C2PA", 1)
    return f"Tag{name}" if len(name) == 1 else name


def _tag(group: str, key: str) -> tuple[str, str]:
    """A key's tag, and its privacy grade."""
    rows = table(f"JUMBF.{group}").rows
    row = rows.get(key) or rows.get(key.rpartition(":")[2])
    if row is not None and row[0].name != "*" and key in rows:
        return row[0].name, row[0].grade
    name = key.replace(":", "_")
    name = _SIGNS.sub("", f"C2PA{name[4:]}" if name[:4].lower() == "c2pa" else name)
    name = name[:1].upper() + name[1:]
    if len(name) < 2 or name[:1] in "-0123456789":
        name = f"Tag{name}"
    return name, row[0].grade if row is not None else ""
