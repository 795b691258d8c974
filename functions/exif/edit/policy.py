"""The policy: for each kind of part, what it is and what a clean copy, `remove=gps` and each `keep=` do with it.

The editor and the table in docs/exif.md come from these rows.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple

from functions.kit.containers.parts import Kind


class Action(StrEnum):
    """What becomes of a part."""

    KEEP = "stays"
    DROP = "goes"
    EDIT = "edited"  # its content decides: what is to stay of it stays
    SEARCH = "stays unless it may state a location"
    REFUSE = "refused (422)"


class Rule(NamedTuple):
    """What becomes of the parts of one kind.

    Args:
        what: they are, for the documentation.
        strip: in a clean copy.
        located: when only the location goes.
        keep: names of `keep=` by which content of theirs stays.
        reported: their kind in `X-Removed`.
    """

    what: str
    strip: Action
    located: Action
    keep: tuple[str, ...] = ()
    reported: str = ""


_STATEMENTS = ("orientation", "copyright", "artist", "description", "date")
_CAMERA = ("resolution", "colorspace", "camera", "lens", "exposure")
KEEP, DROP, EDIT, SEARCH, REFUSE = Action.KEEP, Action.DROP, Action.EDIT, Action.SEARCH, Action.REFUSE
RULES: dict[Kind, Rule] = {
    Kind.STRUCTURE: Rule("what a reader needs to find and show the picture", KEEP, KEEP),
    Kind.PIXELS: Rule("the picture, every frame and tile of it", KEEP, KEEP),
    Kind.EXIF: Rule("Exif", EDIT, EDIT, (*_STATEMENTS, *_CAMERA), "exif"),
    Kind.XMP: Rule("XMP", EDIT, EDIT, (*_STATEMENTS, "gainmap", "panorama"), "xmp"),
    Kind.IPTC: Rule("IPTC-IIM records", EDIT, EDIT, _STATEMENTS[1:], "iptc"),
    Kind.ICC: Rule("a colour profile, without what identifies a display or a person", EDIT, KEEP, ("icc",), "icc"),
    Kind.PHOTOSHOP: Rule("Photoshop's image resources", EDIT, EDIT, ("resolution", "icc", *_STATEMENTS), "photoshop"),
    Kind.COMMENT: Rule("comments", DROP, SEARCH, (), "comment"),
    Kind.TEXT: Rule("named texts", EDIT, EDIT, _STATEMENTS[1:], "text"),
    Kind.TIME: Rule("the time of the last change", DROP, KEEP, ("date",), "date"),
    Kind.TAG: Rule("an entry of a TIFF directory", EDIT, EDIT, (*_STATEMENTS, *_CAMERA), "tag"),
    Kind.JFIF: Rule("JFIF: version and density stay, its thumbnail goes", EDIT, KEEP, (), "thumbnail"),
    Kind.JFXX: Rule("a thumbnail of JFIF", DROP, SEARCH, (), "thumbnail"),
    Kind.ADOBE: Rule("the colour transform (Adobe), and bytes behind it", EDIT, KEEP, (), "app"),
    Kind.MPF: Rule("the index of further pictures, with its entries alone", EDIT, KEEP, (), "mpf"),
    Kind.JUMBF: Rule("content credentials (C2PA) and other JUMBF boxes", DROP, SEARCH, (), "c2pa"),
    Kind.APP: Rule("data of a maker or a program", DROP, SEARCH, ("gainmap",), "app"),
    Kind.THUMBNAIL: Rule("a thumbnail", DROP, SEARCH, (), "thumbnail"),
    Kind.PREVIEW: Rule("a preview", DROP, SEARCH, (), "thumbnail"),
    Kind.PICTURE: Rule("further pictures: those of the same rank stay, cleaned", EDIT, EDIT, ("gainmap",), "trailer"),
    Kind.VIDEO: Rule("a video beside the picture", DROP, EDIT, (), "trailer"),
    Kind.FREE: Rule("declared free space", DROP, DROP, (), "free"),
    Kind.PADDING: Rule("zeros and fill that belong to nothing", DROP, KEEP),
    Kind.GAP: Rule("other bytes that belong to nothing", DROP, DROP, (), "junk"),
    Kind.TRAILER: Rule("bytes after the end of the picture", DROP, EDIT, (), "trailer"),
    Kind.UNKNOWN: Rule("an unknown element that readers may ignore", DROP, SEARCH, (), "chunk"),
    Kind.ESSENTIAL: Rule("an unknown element that readers must not ignore", REFUSE, REFUSE),
}
# Elements that the container's reader calls structure, by their own type.
TYPES: dict[Any, Rule] = {
    b"jbrd": Rule("what restores the JPEG that a JPEG XL was made from, its comments included", DROP, DROP, (), "app"),
}


def document() -> str:
    """The table of docs/exif.md."""
    lines = ["| part | clean copy | `remove=gps` | `keep=` |", "|---|---|---|---|"]
    lines += [
        f"| {rule.what} | {rule.strip} | {rule.located} | {' '.join(f'`{name}`' for name in rule.keep)} |"
        for rule in (*RULES.values(), *TYPES.values())
    ]
    return "\n".join(lines) + "\n"
