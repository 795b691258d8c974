"""Which names of tags, and which values, identify a person, a place or a device: the rules of the privacy report."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

# From the worst to none. `unknown` is a report's alone: a part that may hold metadata was not read.
GRADES = ("identifies", "narrows", "unknown", "hints", "nothing")
SUBJECTS = ("place", "person", "device", "time", "content")


class Rule(NamedTuple):
    """Names of tags that say the same.

    Args:
        grade: one of `GRADES`, but `unknown` and `nothing`.
        subject: one of `SUBJECTS`.
        why: what a reader learns from it.
        names: pattern of tag names, whole; `Tag:Field` is a field of a structure.
        groups: pattern of groups, from their beginning; any where empty.
        harmless: pattern of values, whole, that say nothing here.
    """

    grade: str
    subject: str
    why: str
    names: re.Pattern[str]
    groups: re.Pattern[str]
    harmless: re.Pattern[str]


def _rule(grade: str, subject: str, why: str, names: str, groups: str = "", harmless: str = r"(?!)") -> Rule:
    return Rule(grade, subject, why, re.compile(names), re.compile(groups), re.compile(harmless, re.IGNORECASE))


# One character, or one repeated, is not a number: cameras pad empty fields with it.
_NO_NUMBER = r"[\W_]*(\w)?(?:\1|[\W_])*"
# Defaults that cameras and encoders write without an author's input.
_CAMERA = r"(?:[\w-]+ ){0,6}digital (?:still |video )?camera|om system camera|camera"
_DEFAULTS = (
    r"(?:(?:olympus|konica minolta|minolta|pentax|samsung|nikon|canon|kodak|ricoh|casio|fujifilm|vivitar|jenoptik|hp"
    r"|sanyo)[ \w-]{0,24})?(?:digital|still|video)? ?camera|sony dsc|(?:samsung|kodak|nikon|canon|olympus|pentax|casio)"
    r"|exif_jpeg_picture|untitled|default|image|picture|photo|jpeg|dcim[\w./\\-]*|dav|<[^>]*>|charset=\w*|ascii|unicode"
    r"|(?:dsc|img|dji|gopr|p\d|_mg)[\w-]*\d(?:\.\w{3,4})?|user comments?|created with (?:the )?gimp.{0,20}"
    r"|file written by adobe.{0,40}|creator: gd-jpeg.{0,120}|lead technologies.{0,40}|intel\(r\) jpeg.{0,40}|applemark"
    r"|lavc[\d.]*|jpeg encoder copyright.{0,80}|optimized by jpegmini.{0,40}|xv \d.{0,60}|compressed by jpeg recompress"
    r"|processed by.{0,10}|handmade software.{0,80}"
)

POSITION = "where it was taken, to a few metres"
PLACE = "the place by its name"
HEIGHT = "height, direction or speed of the position"
PERSON = "a person by name"
RIGHTS = "who holds the rights"
FILES = "names of the computer or of its files"
UNIQUE = "this very picture, wherever it is copied to"
PROGRAMS = "the programs it went through"
WORDS = "words about the picture"
VOID = "a position that the receiver marked as void"
AMBIGUOUS = "where it was taken, to a few metres; which hemisphere is not stated"
FACES = "faces or persons in the picture, without names"
PROMPT = "the prompt and settings of an image generator"
MEDIA = "a video or sound recording that belongs to the picture"
DISPLAY = "the display or device that the colour profile was made for"
SERIAL = "this very device, in every picture it takes"
CREDENTIALS = "content credentials: who made and edited it"
NOTE = "the maker's own notes, often with serial numbers"
COUNT = "how much this very device was used, which narrows it down"
TEXT = "text in fields that this report has no rule for"

RULES = (
    _rule(
        "identifies",
        "place",
        POSITION,
        r"GPS(Dest)?(Latitude|Longitude|Position|Coordinates)|.*(?<!Ref)(Latitude|Longt?itude)",
    ),
    _rule("identifies", "place", AMBIGUOUS, r"(?!)"),
    _rule("narrows", "place", VOID, r"(?!)"),
    _rule(
        "narrows",
        "place",
        PLACE,
        r"City|State|Province-?State|Sub-?location|Location(Name|Information)?|Country(-PrimaryLocation(Name|Code))?"
        r"|Country(Code|Name)|ContentLocation(Name|Code)|GPSAreaInformation|Landmark|LocationInfo|WorldRegion|LocationId"
        r"|CiAdr(City|Ctry|Region)",
    ),
    _rule(
        "narrows",
        "place",
        HEIGHT,
        r"GPS(?!VersionID|MapDatum|Status|MeasureMode|DOP|Satellites|Differential|ProcessingMethod|Date|Time|HPos|Valid|.*Ref$).*",
    ),
    _rule(
        "identifies",
        "person",
        PERSON,
        r"Artist|Author|XPAuthor|Creator|By-line|CameraOwnerName|OwnerName|Photographer|ImageEditor|PersonInImage.*"
        r"|(RegionInfo|Regions):Name|RegionInfoMP:PersonDisplayName|People|Person|Personality|Contributor"
        r"|(ImageCreator|CopyrightOwner)(?!ImageID).*|AttributionName|AOCreator\w*|CaptionWriter|Writer-Editor|CreatorContactInfo"
        r"|Contact|AIPromptWriterName|Director|Producer|.*(FaceName|PersonName|BabyName|PetName)\d*|FacebookUser\w*|UserName"
        r"|MyNamePhotographer|(Full|First|Last|Given|Family|Middle|Sur)Name|Ci(Adr|Email|Tel)\w*|.*E-?mail(Address)?|.*PhoneNumber"
        r"|(Recorded|Identified|Georeferenced|Photographed|Scanned|Digitized|Edited|Captured)By|.*(Physician|Operator)s?Name",
        "",
        _CAMERA,
    ),
    _rule(
        "narrows",
        "person",
        RIGHTS,
        r"Copyright(Notice)?|Rights|UsageTerms|WebStatement|Owner|Credit|Source|Licens(or|ee)(?!ImageID|TransactionID).*|ProfileCopyright"
        r"|AOCurrent(CopyrightOwner|Licensor)\w*|(ImageSupplier|EndUser)(Name|ID)?|Publisher|HomePage|CiUrlWork",
    ),
    _rule(
        "narrows",
        "person",
        FILES,
        r"HostComputer|FilePath|DocumentName|(Original)?RawFileName|PreservedFileName|OriginalFileName|WiFi\w*|.*SSID",
    ),
    _rule("narrows", "person", FACES, r"BabyAge\d*"),
    _rule("narrows", "person", CREDENTIALS, r"(?!)"),
    _rule("narrows", "device", NOTE, r"(?!)"),
    _rule("narrows", "device", COUNT, r"(?!)"),
    _rule(
        "identifies",
        "device",
        SERIAL,
        r"(?!.*Format$).*Serial ?(Number|No)\d*|InternalSerialNumber|CameraID|DeviceID|.*MACAddress|IMEI|DroneID",
        r"(?!ICC)",
        rf"{_NO_NUMBER}|{_CAMERA}|no lens",
    ),
    _rule(
        "narrows",
        "content",
        UNIQUE,
        r"ImageUniqueID|RawDataUniqueID|(Original|Unique|Master|Short)?DocumentID|(Original|Unique)?InstanceID|ContentIdentifier"
        r"|PhotoIdentifier|DigitalImageGUID|CaptureUUID|ImageGUID|MediaGroupUUID|BurstUUID|UniqueID|.*(UUID|GUID)|ImageUniqueId"
        r"|ManifestID|ProvenanceID|Identifier|DerivedFrom|.*BurstID|\w+(?<!Preview)ImageID",
        r"(?!ICC)",
        _NO_NUMBER,
    ),
    _rule(
        "narrows",
        "content",
        PROMPT,
        r"Parameters|Prompt|Workflow|Dream|(Sd|Invokeai|Generation|Fooocus)[\w-]*|AIPrompt.*|.*Negative_?[Pp]rompt",
    ),
    _rule("narrows", "content", MEDIA, r"(?!)"),
    _rule(
        "narrows",
        "device",
        "the model of camera or phone",
        r"Make|Model|UniqueCameraModel|LocalizedCameraModel|LensModel|LensMake|LensInfo|Lens(ID)?|CameraModel(Name|ID)?"
        r"|(Canon|Sony|Pentax|Minolta)ModelID|Device(Make|Codename)|RigName|CameraName",
        r"(?!ICC|File|JFIF)",
    ),
    _rule(
        "narrows",
        "device",
        DISPLAY,
        r"ProfileDescription\w*|ProfileDescriptionML.*|DeviceModelDesc.*|DeviceMfgDesc.*|VideoCardGamma|NativeDisplayInfo|DeviceModel",
        r"ICC",
    ),
    _rule(
        "hints",
        "device",
        PROGRAMS,
        r"\w*Software\w*|Creator[Tt]ool|History:SoftwareAgent|OriginatingProgram|XMPToolkit|Firmware.*|CameraFirmware|Encoder"
        r"|HandlerDescription|WriterName|ReaderName|(\w*Application|Tool_)Name",
        r"(?!ICC|File)",
    ),
    _rule(
        "narrows",
        "time",
        "when it was taken, to the second",
        r"DateTimeOriginal|DateTimeDigitized|(Track|Media)?CreateDate|DateCreated|TimeCreated|DigitalCreation(Date|Time)|CreationTime|CreationDate"
        r"|SubSecDateTimeOriginal|GPS(Date|Time|DateTime)(Stamp)?|ContentCreateDate|TimeStamp|Image_UTC",
        r"(?!ICC|File|Composite)",
    ),
    _rule("hints", "time", "when it was changed", r"ModifyDate|MetadataDate|History:When", r"(IFD|Exif|XMP|PNG)"),
    _rule("hints", "place", "the time zone it was taken in", r"OffsetTime(Original|Digitized)?|TimeZone(Offset)?"),
    _rule(
        "hints",
        "content",
        WORDS,
        r"ImageDescription|Description|Title|Headline|Caption-Abstract|ObjectName|Keywords|Subject|UserComment|XP(Title|Subject|Keywords|Comment)"
        r"|Comment|HierarchicalSubject|TagsList|CatalogSets|KeywordInfo:Keyword|Label|User(Name|Description|Keywords)|ItemName\d+",
        "",
        _DEFAULTS,
    ),
    _rule(
        "hints",
        "content",
        "that a program made or changed it",
        r"DigitalSourceType|DigitalSourceFileType|AISystem\w*",
        "",
        r".*digitalCapture|.*negativeFilm|.*positiveFilm|.*print",
    ),
    _rule(
        "hints",
        "content",
        "an earlier version of the picture, perhaps before it was cropped",
        r"(Thumbnail|Preview|Other)Image",
    ),
    _rule("hints", "content", TEXT, r"(?!)"),
)

# The reason of a grade that a row of the tag tables has, for names that no rule covers.
BY_GRADE = {
    "identifies:place": POSITION,
    "narrows:place": PLACE,
    "narrows:place:height": HEIGHT,
    "identifies:person": PERSON,
    "narrows:person": FACES,
    "narrows:person:rights": RIGHTS,
    "narrows:person:files": FILES,
    "identifies:device": SERIAL,
    "narrows:device": COUNT,
    "hints:device": PROGRAMS,
    "narrows:content": UNIQUE,
    "hints:content": WORDS,
}
# Values that show settings of an image generator, in any tag.
GENERATED = re.compile(
    r"Negative prompt:|\bSteps: \d+, .{0,40}Sampler|\"class_type\"\s*:|^(?:prompt|workflow):\s*\{"
    r"|\"(?:sampler|negative_prompt)\"\s*:"
)
# Values without information, in any tag.
EMPTY = re.compile(
    r"[\s0:.\-/]*|undef|unknown|none|unknown.*|\(none\)|n/?a|\(undefined\)|\(not set\)", re.ASCII | re.IGNORECASE
)
# Structures that mark regions of the picture, by the fields that name whom they show.
REGIONS = re.compile(r"RegionInfo(MP)?|Regions|FaceInfo\w*|.*Faces?(Detected|Positions?)|.*FaceID")
# Words of three letters or more that all copies of a standard colour profile share, their makers among them.
_PROFILE_TEXT = """
adobe alike all and apple are argyll artifex artist artists attribution available black bpc built builtin camera canon
cirgb cms cmyk coated color colour com commons compact company compatible computer condition conditions consortium
copyright corp corporation creative crs curve curves dci default display displayp domain dot druckmaschinen eastman
eci ecirgb elle embedded epson euroscale facebook file fogra for free freely from fujifilm gain gamma gamut gbr
generic gill gimp gmbh google gracol graeme gray grey heidelberg hewlett hlg http icc iec image imported inc
incorporated integerized international iso itu japan kodak lab license licensed linear little llc ltd made maria marti
may microsoft monitor nifty nikon ninedegreesbelow ntsc olympus opt opticalprofile org packard pal panasonic
parametric perceptual photoshop preference profile profiles prophoto public rec reference reserved rgb rights romm
royalty samsung scaled secam seiko share simplified skia smpte software sony space srgb standard stone swop systems
the this trademark uhdtv uncoated under unported untitled use used version viewing web wide with working world www xyz
ycc
"""
PROFILE_WORDS = frozenset(_PROFILE_TEXT.split())


def is_standard_profile(text: str) -> bool:
    """Whether a text of a colour profile has only words that copies of standard profiles share."""
    return _standard(text) if len(text) <= MAX_REMEMBERED else _is_standard(text)


def _is_standard(text: str) -> bool:
    from functions.exif.edit.blocks.icc import is_common

    # A clean copy keeps these.
    if is_common(text):
        return True
    words = [word for word in re.findall(r"[^\W\d_]{3,}", text) if word.lower() not in PROFILE_WORDS]
    return not words and not re.search(r"\d{5,}", text.replace("61966", ""))


# Profiles are copies of a few standard ones, with the same texts; characters of the longest that is remembered.
MAX_REMEMBERED = 120
_standard = lru_cache(maxsize=512)(_is_standard)
