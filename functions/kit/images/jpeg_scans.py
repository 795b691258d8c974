"""How often a JPEG makes its decoder go over the picture.

A progressive JPEG refines the picture in scans; each costs a pass over every block, yet takes as little as 36 bytes. A
file of 30 kB can so keep a core busy for seconds, one of megabytes for hours, within every limit of bytes and pixels.
"""

from __future__ import annotations

import re

MOST = 100  # scans; encoders write ten or so

# Within a scan 0xFF is followed by 0 or a restart marker; anything else ends it.
# Not \xff+: over a run of fill bytes that would take the square of its length.
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_START_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
_START_OF_SCAN, _END = 0xDA, 0xD9


def too_many(data: bytes) -> bool:
    """Whether a JPEG has more than `MOST` scans; a broken one is left for the decoder to refuse."""
    components = 0
    repeats = False  # whether more than one scan is decoded at all
    scans = 0
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            break
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker == _END:
            break
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        body = at + 4
        at += 2 + length
        if marker in _START_OF_FRAME:
            components = data[body + 5] if body + 5 < len(data) else 0
            repeats = marker in _PROGRESSIVE
        elif marker == _START_OF_SCAN:
            repeats = repeats or data[body : body + 1] != bytes([components])
            # What looks like a scan may stand in what is never read, but where there is too little of it all is well.
            if not repeats or (scans == 0 and data.count(b"\xff\xda", body) < MOST):
                return False
            scans += 1
            if scans > MOST:
                return True
            following = _NEXT_MARKER.search(data, at)
            if following is None:
                break
            at = following.end() - 2
    return False
