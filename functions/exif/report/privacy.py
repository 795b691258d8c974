"""The privacy report: what in a file's metadata identifies a person, a place or a device, and what was not read.

Grades: `identifies` names one person, one place or one very device; `narrows` joins with other knowledge to the same
end; `unknown`: a part that may hold metadata was not read; `hints` says something of the circumstances.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from functions.exif.report import rules
from functions.exif.report.location import is_nowhere, is_void
from functions.exif.report.rules import EMPTY, GENERATED, GRADES, REGIONS, RULES, SUBJECTS, Rule
from functions.exif.report.texts import unexplained
from functions.exif.tags.tables import table
from functions.kit.jsontypes import Json, JsonObject

if TYPE_CHECKING:
    from functions.exif.rows import Reading, Row

MAX_VALUE = 120
MAX_TAGS = 12
# Fields of one structure that are looked at.
MAX_FIELDS = 2000
# What is remembered of the rules: groups, names in each, characters of the longest.
MAX_GROUPS, MAX_NAMES, MAX_REMEMBERED = 64, 256, 80

_BY_REASON = {rule.why: rule for rule in RULES}
_RANKED = sorted(RULES, key=lambda rule: (GRADES.index(rule.grade), SUBJECTS.index(rule.subject)))
# Tags with their printed values, by the reason why they count, and by name and value.
Found = dict[str, dict[tuple[str, str], dict[str, str]]]


def report(reading: Reading) -> JsonObject:
    """The privacy report of a file.

    Args:
        reading: all that was read of it.

    Returns:
        `grade` (the worst of the findings; `unknown` where a part was not read and nothing worse was found; or
        `nothing`), `sentence`, `findings`: each with `grade`, `subject`, `why`, and the tags with their printed values,
        the worst first; and `not_read`: `kind`, `place`, `offset` where it is known, and `bytes` of each part.
    """
    found: Found = {}
    _Findings(found, "").read(reading)
    for number, embedded in enumerate(reading.embedded, 1):
        place = f"{embedded.inner.kind} {number}/"
        if embedded.reading is not None:
            _Findings(found, place).read(embedded.reading)
        if embedded.inner.kind in ("video", "sound"):
            _keep(found, rules.MEDIA, embedded.inner.place, f"{len(embedded.inner.data):,} bytes")
    not_read = [_part(part) for part in reading.scan.unread]
    if not found and not not_read:
        inner = [embedded.reading for embedded in reading.embedded if embedded.reading is not None]
        for one in (reading, *inner):
            for tag, text in unexplained(one, _explained):
                _keep(found, rules.TEXT if tag.startswith("ICC") else _stated(rules.TEXT, text), tag, _shown(text))
    findings = [_finding(rule, list(found[rule.why].values())) for rule in _RANKED if rule.why in found]
    grades = [finding["grade"] for finding in findings] + ["unknown"] * bool(not_read) + ["nothing"]
    return {
        "grade": min(grades, key=GRADES.index),
        "sentence": sentence(findings, not_read),
        "findings": findings,
        "not_read": not_read,
    }


def _part(part: Json) -> JsonObject:
    """A part that was not read, as JSON."""
    found = {"kind": part.kind, "place": part.place, "bytes": part.size}
    return {**found, "offset": part.offset} if part.offset >= 0 else found


def _finding(rule: Rule, tags: list[dict[str, str]]) -> JsonObject:
    found: JsonObject = {"grade": rule.grade, "subject": rule.subject, "why": rule.why, "tags": tags[:MAX_TAGS]}
    return {**found, "more": len(tags) - MAX_TAGS} if len(tags) > MAX_TAGS else found


def _keep(found: Found, why: str, tag: str, value: str) -> None:
    """Keep a tag with a finding, unless one of its name says the same already."""
    tags = found.setdefault(why, {})
    if len(tags) <= MAX_FIELDS:
        tags.setdefault((tag.rpartition(":")[2], value), {"tag": tag, "value": value})


class _Findings:
    """Gathers what the rows of one reading give away.

    Args:
        found: tags by the reason why they count.
        place: put before the tags' groups: empty for the file itself.
    """

    def __init__(self, found: Found, place: str) -> None:
        self.found = found
        self.place = place

    def read(self, reading: Reading) -> None:
        """All rows, and the values that share a tag with another."""
        for group, rows in reading.groups.items():
            if group == "Composite":  # made of the others
                continue
            reasons = _of_group(group)
            for row in rows.values():
                self.row(reading, reasons, group, row)
        for group, row in reading.repeated:
            self.row(reading, _of_group(group), group, row)
        self.blocks(reading)

    def row(self, reading: Reading, reasons: _Reasons, group: str, row: Row) -> None:
        """One row: by the name of its tag, by its value, or by the fields of its structure."""
        name, _, printed, _, _ = row
        why = reasons[name]
        if not why and reading.grades:
            why = rules.BY_GRADE.get(reading.grades.get((group, name), ""), "")
        if not why and isinstance(printed, dict | list):
            self.structure(reasons, group, name, printed)
        elif why or (type(printed) is str and len(printed) > 8):
            why = _by_value(why, group, name, printed if type(printed) is str else _shown(printed))
            if why and name.startswith("GPS"):
                why = _position_reason(reading, group, name, why)
            if why and _says(why, text := _shown(printed)):
                self.known(group, name, why, text, row)

    def known(self, group: str, name: str, why: str, text: str, row: Row) -> None:
        """A row that a rule names; of a colour profile only what standard ones do not say."""
        if group.startswith("ICC"):
            binary = text.startswith("(Binary data")
            if why != rules.DISPLAY and name != "ProfileCopyright":
                return
            if not binary and rules.is_standard_profile(str(row[2])):
                return
        self.keep(why, group, name, text)

    def keep(self, why: str, group: str, name: str, text: str) -> None:
        """Keep a tag with a finding."""
        _keep(self.found, why, f"{self.place}{group}:{name}", text)

    def structure(self, reasons: _Reasons, group: str, name: str, printed: Json) -> None:
        """The fields of a structure, or of a list of them."""
        named = False
        for number, (key, text) in enumerate(_fields(printed, name)):
            if number >= MAX_FIELDS:
                break
            why = reasons[f"{name}:{key}"] or reasons[key]
            if len(text) > 8 or why:
                why = _by_value(why, group, key, text)
            if why and _says(why, text):
                named = named or _BY_REASON[why].subject == "person"
                self.keep(why, group, name, _shown(text))
        if REGIONS.fullmatch(name) and not named:
            self.keep(rules.FACES, group, name, _shown(printed))

    def blocks(self, reading: Reading) -> None:
        """Content of blocks that are not read tag by tag."""
        maker = reading.maker
        if maker is not None and maker.size > 0:
            self.keep(rules.NOTE, "ExifIFD", "MakerNotes", f"{maker.size:,} bytes")
        for block in reading.scan.blocks:
            if block.kind == "jumbf":
                _keep(self.found, rules.CREDENTIALS, f"{self.place}{block.where}", f"{len(block.data):,} bytes")
        for group, row in reading.repeated:
            if row[0] == "MakeAndModel" and group.startswith("ICC"):
                self.display(group, row)

    def display(self, group: str, row: Row) -> None:
        """Apple's make and model of a display: its serial number, if it has one."""
        serial = str(row[1]).split()[2]
        why = rules.SERIAL if serial != "0" else rules.DISPLAY
        self.keep(why, group, "MakeAndModel", _shown(row[2]))


