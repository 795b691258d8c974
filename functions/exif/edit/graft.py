"""Add entries to a TIFF structure whose old values must not move: an Exif block, or a whole file."""

from __future__ import annotations

from collections.abc import Collection
from struct import pack, pack_into
from typing import Any

from functions.exif.edit.blocks.exif import Values
from functions.exif.edit.blocks.layout import (
    EXIF,
    GPS,
    MAX_ENTRIES,
    POINTERS,
    SIZES,
    Directory,
    Entry,
    Layout,
    Span,
    wipe,
)
from functions.exif.edit.errors import Broken
from functions.kit.containers.source import Buffer, Mapped, editable, finished
from functions.kit.containers.tiff import pixels

# Bytes of one number of each TIFF type, for a change of byte order: rationals are two of four.
UNITS = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}


def graft(data: Buffer, addition: bytes, new_place: bool, stale: Collection[int] = ()) -> bytes:
    """Add the entries of one TIFF structure to another, or replace those of the same tags.

    Args:
        data: the structure, an Exif block or a whole file.
        addition: a structure that piexif built.
        new_place: whether the old GPS directory is removed, so that no stale direction or time remains.
        stale: tags of the Exif directory that are removed unless they are added.

    Raises:
        Broken: no structure, or one whose first directory cannot be read.
    """
    layout, new = Layout(data), Layout(addition)
    if not layout.images:
        raise Broken("its Exif cannot be read")
    first = layout.images[0]
    if not first.children.get(EXIF) and any(entry.tag == EXIF for entry in first.entries):
        raise Broken("its Exif directory cannot be read")
    if sum(entry.tag == EXIF for entry in first.entries) > 1:
        raise Broken("it has several Exif directories")
    values = {directory.kind: _values(new, directory, layout.order) for directory in new.walk()}
    out: Any = editable(data)
    gone: list[Span] = []
    # A directory at the very end may lack its link to another one, or a part of it.
    room = max((directory.end for directory in layout.walk() if not _has_link(layout, directory)), default=0)
    out += bytes(max(room + layout.offset_size - len(out), 0) if room else 0)
    # Grown at an even place, as TIFF asks for.
    out += bytes(len(out) & 1)
    changed = [(first, values.get("image", {}))]
    for pointer, kind in ((EXIF, "exif"), (GPS, "gps")):
        if not values.get(kind):
            continue
        old = next(iter(first.children.get(pointer, [])), None)
        if old is not None and kind == "gps" and new_place:
            gone += [(old.position, old.end), *_outer(old)]
            old = None
        dropped = stale if kind == "exif" else ()
        place = _append(layout, out, old, values[kind], dropped)
        changed[0][1][pointer] = (4, 1, pack(layout.order + "I", place))
        if old is not None:
            gone += [(old.position, old.end), *_outer(old, {*values[kind], *dropped})]
    place = _append(layout, out, first, changed[0][1])
    gone += [(first.position, first.end), *_outer(first, changed[0][1])]
    pack_into(layout.order + layout.offset_format, out, layout.header - layout.offset_size, place)
    _pin(layout, out)
    # The new structure's parts stay; the replaced parts of the old one become zero.
    final = Layout(out)
    kept: list[Span] = [(0, final.header)]
    for directory in final.walk():
        kept += [(directory.position, directory.end), *_outer(directory)]
        if directory.kind == "image":
            kept += pixels(final, directory)[0]
    wipe(out, gone, kept)
    return finished(out)


def _pin(layout: Layout, out: bytearray | Mapped) -> None:
    """Keep what lies outside the data outside: an offset behind the old end may be inside the longer data."""
    for directory in layout.walk():
        for entry in directory.entries:
            if _leads_outside(layout, entry):
                place = entry.position + layout.entry_size - layout.offset_size
                pack_into(layout.order + layout.offset_format, out, place, layout.nowhere)
    last = layout.images[-1]
    if _has_link(layout, last) and not 0 < last.next < len(layout.data):
        pack_into(layout.order + layout.offset_format, out, last.end - layout.offset_size, 0)


def _has_link(layout: Layout, directory: Directory) -> bool:
    """Whether a directory ends with a link to another one."""
    return directory.end > directory.position + layout.count_size + len(directory.entries) * layout.entry_size


def _leads_outside(layout: Layout, entry: Entry) -> bool:
    """Whether a value, or the directory that an entry points to, is outside the data."""
    if entry.start < 0:
        return entry.type in SIZES
    pointer = entry.tag in POINTERS and entry.inline and entry.count == 1
    return pointer and any(place >= len(layout.data) for place in layout.integers(entry))


def _values(layout: Layout, directory: Directory, order: str) -> Values:
    """The entries of a directory but its pointers, in another byte order."""
    values: Values = {}
    for entry in directory.entries:
        if entry.tag in (EXIF, GPS):
            continue
        raw, unit = layout.raw(entry), UNITS.get(entry.type, 1)
        if order != layout.order and unit > 1:
            raw = b"".join(raw[at : at + unit][::-1] for at in range(0, len(raw), unit))
        values[entry.tag] = (entry.type, entry.count, raw)
    return values


def _outer(directory: Directory, tags: Collection[int] | None = None) -> list[Span]:
    """Places of the values outside a directory: of all its entries, or of some tags."""
    return [
        entry.span
        for entry in directory.entries
        if entry.start >= 0 and not entry.inline and (tags is None or entry.tag in tags)
    ]


def _append(
    layout: Layout, out: bytearray, old: Directory | None, values: Values, dropped: Collection[int] = ()
) -> int:
    """Write a directory at the end: the old one's entries as they are, the new ones in or beside them, some dropped.

    Returns:
        Its position.
    """
    order = layout.order
    entries: list[tuple[int, bytes]] = []
    # Readers give up a directory at an entry without a valid type or value: such entries come last.
    broken: list[bytes] = []
    for entry in old.entries if old else []:
        if entry.tag in dropped or entry.tag in values:
            continue
        raw = bytes(layout.data[entry.position : entry.position + layout.entry_size])
        if entry.type not in SIZES:
            broken.append(raw if raw.strip(b"\0") else b"")
        elif _leads_outside(layout, entry):
            broken.append(raw[: -layout.offset_size] + pack(order + layout.offset_format, layout.nowhere))
        else:
            entries.append((entry.tag, raw))
    for tag, (kind, count, raw) in values.items():
        if len(raw) <= layout.offset_size:
            value = raw.ljust(layout.offset_size, b"\0")
        else:
            value = pack(order + layout.offset_format, len(out))
            out += raw + bytes(len(raw) & 1)
        entries.append((tag, pack(order + ("HHQ" if layout.big else "HHI"), tag, kind, count) + value))
    body = b"".join(raw for _, raw in sorted(entries, key=lambda one: one[0])) + b"".join(broken)
    position, number = len(out), len(body) // layout.entry_size
    out += pack(order + layout.count_format, number) + body
    out += pack(order + layout.offset_format, old.next if old and old.next < len(layout.data) else 0)
    if number > MAX_ENTRIES:
        raise Broken(f"a directory would have {number:,} entries; the limit is {MAX_ENTRIES:,}")
    if len(out) >= layout.nowhere:
        raise Broken("it has no room for more")
    return position
