"""Opening an image: every limit before it is decoded, every failure a problem with a status."""

from __future__ import annotations

import contextlib
import random
import struct
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from functions.kit.http.problems import Problem
from functions.kit.http.settings import Settings
from functions.kit.images.formats import ACCEPTED, sniff
from functions.kit.images.opening import FULL_SIZE, open_image
from functions.kit.images.slots import ARENA_BLOCK, arena_blocks
from tests.images import encoded, gradient, png_bomb

SETTINGS = Settings()
SAVED = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP", "JPEG2000", "PPM", "ICO", "TGA", "PCX", "DDS", "QOI")


def refused(data: bytes, settings: Settings = SETTINGS, **options: int) -> Problem:
    with pytest.raises(Problem) as caught, open_image(data, settings, **options):
        pass
    return caught.value


def frames(*sizes: tuple[int, int], form: str = "TIFF") -> bytes:
    first, *rest = [Image.new("L", size, 40 * index) for index, size in enumerate(sizes)]
    return encoded(first, form, save_all=True, append_images=rest)


@pytest.mark.parametrize("form", SAVED)
def test_every_accepted_format_is_known_by_its_bytes(form: str) -> None:
    data = encoded(gradient(size=(32, 32)), form)
    assert sniff(data) == form
    with open_image(data, SETTINGS) as image:
        assert (image.format, image.size) == (form, (32, 32))
        assert image.getpixel((0, 0)) is not None


def test_heic_is_decoded(photos: list[Path]) -> None:
    chosen = [path for path in photos if path.suffix.lower() == ".heic" and path.stat().st_size < 1_000_000]
    if not chosen:
        pytest.skip("PIXELAMP_PHOTOS holds no small .heic")
    for path in chosen:
        with open_image(path.read_bytes(), SETTINGS) as image:
            assert image.format == "HEIF"
            assert len(image.tobytes()) == 3 * image.width * image.height


def test_the_list_of_formats_is_the_tests() -> None:
    assert set(ACCEPTED) == {*SAVED, "HEIF", "JXL", "FITS", "PSD", "EXR"}


def test_a_name_or_a_type_has_no_say() -> None:
    assert refused(b"this is a photo, honestly\n").status == 422


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"%PDF-1.7\n", "PDF"),
        (b"#?RADIANCE\n", "Radiance HDR"),
        (b"\x8bJNG\r\n\x1a\n" + bytes(50) + b"\xff\xd8\xff\xe0", "JNG"),
        (b"II*\0\x10\0\0\0CR\x02\0", "Canon raw"),
        (b"\0\0\0\x18ftypcrx \0\0\0\x01", "Canon raw"),
        (b"II\x1a\0\0\0HEAPCCDR\x02\0\x01\0", "Canon raw"),
        (b"\0\0\0\x18ftypisom\0\0\0\x01", "ISO media"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"\xef\xbb\xbf <svg/>", "SVG"),
        (b"\0\0\x02\0\x01\0\x20\x20\0\0", "Windows cursor"),
    ],
)
def test_a_known_format_that_is_not_accepted(data: bytes, name: str) -> None:
    problem = refused(data)
    assert (problem.status, problem.slug) == (415, "unsupported-format")
    assert problem.detail.startswith(name)
    assert "JPEG, PNG, WebP, HEIC, AVIF" in problem.detail


def test_a_targa_of_1984_is_known_by_its_fields() -> None:
    data = bytes((0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 24, 0)) + b"rgb"
    with open_image(data, SETTINGS) as image:
        assert (image.format, image.getpixel((0, 0))) == ("TGA", tuple(b"bgr"))
    for at, value in ((1, 2), (2, 7), (3, 1), (7, 24), (16, 12), (17, 0xC0), (12, 0)):
        assert refused(data[:at] + bytes([value]) + data[at + 1 :]).status == 422


@pytest.mark.parametrize(
    "data",
    [b"", b"\0", b"BM but no bitmap", b"P5 no", b"GIF", b"\xff\xd8", b"<?xml version='1.0'?><html/>", bytes(4096)],
)
def test_bytes_that_are_no_image(data: bytes) -> None:
    assert refused(data).status == 422


def test_too_many_bytes() -> None:
    data = encoded(gradient())
    problem = refused(data, Settings(max_bytes=len(data) - 1))
    assert (problem.status, problem.slug) == (413, "too-many-bytes")
    assert f"{len(data):,} bytes" in problem.detail
    with open_image(data, Settings(max_bytes=len(data))):
        pass


def test_a_jpeg_behind_other_bytes_is_refused_as_an_unknown_format() -> None:
    problem = refused(b"\x80\x81\x82\x83" * 5 + encoded(gradient(), "JPEG"))
    assert (problem.status, problem.detail) == (422, "the JPEG begins after 20 bytes of other data")


