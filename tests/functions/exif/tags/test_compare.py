"""The comparison of the tables with ExifTool's list."""

from __future__ import annotations

from xml.etree.ElementTree import fromstring

from functions.exif.tags.compare import differences, ours
from functions.exif.tags.tables import table

LISTED = """<table name='Canon::CameraSettings'>
 <tag id='2' name='SelfTimer'/>
 <tag id='7' name='FocusMode'><values><key id='0'><val lang='en'>{label}</val></key></values></tag>
 <tag id='9999' name='{name}'/>
</table>"""


def test_what_is_missing_or_different_is_named():
    read = table("Canon.CameraSettings")
    same = fromstring(LISTED.format(label="One-shot AF", name="LensType"))
    assert list(differences(same, read)) == []
    other = fromstring(LISTED.format(label="Something else", name="NeverHeardOf"))
    assert [line.split(" ")[0] for line in differences(other, read)] == ["label", "missing"]


def test_tables_are_known_by_exiftools_names():
    assert {"canon::camerasettings", "nikon::main", "sony::tag9050a", "exif::gps"} <= set(ours())
