"""Samsung's records behind a JPEG: a directory at the end of them, from `SEFH` to `SEFT`."""

from __future__ import annotations

from struct import iter_unpack, unpack_from
from typing import NamedTuple

from functions.kit.containers.source import Buffer

MAX_RECORDS = 4096
MAX_NAME = 64


class Record(NamedTuple):
    """One record: its type, where it begins (-1 outside the trailer), its name, and the content behind that."""

    kind: int
    start: int
    body: int
    end: int
    name: str | None


def records(data: Buffer, start: int, stop: int) -> tuple[int, list[Record]] | None:
    """The place of the directory that ends at `stop`, and its records after `start`; None without a directory.

    Of recordings with sound, a block that states where the sound is may follow the directory.

    A name that is longer than its record, or than `MAX_NAME`, is None, and the content begins where it would.
    """
    if data[stop - 6 : stop] == b"QDIOBS" and stop - start > 10:
        stop -= 10 + unpack_from("<I", data, stop - 10)[0]
    end = stop - 8
    if end - start < 12 or data[stop - 4 : stop] != b"SEFT":
        return None
    directory = end - unpack_from("<I", data, end)[0]
    if directory < start or data[directory : directory + 4] != b"SEFH" or directory + 12 > end:
        return None
    count = min(unpack_from("<I", data, directory + 8)[0], MAX_RECORDS, (end - directory - 12) // 12)
    found = []
    for kind, back, size in iter_unpack("<2xHII", data[directory + 12 : directory + 12 + 12 * count]):
        at = directory - back
        if at < start or size < 8 or at + size > directory:
            found.append(Record(kind, -1, -1, size, None))
            continue
        length = unpack_from("<I", data, at + 4)[0]
        named = length <= min(size - 8, MAX_NAME)
        body = at + 8 + length * named
        found.append(Record(kind, at, body, at + size, data[at + 8 : body].decode("latin-1") if named else None))
    return directory, found