def _says(why: str, text: str) -> bool:
    """Whether a text says anything, of a tag that counts for a reason."""
    return not EMPTY.fullmatch(text) and not _BY_REASON[why].harmless.fullmatch(text[:MAX_VALUE].strip())


def _stated(why: str, text: str) -> str:
    """The reason for a free text that states what a separate tag would."""
    if len(text) <= 8:
        return why
    from functions.exif.report.telling import stated

    return stated(text) or why


def _by_value(why: str, group: str, name: str, text: str) -> str:
    """The reason for a tag, where its value gives a stronger one, or shows that an author is a program."""
    if len(text) > 20 and ":" in text and GENERATED.search(text):
        return rules.PROMPT
    if why == rules.PERSON:
        from functions.exif.report.telling import is_program

        return rules.PROGRAMS if is_program(text) else why
    if why == rules.WORDS:
        why = _stated(why, text)
    if (
        why == rules.PROGRAMS
        or len(text) <= 8
        or not ("/" in text or "@" in text or "-" in text or "\\" in text or text[0] == "+")
    ):
        return why
    from functions.exif.report import telling

    found = telling.reason(text, group, name)
    if not why or (found and GRADES.index(_BY_REASON[found].grade) < GRADES.index(_BY_REASON[why].grade)):
        return found
    return why


def _position_reason(reading: Reading, group: str, name: str, why: str) -> str:
    """The reason for a tag of a position: none where there is no position, a weaker one where it is void."""
    rows = reading.groups.get(group, {})
    if "GPSLatitude" in rows and is_nowhere(reading, group):
        return "" if _BY_REASON[why].subject == "place" else why
    if why != rules.POSITION or "GPSLatitude" not in rows:
        return why
    if is_void(reading, group):
        return rules.VOID
    if name in ("GPSLatitude", "GPSLongitude") and _unsided(reading, group, name):
        return rules.AMBIGUOUS
    return why


