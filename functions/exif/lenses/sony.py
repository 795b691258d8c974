"""Sony's enciphered blocks of the body and what is mounted on it: serial number, and the number of an E-mount lens.

Each byte stands for its cube modulo 249, a substitution known since 2006 (dcraw; ExifTool's notes on tag 0x9050). Where
the serial number stands in the block of the body depends on the model. The lens stands in it too, at one place for all
models but the newest, which have it in a block of its own (ExifTool's tables Sony Tag9050 and Tag9416).
"""

from __future__ import annotations

import re

_PLAIN = bytes({pow(byte, 3, 249): byte for byte in range(249)}.get(byte, byte) for byte in range(256))
# Models whose block has another layout, or none.
_NEWEST = re.compile(r"ILCE-(1|7M4|7RM5|7SM3|7CM2|7CR|6700|9M3|1M2)\b|ILME-FX3|ZV-E1\b")
_NEWER = re.compile(r"ILCE-(6100|6300|6400|6500|6600|7C|7M3|7RM2|7RM3A?|7RM4A?|7SM2|9|9M2)\b|ILCA-99M2|ZV-E10")
_OTHERS = re.compile(r"DSC-|Stellar|ZV-")
# Where a block says which mount there is, and the number of what is mounted on it.
_IN_BODY, _IN_NEWEST = (0x0105, 0x0107), (0x4A, 0x4B)
E_MOUNT = 2


def deciphered(data: bytes) -> bytes:
    """The bytes that enciphered ones stand for."""
    return data.translate(_PLAIN)


def serial_number(data: bytes, model: str) -> str:
    """The body's internal serial number in hexadecimal; empty where the block does not have it.

    Args:
        data: the enciphered block.
        model: of the camera.
    """
    if _NEWEST.match(model):
        at, size = (0x8A, 6) if model == "ILCE-1" else (0x88, 6)
    elif _NEWER.match(model):
        at, size = 0x88, 6
    elif _OTHERS.match(model) or re.match(r"Lunar|NEX-(5N|7$|VG20E)", model):
        return ""
    else:
        at, size = (0xF0, 5) if re.match("SLT-|HV|ILCA-", model) else (0x7C, 4)
    found = deciphered(data[at : at + size])
    return found.hex() if len(found) == size else ""


def mounted(body: bytes, lens: bytes, model: str) -> int | None:
    """The number of the E-mount lens that is mounted; None for other mounts and other blocks.

    Args:
        body: the enciphered block of the body, tag 0x9050; empty where there is none.
        lens: that of the newest models, tag 0x9416; empty where there is none.
        model: of the camera.
    """
    if _NEWEST.match(model):
        block, (mount, number) = lens, _IN_NEWEST
    elif _OTHERS.match(model) and not _NEWER.match(model):
        return None
    else:
        block, (mount, number) = body, _IN_BODY
    found = deciphered(block[mount : number + 2])
    if len(found) < number + 2 - mount or found[0] != E_MOUNT:
        return None
    return int.from_bytes(found[-2:], "little")
