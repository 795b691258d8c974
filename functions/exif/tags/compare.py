"""Compare the tables with an installed ExifTool: `python -m functions.exif.tags.compare [exiftool]`.

It prints each tag that ExifTool lists (`-listx`) and no row names, and each label that differs.
"""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from xml.etree.ElementTree import Element, iterparse

from functions.exif.tags.tables import FOLDER, Table, sections, table

# Names of tables listed at the end.
LIMIT = 40


def ours() -> dict[str, Table]:
    """The tables by ExifTool's name of each: `Canon::CameraSettings`."""
    found = {}
    for path in sorted(Path(FOLDER).glob("*.tsv")):
        for section in sections(path.stem):
            read = table(f"{path.stem}.{section}")
            found[f"{path.stem}::{section}".lower()] = read
    return found


def listed(program: list[str]) -> Iterator[Element]:
    """ExifTool's tables, one after another, as elements of its XML."""
    with subprocess.Popen([*program, "-listx", "-f"], stdout=subprocess.PIPE) as process:
        for _, element in iterparse(process.stdout or BytesIO()):  # noqa: S314 - of a program that the developer names
            if element.tag == "table":
                yield element
                element.clear()


def differences(theirs: Element, read: Table) -> Iterator[str]:
    """What a table lacks, or says otherwise."""
    # Alternatives of one name have labels of their own.
    names: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for row in read:
        row.prepare()
        labels = names[row.name]
        for key, label in row.labels.exact.items() if row.labels else ():
            labels[str(key)].add(label)
    for tag in theirs.iter("tag"):
        name = tag.get("name", "")
        if name not in names:
            yield f"missing {read.name}:{name} ({tag.get('id')})"
            continue
        for key in tag.iter("key"):
            text = key.findtext("val[@lang='en']")
            mine = names[name].get(key.get("id", ""))
            if mine and text is not None and text not in mine:
                yield f"label {read.name}:{name} {key.get('id')}: {mine!r}, ExifTool {text!r}"


def main() -> int:
    """Print the differences; 1 if there are any."""
    program = sys.argv[1:] or ["exiftool"]
    tables, count, without = ours(), 0, []
    for theirs in listed(program):
        name = theirs.get("name", "")
        read = tables.get(name.replace("Image::ExifTool::", "").lower())
        if read is None:
            without.append(name)
            continue
        for line in differences(theirs, read):
            sys.stdout.write(f"{line}\n")
            count += 1
    missing = ", ".join(sorted(without)[:LIMIT])
    sys.stdout.write(f"{count} differences; {len(without)} of ExifTool's tables have none here: {missing} ...\n")
    return int(count > 0)


if __name__ == "__main__":
    sys.exit(main())
