"""Real photographs, every one of the folder in PIXELAMP_PHOTOS: clean, and still the same pictures."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageOps

from functions.exif.edit.errors import Broken, Unsupported
from functions.exif.edit.strip import Stripped, strip

pytestmark = pytest.mark.slow  # CI runs it after the tests

# What describes the file and the picture's encoding, and so is in every file.
FILE_GROUPS = {"ExifTool", "System", "File", "Composite", "PNG", "PNG-pHYs", "JFIF", "Adobe", "RIFF", "GIF", "Meta"}
ICC_GROUPS = ("ICC",)
IDENTITY = (
    *("Make", "Model", "UniqueCameraModel", "SerialNumber", "InternalSerialNumber", "LensSerialNumber", "OwnerName"),
    *("Artist", "Creator", "By-line", "XPAuthor", "Copyright", "DateTimeOriginal", "CreateDate", "ModifyDate"),
    *("GPSDateStamp", "GPSProcessingMethod", "GPSAreaInformation", "ImageUniqueID", "CameraOwnerName", "HostComputer"),
)
TIFF_PICTURE = frozenset(
    """
    SubfileType OldSubfileType ImageWidth ImageHeight BitsPerSample Compression PhotometricInterpretation
    Thresholding CellWidth CellLength FillOrder StripOffsets Orientation SamplesPerPixel RowsPerStrip
    StripByteCounts MinSampleValue MaxSampleValue XResolution YResolution PlanarConfiguration XPosition
    YPosition GrayResponseUnit GrayResponseCurve T4Options T6Options ResolutionUnit PageNumber
    TransferFunction Predictor WhitePoint PrimaryChromaticities ColorMap HalftoneHints TileWidth TileLength
    TileOffsets TileByteCounts InkSet NumberofInks DotRange ExtraSamples SampleFormat JPEGTables
    YCbCrCoefficients YCbCrSubSampling YCbCrPositioning ReferenceBlackWhite JPEGProc OtherImageStart
    OtherImageLength ThumbnailOffset ThumbnailLength OtherImage JPEGQTables JPEGDCTables JPEGACTables
    ThumbnailImage BadFaxLines CleanFaxData ConsecutiveBadFaxLines SMinSampleValue SMaxSampleValue ThumbnailTIFF
    JPEGRestartInterval JPEGLosslessPredictors JPEGPointTransforms OPIProxy Indexed Decode StripRowCounts FaxProfile
    Matteing DataType ImageDepth TileDepth StoNits JpgFromRaw JpgFromRawStart JpgFromRawLength
    TransferRange PreviewImage PreviewImageStart PreviewImageLength
    """.split()  # noqa: SIM905 - a list of names, as people read it
)


def pictures(data: bytes) -> tuple[Any, ...]:
    """Mode, size and pixels of every frame, and the first as it is shown; the error where Pillow raises one."""
    frames: list[Any] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(data)) as image:
                for number in range(getattr(image, "n_frames", 1)):
                    image.seek(number)
                    pixels = image.convert("RGBA") if image.mode in ("P", "PA") else image
                    frames.append((image.mode, image.size, hashlib.sha256(pixels.tobytes()).hexdigest()))
                image.seek(0)
                shown = ImageOps.exif_transpose(image).convert("RGBA")
                frames.append((shown.size, hashlib.sha256(shown.tobytes()).hexdigest()))
        except Exception as error:  # noqa: BLE001 - whatever a decoder raises for a broken file is its answer
            return (*frames, type(error).__name__)
    return tuple(frames)


@pytest.fixture(scope="module")
def heif() -> None:
    pi_heif = pytest.importorskip("pi_heif")
    pi_heif.register_heif_opener()


@pytest.fixture(scope="module")
def cleaned(photos: list[Path], tmp_path_factory: pytest.TempPathFactory) -> dict[Path, tuple[Path, Stripped]]:
    """Each photograph that can be cleaned, with the place of its copy."""
    folder = tmp_path_factory.mktemp("clean")
    copies = {}
    for number, path in enumerate(photos):
        try:
            result = strip(path.read_bytes())
        except (Broken, Unsupported):
            continue
        copy = folder / f"{number:05d}{path.suffix}"
        copy.write_bytes(result.data)
        copies[path] = (copy, result)
    assert copies
    return copies


def exiftool(program: Callable[[str], str], paths: list[Path], *options: str) -> list[dict[str, Any]]:
    listing = "\n".join(map(str, paths))
    arguments = [program("exiftool"), "-j", "-a", "-G1", *options, "-@", "-"]
    done = subprocess.run(arguments, input=listing, capture_output=True, errors="surrogateescape")
    return json.loads(done.stdout)


def test_each_picture_shows_the_same_pixels(cleaned: dict[Path, tuple[Path, Stripped]], heif: None) -> None:
    different = []
    for path, (_, result) in cleaned.items():
        before = pictures(path.read_bytes())
        after = pictures(result.data)
        # A file that Pillow could not read may become readable, and its previews after the picture go by design.
        said = any("further pictures" in warning for warning in result.warnings)
        if before != after and not isinstance(before[-1], str) and not (said and before[0] == after[0]):
            different.append(path.name)
    assert not different


def test_a_second_pass_finds_nothing_and_changes_nothing(cleaned: dict[Path, tuple[Path, Stripped]]) -> None:
    for path, (_, result) in cleaned.items():
        again = strip(result.data)
        assert again.data == result.data, path.name
        assert again.removed == (), path.name


PHOTOSHOP_METADATA = frozenset(
    (
        "CopyrightFlag",
        "IPTCDigest",
        "PhotoshopThumbnail",
        "ReaderName",
        "SlicesGroupName",
        "URL",
        "URL_List",
        "WriterName",
    )
)
KEPT = ("Orientation", "XResolution", "YResolution", "ResolutionUnit")


def test_exiftool_finds_nothing_but_the_picture(
    cleaned: dict[Path, tuple[Path, Stripped]], program: Callable[[str], str]
) -> None:
    by_copy = {str(copy): path for path, (copy, _) in cleaned.items()}
    left = []
    for found in exiftool(program, [copy for copy, _ in cleaned.values()], "-u"):
        name = by_copy[found["SourceFile"]].name
        for key, value in found.items():
            group, _, tag = key.rpartition(":")
            if group in FILE_GROUPS or group.startswith(ICC_GROUPS) or key == "SourceFile":
                if tag == "Comment":
                    left.append((name, key, value))
            elif group.startswith(("IFD", "SubIFD")) and (tag in KEPT or is_tiff(found)):
                if tag not in (*KEPT, *TIFF_PICTURE):
                    left.append((name, key, value))
            elif key == "XMP-tiff:Orientation" or group in ("QuickTime", "Track1", "Track2", "Track3"):
                assert "Date" not in tag or str(value).startswith("0000"), (name, key, value)
            elif group == "Photoshop":
                # What a reader needs of a Photoshop file, its layers among it.
                if tag in PHOTOSHOP_METADATA:
                    left.append((name, key, value))
            elif group == "Jpeg2000":
                assert not tag.startswith(("UUID", "XML", "Comment")), (name, key)
            elif group.startswith("MPF") or group == "MPImage2":
                assert tag != "ImageUIDList", name
            else:
                left.append((name, key, value))
    assert not left


def opens(path: Path) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            Image.open(path).close()
        except Exception:  # noqa: BLE001 - whatever a decoder raises
            return False
    return True


def is_tiff(found: dict[str, Any]) -> bool:
    return found.get("File:FileType") in ("TIFF", "BTF")


def test_exiftool_has_no_new_warning(cleaned: dict[Path, tuple[Path, Stripped]], program: Callable[[str], str]) -> None:
    originals = {found["SourceFile"]: found for found in exiftool(program, list(cleaned), "-Warning", "-Error")}
    copies = {
        found["SourceFile"]: found
        for found in exiftool(program, [copy for copy, _ in cleaned.values()], "-Warning", "-Error")
    }
    for path, (copy, _) in cleaned.items():
        if not opens(path):
            continue  # of a file that nobody can read, ExifTool warns of whatever it stumbles over first
        before, after = originals.get(str(path), {}), copies.get(str(copy), {})
        new = {value for key, value in after.items() if key != "SourceFile"} - set(before.values())
        assert not new, f"{path.name}: {new}"


def test_no_text_that_identifies_is_left_in_the_bytes(
    cleaned: dict[Path, tuple[Path, Stripped]], program: Callable[[str], str]
) -> None:
    names = [f"-{name}" for name in IDENTITY]
    leaks = []
    for found in exiftool(program, list(cleaned), "-n", "-api", "struct=0", *names):
        path = Path(found.pop("SourceFile"))
        data = cleaned[path][1].data
        for key, value in found.items():
            texts = value if isinstance(value, list) else [value]
            for text in texts:
                said = text.strip().encode(errors="surrogateescape") if isinstance(text, str) else b""
                if len(said) >= 5 and said in data and not key.startswith(("ICC", "File", "System")):
                    leaks.append((path.name, key, text))
    assert not leaks


def test_removing_the_location_leaves_everything_else(
    cleaned: dict[Path, tuple[Path, Stripped]],
    program: Callable[[str], str],
    tmp_path: Path,
    heif: None,
) -> None:
    located = {Path(found["SourceFile"]) for found in exiftool(program, list(cleaned), "-GPS:all") if len(found) > 1}
    copies = {}
    for number, path in enumerate(sorted(located)):
        result = strip(path.read_bytes(), remove={"gps"})
        assert any(one.kind == "gps" for one in result.removed), path.name
        assert pictures(result.data)[:1] == pictures(path.read_bytes())[:1], path.name
        copies[path] = tmp_path / f"{number:05d}{path.suffix}"
        copies[path].write_bytes(result.data)
    if not copies:
        pytest.skip("no photograph of the folder states its location")
    after = {found["SourceFile"]: found for found in exiftool(program, list(copies.values()))}
    for before in exiftool(program, list(copies)):
        path = Path(before["SourceFile"])
        rest = after[str(copies[path])]
        assert not [key for key in rest if key.startswith(("GPS:", "XMP-exif:GPS"))], path.name
        camera = {key: value for key, value in before.items() if key.startswith(("IFD0", "ExifIFD", "MakerNotes"))}
        lost = {key for key, value in camera.items() if rest.get(key) != value and "Offset" not in key}
        assert not lost, (path.name, lost)
