"""Each tag of the tables whose name says that it identifies or narrows has a grade, or a rule of the report."""

from __future__ import annotations

import re

import pytest

from functions.exif.report.rules import BY_GRADE, RULES
from functions.exif.tags.files import FOLDER, sections
from functions.exif.tags.tables import table

# Serial numbers, owners, counts of use, unique numbers, names and faces, networks, aircraft, positions and towns.
TELLING = re.compile(
    r"Serial|Owner|(Shutter|Image|Release)Count|Actuations|Unique ?ID|GUID|UUID|Artist|Author|Photographer|Person|Birth"
    r"|Baby|Pet(Name|Birth)|Face\d|FacePos|Face(Element)?Positions|RecognizedFace\d(?!Flags)|SSID|WiFi|MAC(Address)?$|Home(Point|town|Lat|Lon)"
    r"|Latitude|Longitude|DroneID|Battery(Serial|ID)|E-?mail|UserName|UserProfile|IMEI|DeviceID|SensorID|CameraID"
    r"|City|Country|Landmark|LocationName|RollGuid|Copyright$|CameraOwner"
)
# What such a name does not say: formats, states, counts of pictures in a series, sensitivities, versions, references.
HARMLESS = re.compile(
    r".*Format|.*State|.*Firmware.*|(Composite|RawBurst|FocusBracketing|Deleted)ImageCount\d?|ISOSpeedLatitude\w+|.*Ref|.*Offset"
    r"|.*(Valid|Length|Info)|BorderLocation|HometownDST|Num.*|FaceDetect.*|.*Orientation|Face(Elements?|sD).*"
)


@pytest.mark.parametrize("file", sorted(path.stem for path in FOLDER.glob("*.tsv") if path.stem != "xmp"))
def test_telling_names_have_a_grade(file: str):
    rows = [row for section in sections(file) for row in table(f"{file}.{section}") if not row.sub]
    without = [
        row.name
        for row in rows
        if TELLING.search(row.name)
        and not HARMLESS.fullmatch(row.name)
        and row.grade not in BY_GRADE
        and not any(rule.names.fullmatch(row.name) and rule.groups.match(row.group) for rule in RULES)
    ]
    assert not without


def test_every_grade_has_a_reason():
    for path in FOLDER.glob("*.tsv"):
        for section in sections(path.stem):
            for row in table(f"{path.stem}.{section}"):
                assert not row.grade or row.grade in BY_GRADE or row.grade.startswith("hints:"), (row.name, row.grade)