def _unsided(reading: Reading, group: str, name: str) -> bool:
    if group == "GPS":
        return str(reading.value(group, name + "Ref") or "").strip("\0 ").upper()[:1] not in tuple("NSEW")
    return (group, name) in reading.unsided


def _fields(value: Json, key: str = "") -> Iterator[tuple[str, str]]:
    """The fields of a structure, or of a list of them, down to the innermost: name and text."""
    if isinstance(value, dict):
        for name, held in value.items():
            yield from _fields(held, name)
    elif isinstance(value, list):
        for held in value:
            yield from _fields(held, key)
    elif key:
        yield key, str(value)


def _shown(value: Json) -> str:
    """A printed value as short text, without ExifTool's advice on how to get at binary data."""
    if isinstance(value, dict):
        text = "; ".join(f"{name}: {text}" for name, text in _fields(value))
    elif isinstance(value, list):
        text = "; ".join(map(_shown, value[:MAX_VALUE]))
    else:
        text = str(value)
    return text.replace(", use -b option to extract", "")[:MAX_VALUE]


class _Reasons(dict[str, str]):
    """Why the tags of a group count, by their names, empty where they do not: most files state the same few hundred.

    Names are the file's own: only so many, and none that is long, are remembered, so that they cannot fill memory.
    """

    def __init__(self, group: str) -> None:
        super().__init__()
        self._group = group
        self._rules = [rule for rule in RULES if rule.groups.match(group)]

    def __missing__(self, name: str) -> str:
        why = self._reason(name)
        if not why and self._group in _PREFIXED:
            # Texts that a program has copied from other blocks: `exif:Artist` is ExifArtist there.
            match = _PREFIX.match(name)
            why = self._reason(name[match.end()].upper() + name[match.end() + 1 :]) if match else ""
        if not why and (language := _LANGUAGE.search(name)):
            why = self[name[: language.start()]]
        if len(self) < MAX_NAMES and len(name) <= MAX_REMEMBERED:
            self[name] = why
        return why

    def _reason(self, name: str) -> str:
        """The reason by the row of a table, else by the first rule."""
        row = table("Grades.Grades").rows.get(f"{self._group}:{name}")
        if row:
            return rules.BY_GRADE[row[0].grade]
        return next((rule.why for rule in self._rules if rule.names.fullmatch(name)), "")


# The language of a text behind its name: `Title-en`, `Description-de-AT`.
_LANGUAGE = re.compile(r"(?<=\w)-[a-z]{2,3}(?:-\w{1,8})*$")
# Groups of texts whose names begin with the name of another block, and how they begin.
_PREFIXED = frozenset(("PNG", "CBOR", "JSON"))
_PREFIX = re.compile(
    r"(?:Exif(?:E[Xx])?|EXIF(?:EX)?|Tiff|TIFF|Dc|Xmp(?:MM|Rights)?|Xap(?:MM|Rights)?|StRef|StEvt|Photoshop|Iptc(?:Core|Ext)?|Pdf|Aux|Plus)"
    r"_?(?=[A-Za-z])"
)
_reasons = lru_cache(maxsize=MAX_GROUPS)(_Reasons)


def _of_group(group: str) -> _Reasons:
    return _reasons(group) if len(group) <= MAX_REMEMBERED else _Reasons(group)


def _explained(group: str, name: str) -> bool:
    """Whether a rule has looked at a tag."""
    return not group.startswith("ICC") and bool(_of_group(group)[name])


def sentence(findings: list[JsonObject], not_read: list[JsonObject]) -> str:
    """One sentence, the worst first, such as `It identifies a place, and narrows down a device and the time.`."""
    parts = []
    seen: set[str] = set()
    for grade, verb in (("identifies", "identifies"), ("narrows", "narrows down"), ("hints", "hints at")):
        subjects = {finding["subject"] for finding in findings if finding["grade"] == grade} - seen
        words = [
            ("the " if subject in ("time", "content") else "a ") + subject
            for subject in SUBJECTS
            if subject in subjects
        ]
        seen |= subjects
        if words:
            parts.append(f"{verb} {' and '.join([', '.join(words[:-1]), words[-1]] if len(words) > 1 else words)}")
    unread = _unread(not_read)
    if parts:
        text = f"It {', and '.join([', '.join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)}"
        return f"{text}; {unread}." if unread else f"{text}."
    if unread:
        return f"Nothing that was read identifies a person, a place or a device, but {unread}."
    return "Nothing in its metadata identifies a person, a place or a device."


def _unread(not_read: list[JsonObject]) -> str:
    size = sum(part["bytes"] for part in not_read)
    if not not_read:
        return ""
    if len(not_read) == 1:
        return f"1 part ({size:,} bytes) was not read"
    return f"{len(not_read)} parts ({size:,} bytes) were not read"
