"""GIF and BMP: a header, and hardly anything to say."""

from __future__ import annotations

from struct import unpack_from

from functions.exif import jpeg, trailer
from functions.exif.blocks import Scan

MAX_GIF_BLOCKS = 20_000
# A picture's sub-blocks are 255 bytes each but for its last: 32 MiB of them are half of this.
MAX_SUB_BLOCKS = 300_000
MAX_COMMENT = 256 * 1024
XMP_APPLICATION = b"XMP DataXMP"
# XMP in GIF ends with a ramp of 256 bytes that lets readers of sub-blocks run out (XMP part 3, 1.1.2).
MAGIC_TRAILER = 257


def gif(data: bytes) -> Scan:
    """Read a GIF's blocks: frames, comments, XMP and ICC application extensions."""
    result = Scan("GIF", "image/gif")
    if len(data) < 13:
        result.warn("the file ends inside its header")
        return result
    width, height, flags = unpack_from("<HHB", data, 6)
    result.width, result.height = width, height
    result.details["bits_per_sample"] = (flags & 7) + 1
    position = 13 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
    frames, last = 0, 13
    walk = _Walk(data)
    for _ in range(MAX_GIF_BLOCKS):
        kind = data[position : position + 1]
        if kind == b",":
            frames, last = frames + 1, position
            local = data[position + 9] if position + 9 < len(data) else 0
            position += 11 + (3 << ((local & 7) + 1) if local & 0x80 else 0)
            position = walk.past(position)
        elif kind == b"!":
            position = _extension(result, walk, position + 1)
        elif kind == b";":
            trailer.after(result, data, position + 1, jpeg.picture_end)
            break
        else:
            result.warn("the file ends early" if not kind else f"unknown block at byte {position}")
            # What a picture that breaks off holds is not known to be a picture.
            result.miss("gap", "after the last block", position, len(data) - position)
            result.miss("picture", f"frame {frames}", last, len(data) - last)
            break
    else:
        result.warn(f"more than {MAX_GIF_BLOCKS:,} blocks; the rest is ignored")
        result.miss("limit", "blocks", position, len(data) - position)
    result.frames = max(frames, 1)
    return result


class _Walk:
    """Runs of sub-blocks, counted over the file so that no run of tiny ones takes long."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.left = MAX_SUB_BLOCKS

    def past(self, position: int) -> int:
        """The position after a run; the end of the file where it is broken or there are too many."""
        data, end, left = self.data, len(self.data), self.left
        while position < end and data[position] and left > 0:
            position += data[position] + 1
            left -= 1
        self.left = left
        return position + 1 if left > 0 else end

    def content(self, position: int) -> bytes:
        """The bytes in a run, at most `MAX_COMMENT`."""
        data, end, content = self.data, len(self.data), bytearray()
        while position < end and data[position] and len(content) < MAX_COMMENT and self.left > 0:
            content += data[position + 1 : position + 1 + data[position]]
            position += data[position] + 1
            self.left -= 1
        return bytes(content)


def _extension(result: Scan, walk: _Walk, position: int) -> int:
    data = walk.data
    label = data[position : position + 1]
    start = position + 1
    stop = walk.past(start)
    if label == b"\xfe":
        result.add("comment", -1, walk.content(start), "comment extension")
        result.miss("limit", "comment extension", start, stop - start - 2 * MAX_COMMENT)
    elif label == b"\xff" and data[start : start + 1] == b"\x0b":
        _application(result, walk, start, stop)
    elif label != b"\xf9":
        result.miss("extension", f"extension {label.hex()}", start, stop - start)
    elif stop - start > 6:
        result.miss("extension", "graphic control extension", start + 6, stop - start - 6)
    return stop


def _application(result: Scan, walk: _Walk, start: int, stop: int) -> None:
    data = walk.data
    application = data[start + 1 : start + 12]
    if application == XMP_APPLICATION:
        # The packet stands there as it is, not in sub-blocks: its own bytes pass for their lengths.
        packet = data[start + 12 : stop]
        result.add("xmp", start + 12, packet[: max(len(packet) - MAGIC_TRAILER, 0)], "application extension")
    elif application == b"ICCRGBG1012":
        result.add("icc", -1, walk.content(start + 12), "application extension")
    elif application in (b"NETSCAPE2.0", b"ANIMEXTS1.0") and stop - start <= 17:
        body = walk.content(start + 12)
        if len(body) >= 3:
            result.details["loops"] = unpack_from("<H", body, 1)[0]
    else:
        name = application.decode("latin-1") if application.isascii() else application.hex()
        result.miss("extension", f"application extension {name}", start, stop - start)


def bmp(data: bytes) -> Scan:
    """Read a BMP's header."""
    result = Scan("BMP", "image/bmp")
    if len(data) < 26:
        result.warn("the file ends inside its header")
        return result
    (size,) = unpack_from("<I", data, 14)
    if size == 12:
        result.width, result.height, _, bits = unpack_from("<HHHH", data, 18)
    elif len(data) >= 30:
        width, height, _, bits = unpack_from("<iiHH", data, 18)
        result.width, result.height = abs(width), abs(height)
        if size >= 40 and len(data) >= 46:
            x, y = unpack_from("<ii", data, 38)
            result.details.update(pixels_per_unit_x=x, pixels_per_unit_y=y, pixel_units=1)
    else:
        return result
    result.details["bits_per_sample"] = bits
    if size >= 124 and len(data) >= 138:
        kind = data[70:74]
        offset, length = unpack_from("<II", data, 126)
        if kind == b"DEBM" and length and 14 + offset + length <= len(data):
            result.add("icc", 14 + offset, data[14 + offset : 14 + offset + length], "V5 header")
        elif kind == b"KNIL" and length:
            result.miss("icc", "V5 header", 14 + offset, length)
    return result
