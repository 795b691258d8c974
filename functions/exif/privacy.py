"""What in a file's metadata identifies a person, a place or a device, graded by how surely it does.

Grades: `identifies` names one person, one place or one very device; `narrows` joins with other knowledge to the same
end; `hints` says something of the circumstances. The table of names is the whole knowledge; the rest is lookup.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from functions.exif.rows import Reading

GRADES = ("identifies", "narrows", "hints")
SUBJECTS = ("place", "person", "device", "time", "content")
MAX_VALUE = 120
MAX_TAGS = 12
# What is remembered of the rules: groups, names in each, characters of the longest.
MAX_GROUPS, MAX_NAMES, MAX_REMEMBERED = 64, 256, 80


class Rule(NamedTuple):
    """Names of tags that tell the same.

    Args:
        grade: one of `GRADES`.
        subject: one of `SUBJECTS`.
        why: what a reader learns from it.
        names: pattern of tag names, whole; `Tag:Field` is a field of a structure.
        groups: pattern of groups, from their beginning; any where empty.
    """

    grade: str
    subject: str
    why: str
    names: re.Pattern[str]
    groups: re.Pattern[str]


def _rule(grade: str, subject: str, why: str, names: str, groups: str = "") -> Rule:
    return Rule(grade, subject, why, re.compile(names), re.compile(groups))


RULES = (
    _rule(
        "identifies",
        "place",
        "where it was taken, to a few metres",
        r"GPS(Dest)?(Latitude|Longitude|Position|Coordinates)|.*(?<!Ref)(Latitude|Longt?itude)",
    ),
    _rule(
        "narrows",
        "place",
        "the place by its name",
        r"City|State|Province-?State|Sub-?location|Location(Name)?|Country(-PrimaryLocation(Name|Code))?|Country(Code|Name)"
        r"|ContentLocation(Name|Code)|GPSAreaInformation|Landmark|LocationInfo",
    ),
    _rule(
        "narrows", "place", "height, direction, speed or time of the position", r"GPS(?!VersionID|MapDatum).*(?<!Ref)"
    ),
    _rule(
        "identifies",
        "person",
        "a person by name",
        r"Artist|Author|XPAuthor|Creator|By-line|CameraOwnerName|OwnerName|Photographer|ImageEditor|PersonInImage.*"
        r"|(RegionInfo|Regions):Name|RegionInfoMP:PersonDisplayName|People|Person|Personality|Contributor|ImageCreator.*"
        r"|AttributionName|AOCreator|CaptionWriter|Writer-Editor|CreatorContactInfo|Contact|CopyrightOwner.*",
    ),
    _rule(
        "narrows",
        "person",
        "who holds the rights",
        r"Copyright(Notice)?|Rights|UsageTerms|WebStatement|Owner|Credit|Source|Licensor.*",
    ),
    _rule(
        "narrows",
        "person",
        "names of the computer or of its files",
        r"HostComputer|DerivedFrom|FilePath|DocumentName|(Original)?RawFileName|PreservedFileName",
    ),
    _rule(
        "identifies",
        "device",
        "this very device, in every picture it takes",
        r".*Serial ?(Number|No)\d*|InternalSerialNumber|CameraID|DeviceID",
        r"(?!ICC)",
    ),
    _rule(
        "narrows",
        "content",
        "this very picture, wherever it is copied to",
        r"ImageUniqueID|RawDataUniqueID|(Original)?DocumentID|InstanceID",
    ),
    _rule(
        "narrows",
        "device",
        "the model of camera or phone",
        r"Make|Model|UniqueCameraModel|LocalizedCameraModel|LensModel|LensMake|LensInfo|Lens(ID)?|CameraModel(Name|ID)?",
        r"(IFD|Exif|XMP|Maker|PNG)",
    ),
    _rule(
        "hints",
        "device",
        "the programs it went through",
        r"Software|CreatorTool|ProcessingSoftware|History:SoftwareAgent|OriginatingProgram|XMPToolkit|Firmware.*|CameraFirmware",
        r"(IFD|Exif|XMP|Maker|PNG|IPTC)",
    ),
    _rule(
        "narrows",
        "time",
        "when it was taken, to the second",
        r"DateTimeOriginal|DateTimeDigitized|CreateDate|DateCreated|TimeCreated|DigitalCreation(Date|Time)|CreationTime"
        r"|SubSecDateTimeOriginal",
        r"(IFD|Exif|XMP|Maker|PNG|IPTC)",
    ),
    _rule("hints", "time", "when it was changed", r"ModifyDate|MetadataDate|History:When", r"(IFD|Exif|XMP|PNG)"),
    _rule("hints", "place", "the time zone it was taken in", r"OffsetTime(Original|Digitized)?|TimeZone(Offset)?"),
    _rule(
        "hints",
        "content",
        "words about the picture",
        r"ImageDescription|Description|Title|Headline|Caption-Abstract|ObjectName|Keywords|Subject|UserComment|XP(Title|Subject|Keywords|Comment)"
        r"|Comment|HierarchicalSubject|TagsList|CatalogSets|KeywordInfo:Keyword",
    ),
    _rule(
        "hints",
        "content",
        "an earlier version of the picture, perhaps before it was cropped",
        r"(Thumbnail|Preview|Other)Image",
    ),
)
_EMPTY = re.compile(r"[\s0:.\-/]*|undef|unknown|None|none|Unknown.*|\(none\)", re.ASCII)


def report(reading: Reading) -> dict[str, Any]:
    """The privacy report of a file.

    Args:
        reading: all that was read of it.

    Returns:
        `grade` (the worst of its findings, or `nothing`), `sentence`, and `findings`: each with `grade`, `subject`,
        `why`, and the tags with their printed values; the worst first.
    """
    found: dict[str, list[dict[str, str]]] = {}
    for group, rows in reading.groups.items():
        if group.startswith("ICC"):
            continue
        reasons = _reasons(group) if len(group) <= MAX_REMEMBERED else _Reasons(group)
        for name, _, printed, _, _ in rows.values():
            why = reasons[name]
            if why and not _EMPTY.fullmatch(str(printed)):
                found.setdefault(why, []).append({"tag": f"{group}:{name}", "value": _said(printed)})
            elif not why and isinstance(printed, dict | list):
                for key, text in _fields(printed):
                    why = reasons[f"{name}:{key}"] or reasons[key]
                    if not why or _EMPTY.fullmatch(text):
                        continue
                    told, tags = {"tag": f"{group}:{name}", "value": _said(text)}, found.setdefault(why, [])
                    if len(tags) < MAX_TAGS and told not in tags:
                        tags.append(told)
    findings = [
        {"grade": rule.grade, "subject": rule.subject, "why": rule.why, "tags": found[rule.why][:MAX_TAGS]}
        for rule in _RANKED
        if rule.why in found
    ]
    findings += _blocks(reading)
    findings.sort(key=lambda finding: GRADES.index(finding["grade"]))
    return {
        "grade": findings[0]["grade"] if findings else "nothing",
        "sentence": sentence(findings),
        "findings": findings,
    }


def _fields(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """The fields of a structure, or of a list of them, down to the innermost: name and text."""
    if isinstance(value, dict):
        for name, held in value.items():
            yield from _fields(held, name)
    elif isinstance(value, list):
        for held in value:
            yield from _fields(held, key)
    elif key:
        yield key, str(value)


def _said(value: Any) -> str:
    """A printed value as short text, without ExifTool's advice on how to get at binary data."""
    if isinstance(value, dict):
        text = "; ".join(f"{name}: {said}" for name, said in _fields(value))
    elif isinstance(value, list):
        text = "; ".join(map(_said, value))
    else:
        text = str(value)
    return text.replace(", use -b option to extract", "")[:MAX_VALUE]


