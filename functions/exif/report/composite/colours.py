"""White balance, colour filter and flash."""

from __future__ import annotations

from collections.abc import Callable

from functions.exif.blocks.values import is_number
from functions.exif.report.composite.lookup import Shown, Tags, number

# Places of red, two greens and blue among the levels of each tag; a green of 256 is one of that value.
_LEVELS = (
    ("WB_RGGBLevels", (0, 1, 2, 3)),
    ("WB_RGBGLevels", (0, 1, 3, 2)),
    ("WB_RBGGLevels", (0, 2, 3, 1)),
    ("WB_GRBGLevels", (1, 0, 3, 2)),
    ("WB_GRGBLevels", (1, 0, 2, 3)),
    ("WB_GBRGLevels", (2, 0, 3, 1)),
    ("WB_RGBLevels", (0, 1, 1, 2)),
    ("WB_GRBLevels", (1, 0, 0, 2)),
    ("WB_RBLevels", (0, 256, 256, 1)),
)


_NAMED = frozenset(name for name, _ in _LEVELS) | {"WBBlueLevel", "WBRedLevel"}


def balance(blue: bool) -> Callable[[Tags], Shown | None]:
    """Red or blue over green of the white balance."""

    def derive(tags: Tags) -> Shown | None:
        if not tags.any(_NAMED) and "WB_RGGBLevels" not in tags.derived:
            return None
        value = _level(tags, blue)
        if value is None:
            level, green = tags.number("WBBlueLevel" if blue else "WBRedLevel"), tags.number("WBGreenLevel")
            value = level / green if level and green else None
        return None if value is None else (value, number(int(value * 1e6 + 0.5) * 1e-6))

    return derive


def _level(tags: Tags, blue: bool) -> float | None:
    for name, places in _LEVELS:
        found = tags.find(name)
        levels = [float(part) for part in str(found.value).split() if is_number(part)] if found is not None else []
        if len(levels) < 2:
            continue
        wanted = places[3 if blue else 0]
        green: float = places[1]
        if green < 4:
            if len(levels) < 3:
                continue
            green = (levels[places[1]] + levels[places[2]]) / 2
            if not green:
                continue
        elif levels[wanted] < 4:
            green = 1
        return levels[wanted] / green
    return None


def pattern(tags: Tags) -> Shown | None:
    """The colour filter array: rows and columns, then the colour of each cell."""
    size, cells = tags.text("CFARepeatPatternDim").split(), tags.text("CFAPattern2").split()
    if not size or not cells:
        return None
    if len(size) != 2 or len(cells) != int(size[0]) * int(size[1]):
        return "?", "<truncated data>"
    colours = ("Red", "Green", "Blue", "Cyan", "Magenta", "Yellow", "White")
    names = [colours[int(cell)] if int(cell) < len(colours) else "Unknown" for cell in cells]
    step = int(size[1])
    rows = [",".join(names[at : at + step]) for at in range(0, len(names), step)]
    return " ".join((*size, *cells)), "".join(f"[{row}]" for row in rows)


def flash(tags: Tags) -> Shown | None:
    """XMP's structure of the flash as Exif's one number."""
    found = tags.find("XMP-exif:Flash")
    if found is None or not isinstance(found.value, dict):
        return None
    fields = found.value
    value = int(str(fields.get("Fired", "")).lower() == "true")
    value |= int(fields.get("Return") or 0) << 1 | int(fields.get("Mode") or 0) << 3
    value |= 0x20 * (str(fields.get("Function", "")).lower() == "true")
    value |= 0x40 * (str(fields.get("RedEyeMode", "")).lower() == "true")
    from functions.exif.tags import tag

    labels = tag("ExifIFD", 0x9209).labels
    return value, labels.get(value, f"Unknown (0x{value:x})")
