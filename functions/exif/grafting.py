"""New entries in a TIFF structure whose old values must not move: an Exif block, or a whole file."""

from __future__ import annotations

from collections.abc import Collection
from struct import pack, pack_into

from functions.exif.strip import tiff
from functions.exif.strip.exifblock import Values
from functions.exif.strip.layout import EXIF, GPS, Broken, Directory, Layout, Span, wipe

# Bytes of one number of each TIFF type, for a change of byte order: rationals are two of four.
UNITS = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}


def graft(data: bytes, addition: bytes, new_place: bool, stale: Collection[int] = ()) -> bytes:
    """A TIFF structure with the entries of another one added to its own or in their place.

    Args:
        data: the structure, an Exif block or a whole file.
        addition: a structure that piexif built.
        new_place: whether the old position goes altogether, so that no stale direction or time stays beside the new.
        stale: tags of the Exif directory that go unless they are added anew.

    Raises:
        Broken: no structure, or one whose first directory cannot be read.
    """
    layout, new = Layout(data), Layout(addition)
    if not layout.images:
        raise Broken("its Exif cannot be read")
    first = layout.images[0]
    values = {directory.kind: _values(new, directory, layout.order) for directory in new.walk()}
    out = bytearray(data)
    gone: list[Span] = []
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
    result = bytes(out)
    # What stays is what the new structure refers to; of the old one, the replaced parts become zero.
    final = Layout(result)
    kept: list[Span] = [(0, final.header)]
    for directory in final.walk():
        kept += [(directory.position, directory.end), *_outer(directory)]
        if directory.kind == "image":
            kept += tiff.pixels(final, directory)[0]
    wipe(out, gone, kept)
    return bytes(out)


def _values(layout: Layout, directory: Directory, order: str) -> Values:
    """The entries of a directory but its pointers, in another byte order."""
    values: Values = {}
    for entry in directory.entries:
        if entry.tag in (EXIF, GPS):
            continue
        raw, unit = layout.raw(entry), UNITS.get(entry.kind, 1)
        if order != layout.order and unit > 1:
            raw = b"".join(raw[at : at + unit][::-1] for at in range(0, len(raw), unit))
        values[entry.tag] = (entry.kind, entry.count, raw)
    return values


def _outer(directory: Directory, tags: Collection[int] | None = None) -> list[Span]:
    """Where the values of a directory stand outside of it: of all its entries, or of some tags."""
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
    order, entries = layout.order, dict[int, bytes]()
    for entry in old.entries if old else []:
        if entry.tag in dropped:
            continue
        entries.setdefault(entry.tag, bytes(layout.data[entry.position : entry.position + layout.entry_size]))
    for tag, (kind, count, raw) in values.items():
        if len(raw) <= layout.offset_size:
            value = raw.ljust(layout.offset_size, b"\0")
        else:
            value = pack(order + layout.offset_format, len(out))
            out += raw + bytes(len(raw) & 1)
        entries[tag] = pack(order + ("HHQ" if layout.big else "HHI"), tag, kind, count) + value
    position = len(out)
    out += pack(order + layout.count_format, len(entries))
    out += b"".join(entries[tag] for tag in sorted(entries))
    out += pack(order + layout.offset_format, old.next if old else 0)
    if position + len(entries) * layout.entry_size >= 2**32:
        raise Broken("it has no room for more")
    return position
