"""Content that is stored packed: zlib, Brotli, the hexadecimal profiles in a PNG's text, a GIF's sub-blocks."""

from __future__ import annotations

import binascii
import zlib
from enum import StrEnum
from typing import Protocol

OUTPUT = 65536
MAX_SUB_BLOCKS = 65536
# What programs state a raw profile to be.
PROFILE_NAMES = (b"exif", b"app1", b"iptc", b"8bim", b"xmp", b"icc", b"icm", b"generic profile", b"")
# Decompressed bytes of one file's parts: real profiles and packets are far below, a bomb far above.
MAX_INFLATED = 4 * 2**20


class ContainerError(ValueError):
    """A file that cannot be written with the requested changes; the message gives the reason."""


class Packing(StrEnum):
    """How a part's content is stored."""

    PLAIN = ""
    ZLIB = "zlib"
    BROTLI = "brotli"
    HEX = "hex"  # a raw profile of ImageMagick in a PNG's text
    ZLIB_HEX = "zlib+hex"
    BLOCKS = "blocks"  # sub-blocks of a GIF
    UNKNOWN = "unknown"  # stated, and in a form that is not read


class Budget(Protocol):
    """The document whose content is unpacked: how much of it was inflated, and what was broken."""

    inflated: int

    def warn(self, text: str) -> None:
        """Keep a warning."""

    def lose(self, kind: str, where: str, size: int) -> None:
        """Note bytes that could not be unpacked."""


def unpack(budget: Budget, how: Packing, data: bytes, where: str, name: str = "") -> bytes | None:
    """Unpacked content; None, with a warning, where it is broken or too large.

    Args:
        budget: of the budget.
        how: the content is packed.
        data: as it is stored.
        where: it stands, for warnings.
        name: of a raw profile, for warnings.
    """
    if how in (Packing.ZLIB, Packing.ZLIB_HEX):
        inflated = inflate(budget, data, where)
        if inflated is None or how is Packing.ZLIB:
            return inflated
        data = inflated
    if how in (Packing.HEX, Packing.ZLIB_HEX):
        return _from_hex(budget, data, where, name)
    if how is Packing.BROTLI:
        return _brotli(budget, data, where)
    if how is Packing.BLOCKS:
        return b"".join(_blocks(data))
    budget.warn(f"{where}: packed in an unknown way and not read")
    budget.lose("compressed data", where, len(data))
    return None


def inflate(budget: Budget, data: bytes, where: str) -> bytes | None:
    """Decompress zlib data within a file's budget; None, with a warning, where it is broken or too large."""
    engine = zlib.decompressobj()
    room = MAX_INFLATED - budget.inflated
    try:
        result = engine.decompress(data, max(room, 1))
    except zlib.error:
        budget.warn(f"{where}: broken zlib data")
        budget.lose("compressed data", where, len(data))
        return None
    budget.inflated += len(result)
    if engine.unconsumed_tail or budget.inflated > MAX_INFLATED:
        budget.warn(f"{where}: inflates to more than {MAX_INFLATED:,} bytes; ignored")
        budget.lose("limit", where, len(data))
        return None
    if not engine.eof and not _is_whole(data, result):
        budget.warn(f"{where}: zlib data end early")
        budget.lose("compressed data", where, len(data))
    elif engine.unused_data:
        budget.lose("gap", f"{where} behind its zlib data", len(engine.unused_data))
    return result


def _is_whole(data: bytes, result: bytes) -> bool:
    """Whether zlib data lack their checksum or last bits alone: a colour profile states its own length."""
    if result[36:40] == b"acsp":
        return int.from_bytes(result[:4], "big") == len(result)
    engine = zlib.decompressobj(-zlib.MAX_WBITS)
    engine.decompress(data[2:], len(result) + 1)
    return engine.eof


def pack(how: Packing, content: bytes, name: str = "") -> bytes:
    """New content in the form that the old one is stored in.

    Args:
        how: to pack it.
        content: the new one.
        name: keyword of a raw profile, which ends with its type.

    Raises:
        ContainerError: there is no such form.
    """
    if how is Packing.PLAIN:
        return content
    if how is Packing.ZLIB:
        return zlib.compress(content, 9)
    if how is Packing.HEX:
        return _to_hex(content, name)
    if how is Packing.ZLIB_HEX:
        return zlib.compress(_to_hex(content, name), 9)
    if how is Packing.BLOCKS:
        pieces = [content[at : at + 255] for at in range(0, len(content), 255)]
        return b"".join(bytes((len(piece),)) + piece for piece in pieces) + b"\0"
    if how is Packing.BROTLI:
        import brotli

        return bytes(brotli.compress(content))
    raise ContainerError("content that is packed in an unknown way cannot be written")


def _from_hex(budget: Budget, text: bytes, where: str, name: str) -> bytes | None:
    r"""The bytes of a raw profile: `\nname\n   length\nhexadecimal, in lines`."""
    fields = text.strip(b"\n").split(b"\n", 2)
    try:
        if len(fields) == 3 and fields[1].strip().isdigit():
            if fields[0].lower() not in (*PROFILE_NAMES, name.rpartition(" ")[2].lower().encode("latin-1")):
                budget.lose("raw profile", f"{where} name of a profile", len(fields[0]))
            digits = fields[2].translate(None, b" \r\n\t")
            stated = 2 * int(fields[1][:16])
            budget.lose("gap", f"{where} behind its profile", len(digits) - stated if stated else 0)
            return binascii.unhexlify(digits[:stated] if stated else digits)
    except binascii.Error:
        pass
    budget.warn(f"{where}: broken {name!r}")
    budget.lose("raw profile", where, len(text))
    return None


def _to_hex(content: bytes, name: str) -> bytes:
    digits = binascii.hexlify(content)
    lines = b"\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    return b"\n%s\n%8d\n%s\n" % (name.rpartition(" ")[2].lower().encode("latin-1"), len(content), lines)


def _brotli(budget: Budget, data: bytes, where: str) -> bytes | None:
    """Decompressed Brotli data, piece by piece, so that a bomb stops at the file's budget."""
    import brotli

    engine, pieces = brotli.Decompressor(), []
    try:
        # A few bytes of Brotli may hold gigabytes: the output of one call is bounded as well.
        pieces.append(engine.process(data, output_buffer_limit=OUTPUT))
        while not engine.can_accept_more_data() and not engine.is_finished():
            pieces.append(engine.process(b"", output_buffer_limit=OUTPUT))
            budget.inflated += len(pieces[-1])
            if budget.inflated > MAX_INFLATED:
                budget.warn(f"{where}: inflates to more than {MAX_INFLATED:,} bytes; ignored")
                budget.lose("limit", where, len(data))
                return None
    except brotli.error:
        budget.warn(f"{where}: broken Brotli data")
        budget.lose("box", where, len(data))
        return None
    if not engine.is_finished():
        budget.warn(f"{where}: Brotli data end early")
        budget.lose("box", where, len(data))
    return b"".join(pieces)


def _blocks(data: bytes) -> list[bytes]:
    """The bytes of a run of sub-blocks."""
    pieces: list[bytes] = []
    at = 0
    while at < len(data) and data[at] and len(pieces) < MAX_SUB_BLOCKS:
        pieces.append(data[at + 1 : at + 1 + data[at]])
        at += data[at] + 1
    return pieces
