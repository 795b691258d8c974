"""What is known of XMP's properties: namespaces, names, labels, and which of them hold fractions, dates or Base64.

An answer is as ExifTool's only if it converts what ExifTool converts; the facts are rows of `tags/xmp.tsv`.
"""

from __future__ import annotations

from functions.exif.tags.labels import label_set
from functions.exif.tags.tables import Field, table

# Before PLUS's codes is the address of its vocabulary.
PLUS_VOCABULARY = "http://ns.useplus.org/ldf/vocab/"


def _flagged(flag: str) -> frozenset[str]:
    return frozenset(row.number for row in table("XMP.Properties") if flag in row.flags)


def _labels(row: Field) -> dict[str, str]:
    return {str(key): text for key, text in row.table.labels(row.text[3]).exact.items()}


# Namespaces whose properties are known, by their usual prefix: what they do not call a fraction or a date is text.
# In any other namespace, text that looks like a fraction or a date is read as one.
KNOWN = frozenset(row.number for row in table("XMP.Namespaces"))
FRACTIONS, ENCODED = _flagged("fraction"), _flagged("encoded")
# Properties that are dates in spite of their names, and that are none.
DATES, NO_DATES = _flagged("date"), _flagged("nodate")
FRACTION_FIELDS = frozenset(row.number for row in table("XMP.Fields"))
NAMES = {row.number: row.name for row in table("XMP.Properties")}
LABELS = {row.number: _labels(row) for row in table("XMP.Properties") if row.text[3]}
URGENCY = {str(key): text for key, text in label_set("XMP", "Urgency").exact.items()}
