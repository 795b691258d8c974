"""Spaces and luminances, against colour mathematics by hand and ImageMagick: 8 and 16 bits, whole and in strips."""

from __future__ import annotations

import io
import struct
import subprocess
from collections.abc import Callable

import numpy as np
import pytest
import tifffile
from flask.testing import FlaskClient
from PIL import Image

from functions.histogram.analysis import Choices, analyse
from functions.histogram.counting.profiles import Profile, ProfileError
from functions.histogram.main import HistogramSettings
from functions.kit.images import opening
from functions.kit.images.samples import model
from tests.functions.histogram.test_against_imagemagick import CONVERT
from tests.functions.histogram.workers import stay_here
from tests.images import encoded, png_of

SETTINGS = HistogramSettings(function="histogram")
PIXELS = np.random.default_rng(5).integers(0, 256, (90, 70, 3), dtype=np.uint8)
DEEP = np.random.default_rng(6).integers(0, 65536, (90, 70, 3), dtype=np.uint16)
SMOOTH = np.stack(np.meshgrid(np.arange(256), np.arange(256))[:1] * 3, axis=2).astype(np.uint8)
WEIGHTS = {"601": (0.299, 0.587, 0.114), "709": (0.2126, 0.7152, 0.0722), "y": (0.2126, 0.7152, 0.0722)}
# Adobe RGB (1998): colorants adapted to D50, as its specification lists them, and Y under its own white, D65.
ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
ADOBE_Y = (0.29734, 0.62736, 0.07529)
D65 = (0.95047, 1.0, 1.08883)
SRGB_D50 = np.array(
    ((0.4360747, 0.3850649, 0.1430804), (0.2225045, 0.7168786, 0.0606169), (0.0139322, 0.0971045, 0.7141733))
)


