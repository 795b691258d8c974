"""A clean copy of an image: its metadata gone, its pixels bit for bit the same, nothing decoded or encoded again.

One module for each family of containers knows structure alone; `edit.Edit` decides what becomes of a block of
metadata, and is the same for all of them.
"""

from __future__ import annotations

from functions.exif.keeping import DEFAULT_KEEP, KEEP, REMOVE
from functions.exif.strip.clean import FORMATS, Stripped, strip
from functions.exif.strip.edit import Removed, Unsupported
from functions.exif.strip.layout import Broken
from functions.exif.strip.verify import NotClean

__all__ = [
    "DEFAULT_KEEP",
    "FORMATS",
    "KEEP",
    "REMOVE",
    "Broken",
    "NotClean",
    "Removed",
    "Stripped",
    "Unsupported",
    "strip",
]
