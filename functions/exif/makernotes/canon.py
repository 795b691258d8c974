"""Canon's own forms of records: values in series, custom functions by number, filters, timed metadata of CR3."""

from __future__ import annotations

from struct import unpack_from

from functions.exif.makernotes.reader import read
from functions.exif.makernotes.records import FORMATS, value
from functions.exif.makernotes.walk import Place, Walk, counted, item
from functions.exif.tags.tables import Table

MAX_FILTERS = 64


def read_serial_data(walk: Walk, tags: Table, place: Place) -> None:
    """Values one after another, each row's beginning where the one before ends."""
    m = walk.members
    outer, m.seen = m.seen, {}
    m["size"] = place.size
    usual = tags.attributes.get("format", "int8u")
    at = 0
    for index in tags.rows:
        row = tags.find(index, m)
        if row is None or walk.rows <= 0:
            break
        shape = row.format or usual
        count = counted(row.count, m) if row.count is not None else 1
        if count is None or count < 0 or at + count * FORMATS[shape][0] > place.size:
            break
        v = value(place.data, place.start + at, shape, count, place.order, place.size - at)
        if count and v is not None:
            m.seen[index] = v
            walk.put(row, v)
        elif count:
            break
        at += count * FORMATS[shape][0]
    m.seen = outer


def read_custom(walk: Walk, tags: Table, place: Place) -> None:
    """Custom functions of older bodies: a number and a value in two bytes each, the record's size before them."""
    if place.size < 2:
        return
    (size,) = unpack_from(place.order + "H", place.data, place.start)
    if size not in (place.size, place.size - 2):
        walk.warn("Canon's custom functions have another size than they state")
        return
    for at in range(place.start + 2, place.start + place.size - 1, 2):
        (both,) = unpack_from(place.order + "H", place.data, at)
        item(walk, tags, both >> 8, both & 0xFF, unnamed=True)


def read_custom2(walk: Walk, tags: Table, place: Place) -> None:
    """Custom functions of newer bodies: groups of numbered functions, each with its values."""
    data, order, end = place.data, place.order, place.start + place.size
    if place.size < 8 or unpack_from(order + "H", data, place.start)[0] != place.size:
        walk.warn("Canon's custom functions have another size than they state")
        return
    at = place.start + 8
    while at + 12 <= end and walk.rows > 0:
        _, size = unpack_from(order + "II", data, at)
        stop = at + 4 + size
        if size < 8 or stop > end:
            walk.warn("a group of Canon's custom functions is longer than its record")
            return
        at = at + 12
        while at + 8 < stop and walk.rows > 0:
            number, count = unpack_from(order + "II", data, at)
            following = at + 8 + 4 * count
            if following > stop:
                break
            # One body states one value too few for a function.
            if number == 0x70C and count == 0x66 and following + 8 < stop:
                count += unpack_from(order + "I", data, following + 4)[0] == 0x70F
            item(walk, tags, number, value(data, at + 8, "int32s", count, order, 4 * count), count, unnamed=True)
            at += 8 + 4 * count
        at = stop


def read_filters(walk: Walk, tags: Table, place: Place) -> None:
    """Creative filters, each with its parameters."""
    data, order, end = place.data, place.order, place.start + place.size
    if place.size < 8:
        return
    (count,) = unpack_from(order + "I", data, place.start + 4)
    at = place.start + 8
    for _ in range(min(count, MAX_FILTERS)):
        if at + 12 > end:
            return
        _, size, parameters = unpack_from(order + "III", data, at)
        following = at + 4 + size
        if following > end or following <= at:
            return
        at += 12
        for _ in range(min(parameters, MAX_FILTERS)):
            if at + 12 > end:
                return
            number, values = unpack_from(order + "II", data, at)
            if at + 8 + 4 * values > end:
                return
            item(walk, tags, number, value(data, at + 8, "int32s", values, order, 4 * values), values)
            at += 8 + 4 * values
        at = following


def read_ctmd(walk: Walk, tags: Table, place: Place) -> None:
    """Timed metadata of a CR3: records of size, kind and values."""
    data, at, end = place.data, place.start, place.start + place.size
    while at + 12 <= end and walk.rows > 0:
        size, number = unpack_from("<IH", data, at)
        if size < 12 or at + size > end:
            return
        inner = Place(data, at + 12, size - 12, "<", place.base, place.origin)
        row = tags.find(number, walk.members)
        if row is not None and row.sub:
            read(walk, row.sub.split(" ")[0], inner)
        elif row is not None:
            v = value(data, at + 12, row.format or "undef", int(row.count or size - 12), "<", size - 12)
            walk.put(row, v)
        at += size


def read_exif_info(walk: Walk, tags: Table, place: Place) -> None:
    """Directories inside timed metadata, each with a TIFF header of its own."""
    data, at, end = place.data, place.start, place.start + place.size
    while at + 8 < end and walk.rows > 0:
        size, number = unpack_from("<II", data, at)
        if size < 8 or at + size > end:
            return
        row = tags.find(number, walk.members)
        header = data[at + 8 : at + 16]
        if row is not None and row.sub and number == 0x927C and header[:2] in (b"II", b"MM"):
            order = "<" if header[:2] == b"II" else ">"
            first = at + 8 + unpack_from(order + "I", header, 4)[0]
            read(walk, "Canon.Main", Place(data, first, at + size - first, order, at + 8, place.origin))
        at += size


def check_focus(place: Place) -> bool:
    """Whether a record of focus points is one: a known number of them, and sizes that have a picture's form."""
    if place.size < 24:
        return False
    points, _, width, height, own_width, own_height = unpack_from(place.order + "6H", place.data, place.start)
    if points not in (1, 5, 7, 9, 15, 45, 53) or not width or not height:
        return False
    form = width / height
    if any(abs(form - known) < 0.01 for known in (1.33, 1.67, 0.75, 0.60)):
        return True
    if not own_width or not own_height or width == height:
        return False
    other = own_width / own_height
    return bool(abs(1 - form / other) < 0.01 or abs(1 - form * other) < 0.01)
