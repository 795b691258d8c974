"""Nikon's lenses: eight bytes that say which one, in plain sight in old notes and behind a cipher in newer ones.

The cipher is keyed by two other values of the note, the body's serial number and its count of releases; its two tables
have been public since 2005 (dcraw, and the list of lenses that R. Rottmerhusen keeps).
"""

from __future__ import annotations

from functions.exif.lenses import numbers

_SERIAL_TABLE = bytes.fromhex(
    "c1bf6d0d59c5139d83616b4fc77f3d3d5359e3c7e92f95a7951fdf7f2b29c70ddf07ef71893d133d3b13fb0d89c1651fb30d6b29e3fbefa3"
    "6b477f9535a7474fc7f1599535112961f13db32b0d4389c19d9d8965f1e9dfbf3d7f5397e5e995171d3d8bfbc7e367a707f171a753b52989"
    "e52ba71729e94fc5656d6bef0d89492fb34353651d49a3138959ef6bef651d0b5913e34f9db329432b071d95595947fbe5e961472f357f17"
    "7fef7f959571d3a30b71a3ad0b3bb5fba3bf4f831dade92f7165a3e507353d0db5e9e5473b9def35a3bfb3df53d397534971073561712f43"
    "2f11df1797fb953b7f6bd325bfadc7c5c5b58bef2fd3076b25499525496d71c7"
)
_COUNT_TABLE = bytes.fromhex(
    "a7bcc9ad91df85e5d478d517467c294c4d03e925681186b3bdf76f6122a226342abe1e4614689d4418c240f47e5f1bad0b94b667b40be1ea"
    "959c66dce75d6c05dad5df7aeff6db1f824cc06847a1bdee3950564adddfa5f8c6daca90ca01429d8b0c7343750594de24b38034e52cdc9b"
    "3fca3345d0db5ff552c321dae222726b3ed05ba8878c065d0fdd091993d0b9fc8b0f8460331c9b45f1f0a3943a1277334d4478283c9efd65"
    "5716946bfb59d0c82236dbd2639843a1048786f7a626bbd6594dbf6a2eaa2befe678b64ee02fdc7cbe5719327e2ad0b8ba29003c527da849"
    "3b2deb2549faa3aa39a7c5a7501136fbc6674af5a512657eb0dfaf4eb3617f2f"
)
# Where the lens stands in LensData, by its version: number, stops, focal lengths, apertures and version of its program.
_PLACES = {
    b"0100": 0x06,
    b"0101": 0x0B,
    b"0201": 0x0B,
    b"0202": 0x0B,
    b"0203": 0x0B,
    b"0204": 0x0C,
    b"0800": 0x0D,
    b"0801": 0x0D,
    b"0802": 0x0D,
}
# Where the number of a Z lens stands, two bytes.
_Z_LENS = 0x30
_PLAIN = 4


def decrypted(data: bytes, serial: int, count: int) -> bytes:
    """Bytes behind the cipher; it is its own inverse.

    Args:
        data: from the first encrypted byte on.
        serial: number of the body.
        count: of its releases.
    """
    step = _SERIAL_TABLE[serial & 0xFF]
    mask = _COUNT_TABLE[(count ^ count >> 8 ^ count >> 16 ^ count >> 24) & 0xFF]
    factor = 0x60
    plain = bytearray()
    for byte in data:
        mask = (mask + step * factor) & 0xFF
        factor = (factor + 1) & 0xFF
        plain.append(byte ^ mask)
    return bytes(plain)


def key(data: bytes, kind: int, serial: str, count: int | None, model: str) -> str:
    """The eight bytes of a lens in hexadecimal; empty where they cannot be read.

    Args:
        data: LensData as the note has them.
        kind: LensType, the lens's flags.
        serial: of the body, as the note has it.
        count: of its releases.
        model: of the camera: bodies without a number in their serial number have one key a model.
    """
    at = _PLACES.get(data[:4])
    if at is None:
        return ""
    found = _opened(data, at + 7, serial, count, model)[at:]
    # A camera of the Z mount keeps zeros here while it has a lens of its own.
    if len(found) < 7 or (data.startswith(b"08") and not any(found)):
        return ""
    return f"{found.hex()}{kind:02x}".upper()


def z_lens(data: bytes, serial: str, count: int | None, model: str) -> int:
    """The number of a Z lens; 0 where there is none. Arguments as for `key`."""
    if not data.startswith((b"0800", b"0801", b"0802")):
        return 0
    return int.from_bytes(_opened(data, _Z_LENS + 2, serial, count, model)[_Z_LENS:], "little")


def _opened(data: bytes, end: int, serial: str, count: int | None, model: str) -> bytes:
    """LensData up to an end in plain sight; empty without the keys to them."""
    if data.startswith(b"01"):
        return data[:end]
    if count is None or not serial:
        return b""
    number = int(serial) if serial.isascii() and serial.isdigit() else 0x22 if model.endswith("D50") else 0x60
    return data[:_PLAIN] + decrypted(data[_PLAIN:end], number, count)


def name(lens: str) -> str:
    """The name of a lens by its key; `Unknown (…)` where nobody knows it.

    Some makers changed the number of stops of a lens and nothing else: the first of the others counts then.
    """
    known = numbers("nikon")
    names = known.get(lens)
    if names is None:
        names = next((names for other, names in known.items() if other[:2] == lens[:2] and other[4:] == lens[4:]), None)
    return " or ".join(names) if names else f"Unknown ({spaced(lens)})"


def spaced(lens: str) -> str:
    """A lens's key, a space between its bytes."""
    return bytes.fromhex(lens).hex(" ").upper()