_RANKED = sorted(RULES, key=lambda rule: (GRADES.index(rule.grade), SUBJECTS.index(rule.subject)))


class _Reasons(dict[str, str]):
    """What the tags of a group tell by their names, empty where nothing: most files state the same few hundred.

    Names are the file's own: only so many, and none that is long, are remembered, so that they cannot fill memory.
    """

    def __init__(self, group: str) -> None:
        super().__init__()
        self._rules = [rule for rule in RULES if rule.groups.match(group)]

    def __missing__(self, name: str) -> str:
        why = next((rule.why for rule in self._rules if rule.names.fullmatch(name)), "")
        if len(self) < MAX_NAMES and len(name) <= MAX_REMEMBERED:
            self[name] = why
        return why


_reasons = lru_cache(maxsize=MAX_GROUPS)(_Reasons)


def _blocks(reading: Reading) -> Iterable[dict[str, Any]]:
    """What stands in blocks that are not read tag by tag."""
    maker = reading.maker
    if maker is not None and maker.size > 0:
        tags = [{"tag": "MakerNotes", "value": f"{maker.size:,} bytes"}]
        yield {
            "grade": "narrows",
            "subject": "device",
            "why": "the maker's own notes, often with serial numbers",
            "tags": tags,
        }
    for block in reading.scan.blocks:
        if block.kind == "jumbf":
            tags = [{"tag": block.where, "value": f"{len(block.data):,} bytes"}]
            yield {
                "grade": "narrows",
                "subject": "person",
                "why": "content credentials: who made and edited it",
                "tags": tags,
            }


def sentence(findings: list[dict[str, Any]]) -> str:
    """One sentence, the worst first, such as `It identifies a place, and narrows down a device and the time.`."""
    parts = []
    said: set[str] = set()
    for grade, verb in zip(GRADES, ("identifies", "narrows down", "hints at"), strict=True):
        subjects = {finding["subject"] for finding in findings if finding["grade"] == grade} - said
        words = [
            ("the " if subject in ("time", "content") else "a ") + subject
            for subject in SUBJECTS
            if subject in subjects
        ]
        said |= subjects
        if words:
            parts.append(f"{verb} {' and '.join([', '.join(words[:-1]), words[-1]] if len(words) > 1 else words)}")
    if not parts:
        return "Nothing in its metadata identifies a person, a place or a device."
    return f"It {', and '.join([', '.join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)}."
