"""Where a picture was taken, and how far that can be relied on."""

from __future__ import annotations

from functions.exif.blocks.values import number_or_text
from functions.exif.printing.places import sexagesimal
from functions.exif.report.moments import moment
from functions.exif.rows import Reading
from functions.kit.jsontypes import Json, JsonObject

# What a receiver writes that has no position, in Exif's `GPSStatus`.
VOID = "V"


def location(reading: Reading) -> JsonObject | None:
    """Where the picture was taken: decimal degrees, degrees in words, altitude, direction, a `geo:` URI (RFC 5870).

    Returns:
        As Exif says, else as XMP or a video says; None where none has a valid position: a value is missing, out of
        range, 0,0 (which cameras write without a fix), or marked as void. A coordinate whose hemisphere is not stated
        is given by its absolute value under `ambiguous`, without `geo` and `map`.
    """
    for group in ("GPS", "XMP-exif"):
        found = _of_group(reading, group)
        if found:
            return found
    for group in ("UserData", "Keys", "ItemList"):
        found = _of_movie(reading, group)
        if found:
            return found
    return None


def is_void(reading: Reading, group: str) -> bool:
    """Whether the receiver marked its position as void."""
    return str(reading.value(group, "GPSStatus") or "").strip("\0 ").upper() == VOID


def is_nowhere(reading: Reading, group: str) -> bool:
    """Whether both coordinates are zero, or one is missing: no position."""
    latitude, longitude = _number(reading.value(group, "GPSLatitude")), _number(reading.value(group, "GPSLongitude"))
    return not latitude and not longitude


def _of_group(reading: Reading, group: str) -> JsonObject | None:
    rows = reading.groups.get(group)
    if not rows or "GPSLatitude" not in rows or is_void(reading, group) or is_nowhere(reading, group):
        return None
    values = {name: value for name, value, *_ in rows.values() if name.startswith("GPS")}
    sided = group == "GPS"
    if not sided:  # XMP's numbers are text, with the side in it
        values = {name: _number(value) for name, value in values.items()}
    latitude, north = _coordinate(reading, group, "GPSLatitude", "NS", 90)
    longitude, east = _coordinate(reading, group, "GPSLongitude", "EW", 180)
    if latitude is None or longitude is None:
        return None
    found = _position(latitude, longitude, north, east)
    _altitude(found, values)
    for name, key in (("GPSImgDirection", "direction"), ("GPSTrack", "track"), ("GPSSpeed", "speed")):
        if isinstance(values.get(name), int | float):
            found[key] = values[name]
            if name + "Ref" in rows:
                found[key + "_reference"] = rows[name + "Ref"][2]
    if isinstance(values.get("GPSHPositioningError"), int | float):
        found["error"] = values["GPSHPositioningError"]
    date, time = reading.text(group, "GPSDateStamp"), reading.text(group, "GPSTimeStamp")
    when = moment(f"{date} {time}Z" if date and time else reading.text(group, "GPSDateTime"))
    if when:
        found["time"] = when
    if "GPSMapDatum" in rows:
        found["datum"] = rows["GPSMapDatum"][2]
    return _linked(found)


def _of_movie(reading: Reading, group: str) -> JsonObject | None:
    """A video's position: `latitude longitude altitude`."""
    parts = str(reading.value(group, "GPSCoordinates") or "").split()
    if len(parts) < 2 or not all(isinstance(_number(part), int | float) for part in parts):
        return None
    latitude, longitude = float(parts[0]), float(parts[1])
    if not latitude and not longitude:
        return None
    found = _position(latitude, longitude, "S" if latitude < 0 else "N", "W" if longitude < 0 else "E")
    if len(parts) > 2:
        found["altitude"] = float(parts[2])
    return _linked(found)


def _position(latitude: float, longitude: float, north: str, east: str) -> JsonObject:
    """Both coordinates; those whose hemisphere is not stated as ambiguous."""
    dms = f"{sexagesimal(latitude)} {north}".strip() + ", " + f"{sexagesimal(longitude)} {east}".strip()
    if north and east:
        return {"latitude": round(latitude, 8), "longitude": round(longitude, 8), "dms": dms}
    ambiguous: dict[str, float] = {}
    found: JsonObject = {"dms": f"{dms} (hemisphere not stated)"}
    for name, degrees, side in (("latitude", latitude, north), ("longitude", longitude, east)):
        (found if side else ambiguous)[name] = round(degrees, 8)
    return {**found, "ambiguous": ambiguous}


def _altitude(found: JsonObject, values: JsonObject) -> None:
    altitude = values.get("GPSAltitude")
    if isinstance(altitude, int | float):
        found["altitude"] = -altitude if values.get("GPSAltitudeRef") in (1, 3, "1", "3") else altitude


def _linked(found: JsonObject) -> JsonObject:
    """The position with the addresses that maps understand, if it is one position."""
    if "ambiguous" in found:
        return found
    latitude, longitude = found["latitude"], found["longitude"]
    uri = f"geo:{latitude:.8g},{longitude:.8g}"
    if "altitude" in found:
        uri += f",{found['altitude']:.6g}"
    if "error" in found:
        uri += f";u={found['error']:.6g}"
    place = f"mlat={latitude:.6f}&mlon={longitude:.6f}#map=15/{latitude:.6f}/{longitude:.6f}"
    return {**found, "geo": uri, "map": f"https://www.openstreetmap.org/?{place}"}


def _number(value: Json) -> Json:
    """A text as the finite number that it may be."""
    number = number_or_text(value) if isinstance(value, str) else value
    return value if number in (float("inf"), -float("inf")) else number


def _coordinate(reading: Reading, group: str, name: str, sides: str, limit: int) -> tuple[float | None, str]:
    """A coordinate with its sign, and its side; an empty side where none is stated."""
    degrees = _number(reading.value(group, name))
    if not isinstance(degrees, int | float) or isinstance(degrees, bool):
        return None, ""
    if degrees < 0:
        side = sides[1]
    elif group == "GPS":
        side = str(reading.value(group, name + "Ref") or "").strip("\0 ").upper()[:1]
    elif (group, name) in reading.unsided:
        side = ""
    else:
        side = sides[0]
    side = side if side and side in sides else ""
    value = -abs(float(degrees)) if side == sides[1] else float(degrees)
    return (value if abs(value) <= limit else None), side