def test_too_many_pixels_are_refused_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import PngImagePlugin

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", lambda self: pytest.fail("decoded"))
    bomb = png_bomb()
    assert len(bomb) < 30_000
    problem = refused(bomb)
    assert (problem.status, problem.slug) == (413, "too-many-pixels")
    assert "13000 × 13000 = 169,000,000 pixels" in problem.detail
    assert problem.extensions == {"limit": SETTINGS.max_pixels, "actual": 169_000_000}


@pytest.mark.parametrize(("limit", "allowed"), [(64 * 48, True), (64 * 48 - 1, False)])
def test_the_pixel_limit_is_exact(limit: int, allowed: bool) -> None:
    data = encoded(gradient(size=(64, 48)))
    settings = Settings(max_pixels=limit)
    if allowed:
        with open_image(data, settings) as image:
            assert image.size == (64, 48)
    else:
        assert refused(data, settings).status == 413


def test_one_functions_limit_is_not_anothers() -> None:
    data = encoded(gradient(size=(64, 48)))
    assert refused(data, Settings(max_pixels=10)).status == 413
    with open_image(data, SETTINGS) as image:
        assert image.size == (64, 48)


def test_an_image_inside_an_icon_is_limited_as_well() -> None:
    inner = png_bomb(2000, 2000)
    directory = struct.pack("<HHH", 0, 1, 1) + struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(inner), 22)
    problem = refused(directory + inner, Settings(max_pixels=1_000_000))
    assert (problem.status, problem.slug) == (413, "too-many-pixels")


@pytest.mark.parametrize("form", SAVED)
def test_corrupt_bytes_never_raise_anything_but_a_problem(form: str) -> None:
    data = encoded(gradient(size=(40, 30)), form)
    generator = random.Random(form)
    for _ in range(60):
        corrupt = bytearray(data)
        for _ in range(generator.randint(1, 12)):
            corrupt[generator.randrange(len(corrupt))] = generator.randrange(256)
        try:
            with open_image(bytes(corrupt), Settings(max_pixels=1_000_000)) as image:
                assert image.width * image.height <= 1_000_000
        except Problem as problem:
            assert problem.status in {413, 415, 422}


STARTS = {
    "HEIF": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    "JXL": b"\xff\x0a",
    "PSD": b"8BPS\0\x01\0\0\0\0\0\0\0\x03\0\0\0\x08\0\0\0\x08\0\x08\0\x03",
    "FITS": b"SIMPLE  =                    T",
    "DDS": b"DDS |\0\0\0",
    "EXR": b"v/1\x01\x02\0\0\0",
    "QOI": b"qoif\0\0\0\x08\0\0\0\x08\x03\0",
}


@given(st.sampled_from(sorted(ACCEPTED)), st.binary(max_size=300))
def test_a_true_beginning_and_a_random_rest(form: str, rest: bytes) -> None:
    beginning = STARTS.get(form) or encoded(Image.new("L", (8, 8)), form)[:30]
    try:
        with open_image(beginning + rest, Settings(max_pixels=10_000)):
            pass
    except Problem as problem:
        assert problem.status in {413, 415, 422}


def test_an_error_inside_the_block_is_the_callers_own() -> None:
    with pytest.raises(ZeroDivisionError), open_image(encoded(gradient()), SETTINGS) as image:
        image.width // 0


def test_frames_and_pages() -> None:
    data = frames((8, 8), (6, 4), (8, 8))
    for index, size in enumerate([(8, 8), (6, 4)]):
        with open_image(data, SETTINGS, frame=index) as image:
            assert (image.size, image.getpixel((0, 0))) == (size, 40 * index)
    problem = refused(data, frame=3)
    assert problem.status == 422
    assert "no frame 3" in problem.detail
    assert "3, counted from 0" in problem.detail


def test_the_only_frame_of_a_still_image() -> None:
    assert refused(encoded(gradient(), "JPEG"), frame=1).status == 422


def test_a_page_larger_than_the_first_is_limited() -> None:
    assert refused(frames((8, 8), (20, 20)), Settings(max_pixels=100), frame=1).status == 413


def test_frames_decoded_on_the_way_count_as_pixels() -> None:
    data = frames(*[(10, 10)] * 5, form="GIF")
    settings = Settings(max_pixels=300)
    with open_image(data, settings, frame=2):
        pass
    assert refused(data, settings, frame=3).status == 413


@pytest.mark.parametrize(("draft", "size"), [(2, (100, 75)), (4, (50, 38)), (8, (25, 19))])
def test_a_draft_decodes_a_jpeg_at_a_fraction(draft: int, size: tuple[int, int]) -> None:
    with open_image(encoded(gradient(size=(200, 150)), "JPEG"), SETTINGS, draft=draft) as image:
        assert image.size == size
        assert image.info[FULL_SIZE] == (200, 150)


