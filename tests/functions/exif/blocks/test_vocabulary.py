"""Properties of XMP against ExifTool's own list of them: each is named and read as ExifTool names and reads it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import pytest
from PIL import Image, PngImagePlugin

from functions.exif.answer import examine, flat
from functions.exif.blocks.namespaces import _NAMESPACES
from functions.exif.blocks.vocabulary import LABELS
from tests.images import encoded

URIS = {prefix: uri for uri, prefix in reversed(_NAMESPACES.items()) if prefix not in ("x", "rdf")}
TEXTS = ("12/3", "2024-05-03T10:00:00", "2024-05-03T10:00:00.5+02:00", "2024-05", "-1/2", "5/0", "some, words")
# Forms that these texts do not have: what ExifTool makes of them is chance.
OTHER_FORMS = ("Latitude", "Longitude", "Longtitude", "ApertureValue", "ShutterSpeedValue", "MediaSummaryCode")
BINARY = ("MakerNote", "PortraitRequest", "ShotLogData", "Confidence", "DepthImage", "ImageData")


@pytest.fixture(scope="module")
def listed(program: Callable[[str], str]) -> dict[str, dict[str, dict[str, str]]]:
    """Simple properties by prefix, then by name as they are written, and the labels of each."""
    done = subprocess.run([program("exiftool"), "-listx", "-XMP:all"], capture_output=True, check=True)
    found: dict[str, dict[str, dict[str, str]]] = {}
    for table in ElementTree.fromstring(done.stdout).iter("table"):
        tags = list(table.iter("tag"))
        structures = tuple(str(tag.get("id")) for tag in tags if tag.get("type") == "struct")
        for tag in tags:
            name, group = str(tag.get("id")), tag.get("g1") or str(table.get("g1"))
            prefix = group.removeprefix("XMP-")
            if prefix in URIS and not name.startswith(structures) and "-" not in name:
                labels = {
                    str(key.get("id")): str(value.text)
                    for key in tag.iter("key")
                    for value in key.iter("val")
                    if value.get("lang") == "en"
                }
                found.setdefault(prefix, {})[name] = labels
    return found


def picture(prefix: str, properties: dict[str, str]) -> bytes:
    body = "".join(f"<{prefix}:{name}>{escape(text)}</{prefix}:{name}>" for name, text in properties.items())
    packet = (
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description xmlns:{prefix}="{URIS[prefix]}">{body}</rdf:Description></rdf:RDF>'
    )
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", packet)
    return encoded(Image.new("L", (1, 1)), "PNG", pnginfo=info)


def asked(exiftool: str, folder: Path, *options: str) -> dict[str, dict[str, object]]:
    command = [exiftool, "-j", "-G1", "-struct", "-XMP:all", *options, str(folder)]
    answer = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return {Path(str(one["SourceFile"])).name: one for one in answer}


def test_every_property_is_named_and_read_as_exiftool_does(
    listed: dict[str, dict[str, dict[str, str]]], program: Callable[[str], str], tmp_path: Path
) -> None:
    for prefix, properties in listed.items():
        for index, text in enumerate(TEXTS):
            data = picture(prefix, dict.fromkeys(properties, text))
            (tmp_path / f"{prefix}-{index}.png").write_bytes(data)
    total = 0
    different: dict[str, list[tuple[object, object]]] = {}
    for name, theirs in asked(program("exiftool"), tmp_path, "-n").items():
        ours = flat(examine((tmp_path / name).read_bytes()), raw=True)
        for tag, value in theirs.items():
            if tag.startswith("XMP-") and not tag.endswith((*OTHER_FORMS, *BINARY)):
                total += 1
                if ours.get(tag) != value:
                    different.setdefault(tag, []).append((value, ours.get(tag)))
    for tag, pairs in different.items():
        print(tag, pairs)
    assert total > 4000
    assert sum(map(len, different.values())) <= total * 0.001


def test_every_label_is_printed_as_exiftool_does(
    listed: dict[str, dict[str, dict[str, str]]], program: Callable[[str], str], tmp_path: Path
) -> None:
    together: dict[str, dict[str, str]] = {}
    for name, labels in LABELS.items():
        prefix, _, local = name.partition(":")
        if prefix in URIS:
            assert set(labels) <= set(listed[prefix][local]), f"{name} has labels that ExifTool does not know"
            for index, code in enumerate(listed[prefix][local]):
                together.setdefault(f"{prefix}-{index}", {})[local] = code
    assert sum(map(len, together.values())) > 100
    for name, properties in together.items():
        (tmp_path / f"{name}.png").write_bytes(picture(name.rpartition("-")[0], properties))
    for name, theirs in asked(program("exiftool"), tmp_path).items():
        ours = flat(examine((tmp_path / name).read_bytes()))
        assert {tag: ours.get(tag) for tag in theirs if tag.startswith("XMP-")} == {
            tag: value for tag, value in theirs.items() if tag.startswith("XMP-")
        }
