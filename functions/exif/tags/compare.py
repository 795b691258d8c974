"""Compare the tables with an installed ExifTool: `python -m functions.exif.tags.compare [exiftool]`.

It prints each tag that ExifTool lists (`-listx`) and no row names, each property of XMP that is named otherwise, and
each label that differs.
"""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from xml.etree.ElementTree import Element, iterparse

from functions.exif.blocks.iptc import RECORDS
from functions.exif.blocks.namespaces import Name
from functions.exif.blocks.properties import described
from functions.exif.tags.files import FOLDER, sections
from functions.exif.tags.tables import Table, table

# Names of tables listed at the end.
LIMIT = 40
# ExifTool's tables of directories, whose rows are in several of ours.
DIRECTORIES = {
    "exif::main": ("Exif.IFD0", "Exif.ExifIFD", "Exif.InteropIFD", "Exif.Private", "MakerNotes.Main"),
    "gps::main": ("Exif.GPS",),
    "panasonicraw::main": ("Exif.PanasonicRaw", "Exif.IFD0", "Exif.ExifIFD", "Exif.Private"),
}
# Labels of values, by the names of tags; alternatives of one name have labels of their own.
Names = Mapping[str, Mapping[str, set[str]]]


def ours() -> dict[str, Names]:
    """The tags of our tables by ExifTool's name of each table, in small letters: `canon::camerasettings`."""
    found: dict[str, Names] = {}
    for path in sorted(Path(FOLDER).glob("*.tsv")):
        for section in sections(path.stem):
            found[f"{path.stem}::{section}".lower()] = named(table(f"{path.stem}.{section}"))
    for name, parts in DIRECTORIES.items():
        found[name] = named(*map(table, parts))
    for record, datasets in RECORDS.values():
        found[f"iptc::{record}record".lower()] = {name.rstrip("*"): {} for name, _ in datasets.values()}
    return found


def named(*tables: Table) -> Names:
    """The tags of tables."""
    names: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for read in tables:
        for row in read:
            row.prepare()
            labels = names[row.name]
            bits = row.flags.get("show") == "bits"  # ExifTool lists what a bit is worth
            for key, label in row.labels.exact.items() if row.labels else ():
                labels[str(1 << key if bits else key)].add(label)
    return names


def listed(program: list[str]) -> Iterator[Element]:
    """ExifTool's tables, one after another, as elements of its XML."""
    with subprocess.Popen([*program, "-listx", "-f"], stdout=subprocess.PIPE) as process:
        for _, element in iterparse(process.stdout or BytesIO()):  # noqa: S314 - of a program that the developer names
            if element.tag == "table":
                yield element
                element.clear()


def differences(theirs: Element, names: Names) -> Iterator[str]:
    """What our tables lack of one of ExifTool's, or have otherwise."""
    place = theirs.get("name", "")
    for tag in theirs.iter("tag"):
        name = tag.get("name", "")
        if name not in names:
            yield f"missing {place}:{name} ({tag.get('id')})"
            continue
        yield from labelled(f"{place}:{name}", tag, names[name])


def labelled(name: str, tag: Element, labels: Mapping[str, set[str]]) -> Iterator[str]:
    """The labels of a tag that differ."""
    for key in tag.iter("key"):
        text = key.findtext("val[@lang='en']")
        mine = labels.get(key.get("id", ""))
        if mine and text is not None and text not in mine:
            yield f"label {name} {key.get('id')}: {mine!r}, ExifTool {text!r}"


def properties(theirs: Element) -> Iterator[str]:
    """Properties of XMP that are named or labelled otherwise; fields of structures are read as structures."""
    tags = list(theirs.iter("tag"))
    structures = tuple(tag.get("id", "") for tag in tags if tag.get("type") == "struct")
    for tag in tags:
        number, group = tag.get("id", ""), tag.get("g1") or str(theirs.get("g1"))
        if not any(number.startswith(structure) and number != structure for structure in structures):
            about = described(Name(group.removeprefix("XMP-"), number))
            if about.name != tag.get("name"):
                yield f"name {group}:{number}: {about.name!r}, ExifTool {tag.get('name')!r}"
            labels = about.labels or (about.tag.labels if about.tag else {})
            yield from labelled(f"{group}:{number}", tag, {str(key): {text} for key, text in labels.items()})


def main() -> int:
    """Print the differences; 1 if there are any."""
    program = sys.argv[1:] or ["exiftool"]
    tables, count, without = ours(), 0, []
    for theirs in listed(program):
        name = theirs.get("name", "").replace("Image::ExifTool::", "")
        names = tables.get(name.lower())
        if theirs.get("g0") == "XMP":
            lines = properties(theirs)
        elif names is None:
            without.append(name)
            continue
        else:
            lines = differences(theirs, names)
        for line in lines:
            sys.stdout.write(f"{line}\n")
            count += 1
    missing = ", ".join(sorted(without)[:LIMIT])
    sys.stdout.write(f"{count} differences; {len(without)} of ExifTool's tables have none here: {missing} ...\n")
    return int(count > 0)


if __name__ == "__main__":
    sys.exit(main())
