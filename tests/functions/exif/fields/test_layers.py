"""Layers of a PSD: records made by hand after Adobe's specification."""

from __future__ import annotations

import struct

import pytest

from functions.exif.answer import examine, flat


def block(key: bytes, body: bytes) -> bytes:
    return b"8BIM" + key + struct.pack(">I", len(body)) + body + bytes(-len(body) % 4)


def layer(name: bytes, opacity: int, flags: int, *blocks: bytes) -> bytes:
    label = bytes((len(name),)) + name
    extra = bytes(4) + bytes(4) + label + bytes(-len(label) % 4) + b"".join(blocks)
    head = struct.pack(">4IH", 0, 0, 10, 20, 1) + struct.pack(">hI", 0, 2)
    return head + b"8BIMmul " + bytes((opacity, 0, flags, 0)) + struct.pack(">I", len(extra)) + extra


def psd(*layers: bytes) -> bytes:
    title = "Schicht".encode("utf-16-be")
    named = block(b"luni", struct.pack(">I", 7) + title)
    records = layers or (layer(b"back", 255, 0), layer(b"front", 128, 2, named, block(b"lclr", b"\0\4" + bytes(6))))
    info = struct.pack(">h", len(records)) + b"".join(records) + b"\0\0\x80\x80" * len(records)
    section = struct.pack(">I", len(info)) + info
    head = b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 10, 20, 8, 3)
    return head + bytes(4) + bytes(4) + struct.pack(">I", len(section)) + section + b"\0\0" + bytes(600)


def test_layers_of_a_psd():
    reading = examine(psd())
    assert reading is not None
    found = flat(reading)
    assert found["Photoshop:LayerCount"] == 2
    assert found["Photoshop:LayerNames"] == ["back", "front"]
    assert found["Photoshop:LayerUnicodeNames"] == ["", "Schicht"]
    assert found["Photoshop:LayerColors"] == ["", "Green"]
    assert found["Photoshop:LayerVisible"] == ["Yes", "No"]
    assert found["Photoshop:LayerOpacities"] == ["100%", "50%"]
    assert found["Photoshop:LayerBlendModes"] == ["Multiply", "Multiply"]
    assert found["Photoshop:LayerRectangles"] == ["0 0 10 20", "0 0 10 20"]


@pytest.mark.parametrize("step", [1, 5])
def test_broken_layers_never_raise(step: int):
    data = psd()
    for at in range(30, len(data) - 600, step):
        examine(data[:at] + b"\xff\xff\xff\xff" + data[at + 4 :])
