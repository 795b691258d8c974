"""Pictures whose data end early: the rows that are there, or a refusal; never a count of what was not decoded."""

from __future__ import annotations

import io
import struct

import pytest
from PIL import Image

from functions.kit.http.problems import Problem
from functions.kit.http.settings import Settings
from functions.kit.images.opening import EXTENT, LargeImageError, open_image, open_pixels
from functions.kit.images.samples.model import Samples
from tests.images import encoded, noise

SETTINGS = Settings()
PICTURE = noise((120, 200))
# The share of the file that is kept; whether rows of it are known.
FORMS = {
    "JPEG": {"quality": 90},
    "PNG": {},
    "BMP": {},
    "TIFF": {},
    "PPM": {},
    "GIF": {"interlace": 0},
    "TGA": {},
    "PCX": {},
    "QOI": {},
    "DDS": {},
}
UNKNOWN = ("WEBP", "AVIF", "JPEG2000")


def rows_of(image: Image.Image, top: int, bottom: int) -> bytes:
    return image.crop((0, top, image.width, bottom)).tobytes()


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("form", FORMS)
def test_the_rows_that_are_known_are_those_of_the_whole_picture(form: str, share: float) -> None:
    data = encoded(PICTURE.convert("P") if form == "GIF" else PICTURE, form, **FORMS[form])
    whole = Image.open(io.BytesIO(data))
    whole.load()
    with open_image(data[: int(len(data) * share)], SETTINGS) as image:
        extent = image.info[EXTENT]
        assert (extent.top == 0) != (extent.bottom == 200)
        assert extent.bottom - extent.top == pytest.approx(200 * share, abs=20)
        assert rows_of(image, extent.top, extent.bottom) == rows_of(whole, extent.top, extent.bottom)
        assert extent.known


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK"])
def test_rows_are_known_in_every_mode(mode: str) -> None:
    image = noise((200, 200)).convert(mode)
    form = "TIFF" if mode == "CMYK" else "PNG"
    data = encoded(image, form)
    with open_image(data[: len(data) // 2], SETTINGS) as found:
        extent = found.info[EXTENT]
        assert 60 < extent.bottom < 140
        assert rows_of(found, 0, extent.bottom) == rows_of(image, 0, extent.bottom)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("form", UNKNOWN)
def test_a_format_whose_rows_are_not_known_is_refused(form: str, share: float) -> None:
    data = encoded(PICTURE, form)
    with pytest.raises(Problem) as caught, open_image(data[: int(len(data) * share)], SETTINGS):
        pass
    assert caught.value.status == 422


def test_an_interlaced_png_that_ends_early_is_refused() -> None:
    from tests.functions.kit.images.hostile import png

    # Adam7 of 8 × 8 gray: with three of the seven passes, no row is whole.
    passes = b"".join(b"\0" + bytes(width) for width in (1, 1, 2, 2, 2, 4, 4, 4, 4))
    header = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 1)
    with pytest.raises(Problem, match="truncated"), open_image(png(header, passes[:6]), SETTINGS):
        pass


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("missing", [1, 2])
def test_a_jpeg_without_its_end_marker_is_whole(progressive: bool, missing: int) -> None:
    data = encoded(PICTURE, "JPEG", progressive=progressive)
    with open_image(data, SETTINGS) as image:
        pixels = image.tobytes()
    with open_image(data[:-missing], SETTINGS) as image:
        assert image.tobytes() == pixels
        assert image.info[EXTENT] == (0, 200, True)


@pytest.mark.parametrize("missing", [10, 50, 200])
def test_a_jpeg_without_its_last_bytes_is_counted(missing: int) -> None:
    for progressive in (False, True):
        data = encoded(PICTURE, "JPEG", progressive=progressive)
        with open_image(data[:-missing], SETTINGS) as image:
            extent = image.info[EXTENT]
            assert extent.known is not progressive
            assert (extent.bottom < 200) is not progressive


@pytest.mark.parametrize("size", [(640, 480), (333, 471)])
@pytest.mark.parametrize("missing", [5, 20, 50, 180])
def test_a_cut_in_the_last_row_of_blocks_is_not_a_missing_marker(missing: int, size: tuple[int, int]) -> None:
    for subsampling in (0, 2):
        data = encoded(noise(size), "JPEG", quality=92, subsampling=subsampling)
        with open_image(data[:-missing], SETTINGS) as image:
            extent = image.info[EXTENT]
            assert extent.known
            assert size[1] - 40 < extent.bottom < size[1]


def test_a_progressive_jpeg_without_its_last_scans_is_refused() -> None:
    data = encoded(PICTURE, "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    with pytest.raises(Problem) as caught, open_image(data[:last], SETTINGS):
        pass
    assert caught.value.status == 422


@pytest.mark.parametrize("colour", [0, 2])
def test_a_deep_png_that_ends_early(colour: int) -> None:
    from tests.functions.kit.images.hostile import png

    bands = {0: 1, 2: 3}[colour]
    rows = noise((40, 60)).resize((40 * bands * 2, 60)).convert("L").tobytes()
    lines = b"".join(b"\0" + rows[at : at + 80 * bands] for at in range(0, len(rows), 80 * bands))
    whole = png(struct.pack(">IIBBBBB", 40, 60, 16, colour, 0, 0, 0), lines)
    with open_pixels(whole[: len(whole) // 2], SETTINGS) as found:
        assert isinstance(found, Samples)
        assert 15 < found.rows < 45
        import numpy as np

        values = np.concatenate(list(found.strips()))
        expected = np.frombuffer(rows, ">u2").reshape(60, 40, bands)[: found.rows]
        assert values.shape == expected.shape
        assert (values == expected).all()


@pytest.mark.parametrize("name", ["heic", "avif"])
def test_tiles_that_are_missing_are_not_black(name: str) -> None:
    image = encoded(noise((64, 64)), "AVIF")
    boxes = image.index(b"mdat") - 4
    size = int.from_bytes(image[boxes : boxes + 4], "big")
    brand = image if name == "avif" else image.replace(b"ftypavif", b"ftypheic", 1).replace(b"avif", b"heic", 1)
    cut = brand[: len(image) - size // 2]
    with pytest.raises(Problem, match=f"ends {size // 2:,} bytes before") as caught, open_image(cut, SETTINGS):
        pass
    assert caught.value.status == 422


def test_rows_of_a_gif_with_transparency() -> None:
    data = encoded(PICTURE.quantize(200), "GIF", interlace=0, transparency=3)
    with Image.open(io.BytesIO(data)) as whole:
        whole.load()
        with open_image(data[: len(data) // 2], SETTINGS) as image:
            extent = image.info[EXTENT]
            assert 80 < extent.bottom < 120
            assert rows_of(image, 0, extent.bottom) == rows_of(whole, 0, extent.bottom)


def test_an_interlaced_gif_that_ends_early_is_refused() -> None:
    data = encoded(PICTURE.convert("P"), "GIF", interlace=1)
    with pytest.raises(Problem) as caught, open_image(data[: len(data) // 2], SETTINGS):
        pass
    assert caught.value.status == 422


def test_decoders_in_python_read_what_they_need_and_no_more() -> None:
    """A BMP with run lengths, a QOI and a DDS of many pieces are decoded; the largest in a process of their own."""
    for form in ("QOI", "DDS"):
        with open_image(encoded(noise((300, 300)), form), SETTINGS) as image:
            assert image.size == (300, 300)
        with pytest.raises(LargeImageError), open_pixels(encoded(noise((1100, 1000)), form), SETTINGS):
            pass


def test_a_targa_without_its_mark() -> None:
    for mode in ("RGB", "L", "P", "RGBA"):
        picture = PICTURE.convert(mode)
        data = encoded(picture, "TGA").removesuffix(bytes(8) + b"TRUEVISION-XFILE.\0")
        with open_image(data, SETTINGS) as image:
            assert image.format == "TGA"
            assert image.convert("RGBA").tobytes() == picture.convert("RGBA").tobytes()


@pytest.mark.parametrize("form", ["GIF", "PSD", "ICO", "TGA"])
def test_a_cut_header_is_refused_in_the_words_of_the_format(form: str) -> None:
    if form == "PSD":
        data = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 2, 2, 8, 3) + bytes(26)
    else:
        data = encoded(PICTURE.convert("P" if form == "GIF" else "RGB").resize((9, 9)), form)
    for end in range(4, 40):
        try:
            with open_image(data[:end], SETTINGS):
                pass
        except Problem as problem:
            assert problem.status == 422
            assert not any(text in problem.detail for text in ("unpack", "out of range", "Error", "None", "object"))


@pytest.mark.parametrize("stated", [0, 1])
def test_an_avif_cut_within_a_box_that_hides_it(stated: int) -> None:
    """A box of pixels that runs to the end of the file, or states the size that is left."""
    image = encoded(noise((64, 64)), "AVIF")
    at = image.index(b"mdat") - 4
    cut = bytearray(image[: at + (len(image) - at) // 2])
    cut[at : at + 4] = (stated * (len(cut) - at)).to_bytes(4, "big")
    with pytest.raises(Problem, match="not whole in the file") as caught, open_image(bytes(cut), SETTINGS):
        pass
    assert caught.value.status == 422
