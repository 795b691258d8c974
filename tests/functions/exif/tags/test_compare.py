"""The comparison of the tables with ExifTool's list."""

from __future__ import annotations

from xml.etree.ElementTree import fromstring

from functions.exif.tags.compare import differences, named, ours, properties
from functions.exif.tags.tables import table

LISTED = """<table name='Canon::CameraSettings'>
 <tag id='2' name='SelfTimer'/>
 <tag id='7' name='FocusMode'><values><key id='0'><val lang='en'>{label}</val></key></values></tag>
 <tag id='9999' name='{name}'/>
</table>"""


def test_what_is_missing_or_different_is_named():
    names = named(table("Canon.CameraSettings"))
    same = fromstring(LISTED.format(label="One-shot AF", name="LensType"))
    assert list(differences(same, names)) == []
    other = fromstring(LISTED.format(label="Something else", name="NeverHeardOf"))
    assert [line.split(" ")[0] for line in differences(other, names)] == ["label", "missing"]


def test_tables_are_known_by_exiftools_names():
    tables = ours()
    assert {"canon::camerasettings", "nikon::main", "sony::tag9050a"} <= set(tables)
    assert {"Artist", "FNumber", "InteropIndex", "MakerNoteCanon"} <= set(tables["exif::main"])
    assert "GPSLatitude" in tables["gps::main"]
    assert "Keywords" in tables["iptc::applicationrecord"]
    assert tables["exif::main"]["T4Options"]["2"] == {"Uncompressed"}


def test_properties_of_xmp_are_compared_by_their_names_and_labels():
    listed = """<table name='XMP::exif' g0='XMP' g1='XMP-exif'>
     <tag id='Flash' name='Flash' type='struct'/>
     <tag id='FlashFired' name='FlashFired'/>
     <tag id='FNumber' name='{name}'/>
     <tag id='MeteringMode' name='MeteringMode'><values><key id='3'><val lang='en'>{label}</val></key></values></tag>
    </table>"""
    assert list(properties(fromstring(listed.format(name="FNumber", label="Spot")))) == []
    different = list(properties(fromstring(listed.format(name="Aperture", label="Point"))))
    assert [line.split(" ")[0] for line in different] == ["name", "label"]