def number(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def curve(*points: int) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(f">I{len(points)}H", len(points), *points)


def parametric(kind: int, *parameters: float) -> bytes:
    return b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + b"".join(map(number, parameters))


def xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(map(number, values))


def profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC profile of version 2 for a display."""
    name = b"made by hand\0"
    tags = {b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + bytes(78), b"wtpt": xyz(*D65), **tags}
    table, body, at = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for key, value in tags.items():
        padded = value + bytes(-len(value) % 4)
        table += key + struct.pack(">II", at + len(body), len(value))
        body += padded
    size = at + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02200000, b"mntr", space, b"XYZ ") + bytes(12) + b"acsp"
    head = head.ljust(68, b"\0") + b"".join(map(number, (0.9642, 1.0, 0.8249)))
    return head.ljust(128, b"\0") + table + body


def rgb_profile(tone: bytes) -> bytes:
    names = zip((b"rXYZ", b"gXYZ", b"bXYZ"), ADOBE, strict=True)
    return profile(b"RGB ", {**{name: xyz(*one) for name, one in names}, b"rTRC": tone, b"gTRC": tone, b"bTRC": tone})


def srgb(values: np.ndarray) -> np.ndarray:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def to_srgb(light: np.ndarray) -> np.ndarray:
    light = light.clip(0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def rounded(values: np.ndarray, top: int) -> list[int]:
    return np.bincount(np.floor(values * top + 0.5).astype(int).ravel(), minlength=top + 1).tolist()


def grouped(values: np.ndarray) -> list[int]:
    """256 counts of values 0 to 1 at 16 bits."""
    return np.bincount(np.floor(values * 65535 + 0.5).astype(int).ravel() >> 8, minlength=256).tolist()


def png16(values: np.ndarray) -> bytes:
    height, width = values.shape[:2]
    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png_of(width, height, 16, 2, lines, b"").replace(b"\0\0\0\0tRNS", b"\0\0\0\0teSt")


def tiff(values: np.ndarray, icc: bytes | None = None, **options: object) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, values, photometric="rgb", iccprofile=icc, **options)
    return out.getvalue()


def answer(data: bytes, **choices: object) -> dict[str, object]:
    return analyse(data, SETTINGS, Choices(**choices)).document()


def in_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "LARGE_PIXELS", 1000)
    monkeypatch.setattr(model, "STRIP_PIXELS", 2000)
    stay_here(monkeypatch)


def whole(monkeypatch: pytest.MonkeyPatch) -> None:
    pass


@pytest.mark.parametrize("way", [whole, in_strips])
@pytest.mark.parametrize("luminance", WEIGHTS)
def test_light_of_8_bits(
    luminance: str, way: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    way(monkeypatch)
    light = srgb(PIXELS / 255)
    found = answer(encoded(Image.fromarray(PIXELS)), space="linear", luminance=luminance)
    for band, name in enumerate(("red", "green", "blue")):
        assert found["channels"][name] == rounded(light[..., band], 255)
    assert found["histogram"] == rounded(light @ np.array(WEIGHTS[luminance]), 255)
    assert found["space"]["used"] == "linear"
    assert found["space"]["curve"] == "sRGB"


@pytest.mark.parametrize("way", [whole, in_strips])
@pytest.mark.parametrize("make", [png16, lambda values: tiff(values, rowsperstrip=8)], ids=["PNG", "TIFF"])
@pytest.mark.parametrize("luminance", WEIGHTS)
def test_light_of_16_bits(
    make: Callable[[np.ndarray], bytes],
    luminance: str,
    way: Callable[[pytest.MonkeyPatch], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    way(monkeypatch)
    light = srgb(DEEP / 65535)
    found = answer(make(DEEP), space="linear", luminance=luminance)
    assert found["range"] == [0, 65535]
    for band, name in enumerate(("red", "green", "blue")):
        assert found["channels"][name] == grouped(light[..., band])
    assert found["histogram"] == grouped(light @ np.array(WEIGHTS[luminance]))


def test_every_level_of_16_bits_of_light() -> None:
    found = answer(png16(DEEP), space="linear", luminance="y", bins=65536)
    assert found["histogram"] == rounded(srgb(DEEP / 65535) @ np.array(WEIGHTS["y"]), 65535)


@pytest.mark.parametrize("bits", [8, 16])
def test_luma_of_rec_709_and_y_of_encoded_values(bits: int) -> None:
    data = encoded(Image.fromarray(PIXELS)) if bits == 8 else png16(DEEP)
    values = (PIXELS if bits == 8 else DEEP).astype(np.int64)
    found = answer(data, luminance="709")
    luma = (values @ [2126, 7152, 722] + 5000) // 10000 >> bits - 8
    assert found["histogram"] == np.bincount(luma.ravel(), minlength=256).tolist()
    plain = answer(data)
    assert found["channels"] == plain["channels"]
    assert found["space"] == {"wanted": "encoded", "used": "encoded", "luminance": "709"}
    light = srgb(values / (2**bits - 1)) @ np.array(WEIGHTS["y"])
    found = answer(data, luminance="y")
    assert found["histogram"] == (rounded(light, 255) if bits == 8 else grouped(light))
    assert found["channels"] == plain["channels"]
    assert found["space"]["luminance"] == "y"


def test_luma_of_rec_709_of_all_colours() -> None:
    """Each red and green at some blues: halves are rounded up in each case."""
    red, green = np.meshgrid(np.arange(256), np.arange(256))
    for blue in (0, 5, 36, 255):
        values = np.stack([red, green, np.full_like(red, blue)], axis=2)
        found = answer(encoded(Image.fromarray(values.astype(np.uint8))), luminance="709", colours=0)
        luma = (values @ [2126, 7152, 722] + 5000) // 10000
        assert found["histogram"] == np.bincount(luma.ravel(), minlength=256).tolist()


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1"])
def test_light_of_other_modes(mode: str) -> None:
    image = Image.fromarray(PIXELS).convert(mode)
    found = answer(encoded(image), space="linear", luminance="y")
    rgb = np.asarray(image.convert("RGB")) / 255
    name = "gray" if mode in {"L", "LA", "1"} else "green"
    assert found["channels"][name] == rounded(srgb(rgb[..., 1]), 255)
    light = srgb(rgb[..., 1]) if name == "gray" else srgb(rgb) @ np.array(WEIGHTS["y"])
    assert found["histogram"] == rounded(light, 255)
    gray = answer(encoded(image), luminance="y")
    assert gray["histogram"] == rounded(light, 255)


CURVES = {
    "gamma": (curve(round(2.2 * 256)), lambda v: v ** (round(2.2 * 256) / 256)),
    "points": (
        curve(0, 8192, 32768, 65535),
        lambda v: np.interp(3 * v, range(4), np.array([0, 8192, 32768, 65535]) / 65535),
    ),
    "identity": (curve(), lambda v: v),
    "parametric 0": (parametric(0, 1.8), lambda v: v**1.8),
    "parametric 1": (parametric(1, 2.0, 1.25, -0.25), lambda v: np.maximum(1.25 * v - 0.25, 0) ** 2),
    "parametric 2": (parametric(2, 2.0, 1.0, -0.125, 0.125), lambda v: np.maximum(v - 0.125, 0) ** 2 + 0.125),
    "parametric 3": (parametric(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045), srgb),
    "parametric 4": (
        parametric(4, 2.0, 0.75, 0.0, 0.25, 0.5, 0.25, 0.0),
        lambda v: np.where(v >= 0.5, (0.75 * v) ** 2 + 0.25, v / 4),
    ),
}


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("bits", [8, 16])
def test_the_curve_of_a_profile_is_undone(name: str, bits: int) -> None:
    stored, light = CURVES[name]
    icc = rgb_profile(stored)
    data = encoded(Image.fromarray(PIXELS), icc_profile=icc) if bits == 8 else tiff(DEEP, icc)
    values = PIXELS / 255 if bits == 8 else DEEP / 65535
    found = answer(data, space="linear", luminance="y")
    assert found["space"]["curve"] == "profile"
    assert found["space"]["profile"] == "made by hand"
    count = (lambda each: rounded(each, 255)) if bits == 8 else grouped
    ours, theirs = np.cumsum(found["channels"]["green"]), np.cumsum(count(light(values)[..., 1]))
    assert np.abs(ours - theirs).max() <= 40  # parameters are stored with 16 bits behind the point
    ours, theirs = np.cumsum(found["histogram"]), np.cumsum(count(light(values) @ np.array(ADOBE_Y)))
    assert np.abs(ours - theirs).max() <= 40


def test_y_of_a_profile_is_under_its_own_white() -> None:
    assert Profile(rgb_profile(curve(563))).luminance() == pytest.approx(ADOBE_Y, abs=2e-4)
    tags = {b"chad": b"sf32\0\0\0\0" + b"".join(number(each) for each in np.eye(3).ravel())}
    unadapted = {name: xyz(*one) for name, one in zip((b"rXYZ", b"gXYZ", b"bXYZ"), ADOBE, strict=True)}
    found = Profile(profile(b"RGB ", {**unadapted, **tags})).luminance()
    assert found == pytest.approx([one[1] for one in ADOBE], abs=2e-4)


def displayed(values: np.ndarray, exponent: float) -> np.ndarray:
    """From the profile to sRGB, by matrices."""
    return to_srgb(values**exponent @ np.array(ADOBE) @ np.linalg.inv(SRGB_D50).T)


@pytest.mark.parametrize("way", [whole, in_strips])
@pytest.mark.parametrize("bits", [8, 16])
def test_the_picture_of_a_display(
    bits: int, way: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    way(monkeypatch)
    icc = rgb_profile(curve(563))
    inside = 40 + PIXELS // 2  # colours that sRGB has
    deep = 10000 + DEEP // 2
    data = encoded(Image.fromarray(inside), icc_profile=icc) if bits == 8 else tiff(deep, icc, rowsperstrip=8)
    wanted = displayed(inside / 255 if bits == 8 else deep / 65535, 563 / 256)
    found = answer(data, space="display", luminance="709")
    assert found["space"]["used"] == "display"
    for band, name in enumerate(("red", "green", "blue")):
        theirs = rounded(wanted[..., band], 255) if bits == 8 else grouped(wanted[..., band])
        moved = np.abs(np.cumsum(found["channels"][name]) - np.cumsum(theirs)).sum() / PIXELS[..., 0].size
        assert moved < (0.3 if bits == 8 else 0.005)  # levels, on average
        assert moved < 0.2 * np.abs(np.cumsum(answer(data)["channels"][name]) - np.cumsum(theirs)).sum() / 6300


def test_gray_stays_gray_on_a_display() -> None:
    icc = profile(b"GRAY", {b"kTRC": curve(round(1.0 * 256))})
    values = np.arange(256, dtype=np.uint8).repeat(8).reshape(32, 64)
    found = answer(encoded(Image.fromarray(values), icc_profile=icc), space="display")
    assert list(found["channels"]) == ["gray"]
    moved = np.abs(np.cumsum(found["histogram"]) - np.cumsum(rounded(to_srgb(values / 255), 255))).sum() / values.size
    assert moved < 0.6
    assert answer(encoded(Image.fromarray(values), icc_profile=icc), space="linear")["histogram"] == [8] * 256


def test_transparency_on_a_display() -> None:
    image = Image.fromarray(PIXELS).convert("RGBA")
    image.putalpha(Image.fromarray(np.where(PIXELS[..., 0] < 128, 0, 255).astype(np.uint8)))
    data = encoded(image, icc_profile=rgb_profile(curve(563)))
    found = answer(data, space="display", ignore_transparent=True)
    assert found["ignored"] == int((PIXELS[..., 0] < 128).sum())
    assert found["channels"]["alpha"][255] == found["pixels"]


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: encoded(Image.fromarray(PIXELS)), "no ICC profile"),
        (lambda: encoded(Image.fromarray(PIXELS).convert("CMYK"), "TIFF"), "no ICC profile"),
        (lambda: encoded(Image.fromarray(PIXELS), icc_profile=b"x" * 200), "broken"),
        (lambda: encoded(Image.fromarray(PIXELS), icc_profile=profile(b"CMYK", {})), "is for CMYK"),
        (lambda: encoded(Image.fromarray(PIXELS), icc_profile=profile(b"RGB ", {})), "does not convert"),
    ],
)
def test_what_no_display_can_show_is_counted_as_encoded(make: Callable[[], bytes], reason: str) -> None:
    data = make()
    found, plain = answer(data, space="display"), answer(data)
    assert (found["space"]["wanted"], found["space"]["used"]) == ("display", "encoded")
    assert reason in found["space"]["reason"]
    assert found["histogram"] == plain["histogram"]


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: encoded(Image.fromarray(PIXELS).convert("CMYK"), "TIFF"), "CMYK"),
        (lambda: encoded(Image.fromarray(PIXELS), icc_profile=profile(b"RGB ", {b"A2B0": b"mft2"})), "tables"),
        (lambda: tiff(DEEP.astype(np.int16)), "16-bit integers"),
        (lambda: tiff(DEEP.astype(np.uint32)), "32-bit integers"),
    ],
)
def test_what_has_no_curve_is_counted_as_encoded(make: Callable[[], bytes], reason: str) -> None:
    data = make()
    found, plain = answer(data, space="linear", luminance="y"), answer(data)
    assert (found["space"]["used"], found["space"]["luminance"]) == ("encoded", "601")
    assert reason in found["space"]["reason"]
    assert found["histogram"] == plain["histogram"]


def test_floating_point_is_light_already() -> None:
    values = (DEEP / 65535).astype(np.float32)
    found, plain = answer(tiff(values), space="linear", luminance="y"), answer(tiff(values))
    assert (found["space"]["used"], found["space"]["curve"]) == ("linear", "linear")
    assert found["channels"] == plain["channels"]
    light = values.astype(float) @ np.array(WEIGHTS["y"])
    low, high = found["range"]
    wanted = np.bincount(np.floor((light - low) / (high - low) * 256).clip(0, 255).astype(int).ravel(), minlength=256)
    assert found["histogram"] == wanted.tolist()


@pytest.mark.parametrize(("gamma", "exponent"), [(100_000, 1.0), (50_000, 2.0), (45_455, None)])
def test_the_gamma_of_a_png(gamma: int, exponent: float | None) -> None:
    data = encoded(Image.fromarray(PIXELS))
    import zlib

    chunk = b"gAMA" + struct.pack(">I", gamma)
    data = data[:33] + struct.pack(">I", 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:]
    found = answer(data, space="linear")
    light = srgb(PIXELS / 255) if exponent is None else (PIXELS / 255) ** exponent
    assert found["channels"]["red"] == rounded(light[..., 0], 255)


@pytest.mark.skipif(not CONVERT.exists(), reason="the program convert (ImageMagick) is not installed")
@pytest.mark.parametrize("bits", [8, 16])
def test_light_is_imagemagicks(bits: int) -> None:
    data = encoded(Image.fromarray(PIXELS)) if bits == 8 else png16(DEEP)
    kept = ["-set", "colorspace", "sRGB", "-depth", "16", "-endian", "LSB"]
    command = [CONVERT, "png:-", "-colorspace", "RGB", *kept, "rgb:-"]
    raw = subprocess.run(command, input=data, capture_output=True, check=True).stdout
    values = np.frombuffer(raw, "<u2").reshape(-1, 3).astype(int)
    values = values if bits == 16 else (values + 128) // 257
    found = answer(data, space="linear", bins=256 if bits == 8 else 65536)
    for band, name in enumerate(("red", "green", "blue")):
        theirs = np.bincount(values[:, band], minlength=256 if bits == 8 else 65536)
        moved = np.abs(np.cumsum(found["channels"][name]) - np.cumsum(theirs)).sum() / len(values)
        assert moved < (0.01 if bits == 8 else 1.0)  # levels


@pytest.mark.parametrize("cut", range(0, 600, 7))
def test_broken_profiles_are_named_and_nothing_else(cut: int) -> None:
    icc = bytearray(rgb_profile(parametric(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)))
    cut %= len(icc)
    for broken in (bytes(icc[:cut]), bytes(icc[:cut] + b"\xff" * 4 + icc[cut + 4 :])):
        try:
            made = Profile(broken)
            made.curves()
            made.luminance()
        except ProfileError:
            pass
        if broken:
            data = encoded(Image.fromarray(PIXELS), icc_profile=broken)
            for space in ("linear", "display"):
                found = answer(data, space=space, luminance="y", colours=0)
                assert sum(found["histogram"]) == PIXELS[..., 0].size


def test_over_http(client: FlaskClient) -> None:
    data = encoded(Image.fromarray(PIXELS))
    found = client.post("/?space=linear&luminance=y", data=data)
    assert found.get_json()["space"] == {
        "wanted": "linear", "used": "linear", "luminance": "y", "curve": "sRGB", "profile": None, "reason": None
    }  # fmt: skip
    assert client.post("/?space=lab", data=data).get_json()["option"] == "space"
    assert client.post("/?luminance=x", data=data).get_json()["option"] == "luminance"
    zones = found.get_json()["zones"]
    light = srgb(PIXELS / 255) @ np.array(WEIGHTS["y"])
    assert zones[0] == pytest.approx(100 * float((np.floor(light * 255 + 0.5) / 255 > 0.5).mean()), abs=1e-3)


@pytest.fixture(scope="module")
def client() -> FlaskClient:
    import functions_framework

    from functions.histogram import main

    return functions_framework.create_app("histogram", main.__file__, "http").test_client()