def test_a_draft_leaves_other_formats_and_tiny_images_whole() -> None:
    with open_image(encoded(gradient(size=(200, 150))), SETTINGS, draft=8) as image:
        assert image.size == (200, 150)
    with open_image(encoded(gradient(size=(1, 1)), "JPEG"), SETTINGS, draft=8) as image:
        assert image.size == (1, 1)


def test_the_orientation_is_left_alone() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    with open_image(encoded(gradient(size=(40, 20)), "JPEG", exif=exif), SETTINGS) as image:
        assert image.size == (40, 20)


def test_decodes_are_bounded_and_a_place_that_stays_taken_is_busy() -> None:
    settings = Settings(decodes=3, timeout_seconds=1)
    data = encoded(gradient())
    inside, release = threading.Semaphore(0), threading.Event()

    def hold() -> None:
        with open_image(data, settings):
            inside.release()
            release.wait(30)

    threads = [threading.Thread(target=hold) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert inside.acquire(timeout=30)
    try:
        problem = refused(data, settings)
        assert (problem.status, problem.headers["Retry-After"]) == (503, "1")
    finally:
        release.set()
        for thread in threads:
            thread.join()
    with open_image(data, settings) as image:
        assert image.size == (64, 48)


def test_a_failure_gives_its_place_back() -> None:
    settings = Settings(decodes=1, timeout_seconds=1)
    for _ in range(3):
        assert refused(encoded(gradient(), "PNG")[:60], settings).status == 422


def progressive(repeats: int, mode: str = "L") -> bytes:
    """A progressive JPEG whose last scan stands there so many times more."""
    data = encoded(Image.new(mode, (64, 64), 128), "JPEG", progressive=True)
    end = data.rindex(b"\xff\xd9")
    last = data[data.rindex(b"\xff\xc4", 0, data.rindex(b"\xff\xda")) : end]
    return data[:end] + last * repeats + data[end:]


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_jpeg_of_many_scans_is_refused(mode: str) -> None:
    assert "more than 100 scans" in refused(progressive(100, mode)).detail
    with open_image(progressive(0, mode), SETTINGS) as image:
        assert image.size == (64, 64)
    assert "a scan before its last one is damaged" in refused(progressive(80, mode)).detail


def test_a_sequential_jpeg_in_many_scans_is_refused() -> None:
    data = encoded(gradient(), "JPEG")
    start = data.index(b"\xff\xda")
    one = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + bytes([0x2B, 0xFF, 0x00])
    assert "more than 100 scans" in refused(data[:start] + one * 101 + b"\xff\xd9").detail


def test_bytes_like_scans_behind_the_picture_are_not_counted_as_scans() -> None:
    for data in (progressive(0) + b"\xff\xda" * 5000, encoded(gradient(), "JPEG") + b"\xff\xda" * 5000):
        with open_image(data, SETTINGS) as image:
            assert image.size[0] == 64


def test_pillows_warnings_about_metadata_are_neither_failures_nor_log_lines(recwarn: pytest.WarningsRecorder) -> None:
    data = encoded(gradient(), "TIFF")
    # A tag that claims more values than there are: Pillow warns of it while it reads the directory.
    broken = data.replace(struct.pack("<HHI", 0x0115, 3, 1), struct.pack("<HHI", 0x0117, 3, 60000), 1)
    with contextlib.suppress(Problem), open_image(broken, SETTINGS):
        pass
    assert [str(each.message) for each in recwarn] == []


def test_the_arena_is_settled_against_the_memory_limit() -> None:
    assert arena_blocks(2, None) == 16
    assert arena_blocks(2, 2**40) == 16
    assert arena_blocks(2, 256 * 2**20) * ARENA_BLOCK <= 64 * 2**20
    assert arena_blocks(2, 8 * 2**20) == 0


def test_nothing_of_photographs_is_more_than_a_problem(photos: list[Path]) -> None:
    for path in photos:
        data = path.read_bytes()
        try:
            with open_image(data, Settings(max_pixels=9_000_000)) as image:
                assert image.width * image.height <= 9_000_000
        except Problem as problem:
            assert problem.status in {413, 415, 422}, path
            assert "\n" not in problem.detail


def test_a_broken_jpeg_xl_is_refused_without_the_advice_of_its_plug_in() -> None:
    from tests.functions.exif.containers import jxl

    with pytest.raises(Problem) as refused, open_image(jxl(), Settings()) as image:
        image.load()
    assert refused.value.status == 422
    assert "broken or ends early" in refused.value.detail
    assert "libjxl" not in refused.value.detail
