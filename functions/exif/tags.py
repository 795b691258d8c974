"""The Exif 3.0 tags (CIPA DC-008-2023): the one table that names, types, labels, documentation and tests come from.

Names and labels are those of ExifTool, which scripts the world over know; where the standard's own name differs it
stands last in the row. A row is (name, types, count, how it is shown, labels of its values, the standard's name); types
are those of TIFF, several where the standard allows several; a count of 0 is any; how it is shown names a rule in
`functions.exif.printing`; rows leave out what is empty at their end.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Tag(NamedTuple):
    """One tag as the tables describe it."""

    name: str
    types: str = ""
    number: int = 0
    show: str = ""
    labels: dict[Any, str] = {}  # noqa: RUF012 - never changed, shared by all tags without labels
    standard_name: str = ""


ORIENTATION = {
    1: "Horizontal (normal)",
    2: "Mirror horizontal",
    3: "Rotate 180",
    4: "Mirror vertical",
    5: "Mirror horizontal and rotate 270 CW",
    6: "Rotate 90 CW",
    7: "Mirror horizontal and rotate 90 CW",
    8: "Rotate 270 CW",
}
LIGHT_SOURCE = {
    0: "Unknown",
    1: "Daylight",
    2: "Fluorescent",
    3: "Tungsten (Incandescent)",
    4: "Flash",
    9: "Fine Weather",
    10: "Cloudy",
    11: "Shade",
    12: "Daylight Fluorescent",
    13: "Day White Fluorescent",
    14: "Cool White Fluorescent",
    15: "White Fluorescent",
    16: "Warm White Fluorescent",
    17: "Standard Light A",
    18: "Standard Light B",
    19: "Standard Light C",
    20: "D55",
    21: "D65",
    22: "D75",
    23: "D50",
    24: "ISO Studio Tungsten",
    255: "Other",
}

IFD0: dict[int, tuple[Any, ...]] = {
    0x0100: ("ImageWidth", "short long", 1),
    0x0101: ("ImageHeight", "short long", 1, "", {}, "ImageLength"),
    0x0102: ("BitsPerSample", "short", 3),
    0x0103: (
        "Compression",
        "short",
        1,
        "",
        {
            1: "Uncompressed",
            2: "CCITT 1D",
            3: "T4/Group 3 Fax",
            4: "T6/Group 4 Fax",
            5: "LZW",
            6: "JPEG (old-style)",
            7: "JPEG",
            8: "Adobe Deflate",
            9: "JBIG B&W",
            10: "JBIG Color",
            99: "JPEG",
            262: "Kodak 262",
            32766: "Next",
            32767: "Sony ARW Compressed",
            32769: "Packed RAW",
            32770: "Samsung SRW Compressed",
            32771: "CCIRLEW",
            32772: "Samsung SRW Compressed 2",
            32773: "PackBits",
            32809: "Thunderscan",
            32867: "Kodak KDC Compressed",
            32895: "IT8CTPAD",
            32896: "IT8LW",
            32897: "IT8MP",
            32898: "IT8BL",
            32908: "PixarFilm",
            32909: "PixarLog",
            32946: "Deflate",
            32947: "DCS",
            33003: "Aperio JPEG 2000 YCbCr",
            33005: "Aperio JPEG 2000 RGB",
            34661: "JBIG",
            34676: "SGILog",
            34677: "SGILog24",
            34712: "JPEG 2000",
            34713: "Nikon NEF Compressed",
            34715: "JBIG2 TIFF FX",
            34718: "Microsoft Document Imaging (MDI) Binary Level Codec",
            34719: "Microsoft Document Imaging (MDI) Progressive Transform Codec",
            34720: "Microsoft Document Imaging (MDI) Vector",
            34887: "ESRI Lerc",
            34892: "Lossy JPEG",
            34925: "LZMA2",
            34926: "Zstd",
            34927: "WebP",
            34933: "PNG",
            34934: "JPEG XR",
            65000: "Kodak DCR Compressed",
            65535: "Pentax PEF Compressed",
        },
    ),
    0x0106: (
        "PhotometricInterpretation",
        "short",
        1,
        "",
        {
            0: "WhiteIsZero",
            1: "BlackIsZero",
            2: "RGB",
            3: "RGB Palette",
            4: "Transparency Mask",
            5: "CMYK",
            6: "YCbCr",
            8: "CIELab",
            9: "ICCLab",
            10: "ITULab",
            32803: "Color Filter Array",
            32844: "Pixar LogL",
            32845: "Pixar LogLuv",
            32892: "Sequential Color Filter",
            34892: "Linear Raw",
            51177: "Depth Map",
            52527: "Semantic Mask",
        },
    ),
    0x010E: ("ImageDescription", "ascii utf8", 0),
    0x010F: ("Make", "ascii", 0, "trimmed"),
    0x0110: ("Model", "ascii", 0, "trimmed"),
    0x0111: ("StripOffsets", "short long", 0, "offsets"),
    0x0112: ("Orientation", "short", 1, "", ORIENTATION),
    0x0115: ("SamplesPerPixel", "short", 1),
    0x0116: ("RowsPerStrip", "short long", 1),
    0x0117: ("StripByteCounts", "short long", 0, "offsets"),
    0x011A: ("XResolution", "rational", 1),
    0x011B: ("YResolution", "rational", 1),
    0x011C: ("PlanarConfiguration", "short", 1, "", {1: "Chunky", 2: "Planar"}),
    0x0128: ("ResolutionUnit", "short", 1, "", {1: "None", 2: "inches", 3: "cm"}),
    0x012D: ("TransferFunction", "short", 768, "binary"),
    0x0131: ("Software", "ascii utf8", 0, "trimmed"),
    0x0132: ("ModifyDate", "ascii", 20, "", {}, "DateTime"),
    0x013B: ("Artist", "ascii utf8", 0, "trimmed"),
    0x013E: ("WhitePoint", "rational", 2),
    0x013F: ("PrimaryChromaticities", "rational", 6),
    0x0201: ("ThumbnailOffset", "long", 1, "", {}, "JPEGInterchangeFormat"),
    0x0202: ("ThumbnailLength", "long", 1, "", {}, "JPEGInterchangeFormatLength"),
    0x0211: ("YCbCrCoefficients", "rational", 3),
    0x0212: (
        "YCbCrSubSampling",
        "short",
        2,
        "",
        {
            "1 1": "YCbCr4:4:4 (1 1)",
            "1 2": "YCbCr4:4:0 (1 2)",
            "1 4": "YCbCr4:4:1 (1 4)",
            "2 1": "YCbCr4:2:2 (2 1)",
            "2 2": "YCbCr4:2:0 (2 2)",
            "2 4": "YCbCr4:2:1 (2 4)",
            "4 1": "YCbCr4:1:1 (4 1)",
            "4 2": "YCbCr4:1:0 (4 2)",
        },
    ),
    0x0213: ("YCbCrPositioning", "short", 1, "", {1: "Centered", 2: "Co-sited"}),
    0x0214: ("ReferenceBlackWhite", "rational", 6),
    0x8298: ("Copyright", "ascii utf8", 0, "copyright"),
    0x8769: ("ExifOffset", "long", 1, "", {}, "Exif IFD Pointer"),
    0x8825: ("GPSInfo", "long", 1, "", {}, "GPS Info IFD Pointer"),
}

EXIF: dict[int, tuple[Any, ...]] = {
    0x829A: ("ExposureTime", "rational", 1, "exposure"),
    0x829D: ("FNumber", "rational", 1, "f_number"),
    0x8822: (
        "ExposureProgram",
        "short",
        1,
        "",
        {
            0: "Not Defined",
            1: "Manual",
            2: "Program AE",
            3: "Aperture-priority AE",
            4: "Shutter speed priority AE",
            5: "Creative (Slow speed)",
            6: "Action (High speed)",
            7: "Portrait",
            8: "Landscape",
            9: "Bulb",
        },
    ),
    0x8824: ("SpectralSensitivity", "ascii", 0),
    0x8827: ("ISO", "short", 0, "sensitivities", {}, "PhotographicSensitivity"),
    0x8828: ("Opto-ElectricConvFactor", "undefined", 0, "binary", {}, "OECF"),
    0x8830: (
        "SensitivityType",
        "short",
        1,
        "",
        {
            0: "Unknown",
            1: "Standard Output Sensitivity",
            2: "Recommended Exposure Index",
            3: "ISO Speed",
            4: "Standard Output Sensitivity and Recommended Exposure Index",
            5: "Standard Output Sensitivity and ISO Speed",
            6: "Recommended Exposure Index and ISO Speed",
            7: "Standard Output Sensitivity, Recommended Exposure Index and ISO Speed",
        },
    ),
    0x8831: ("StandardOutputSensitivity", "long", 1),
    0x8832: ("RecommendedExposureIndex", "long", 1),
    0x8833: ("ISOSpeed", "long", 1),
    0x8834: ("ISOSpeedLatitudeyyy", "long", 1),
    0x8835: ("ISOSpeedLatitudezzz", "long", 1),
    0x9000: ("ExifVersion", "undefined", 4, "version"),
    0x9003: ("DateTimeOriginal", "ascii", 20),
    0x9004: ("CreateDate", "ascii", 20, "", {}, "DateTimeDigitized"),
    0x9010: ("OffsetTime", "ascii", 7),
    0x9011: ("OffsetTimeOriginal", "ascii", 7),
    0x9012: ("OffsetTimeDigitized", "ascii", 7),
    0x9101: (
        "ComponentsConfiguration",
        "undefined",
        4,
        "components",
        {0: "-", 1: "Y", 2: "Cb", 3: "Cr", 4: "R", 5: "G", 6: "B"},
    ),
    0x9102: ("CompressedBitsPerPixel", "rational", 1),
    0x9201: ("ShutterSpeedValue", "srational", 1, "shutter"),
    0x9202: ("ApertureValue", "rational", 1, "aperture"),
    0x9203: ("BrightnessValue", "srational", 1),
    0x9204: ("ExposureCompensation", "srational", 1, "bias", {}, "ExposureBiasValue"),
    0x9205: ("MaxApertureValue", "rational", 1, "aperture"),
    0x9206: ("SubjectDistance", "rational", 1, "distance"),
    0x9207: (
        "MeteringMode",
        "short",
        1,
        "",
        {
            0: "Unknown",
            1: "Average",
            2: "Center-weighted average",
            3: "Spot",
            4: "Multi-spot",
            5: "Multi-segment",
            6: "Partial",
            255: "Other",
        },
    ),
    0x9208: ("LightSource", "short", 1, "", LIGHT_SOURCE),
    0x9209: (
        "Flash",
        "short",
        1,
        "hexadecimal",
        {
            0: "No Flash",
            1: "Fired",
            5: "Fired, Return not detected",
            7: "Fired, Return detected",
            8: "On, Did not fire",
            9: "On, Fired",
            13: "On, Return not detected",
            15: "On, Return detected",
            16: "Off, Did not fire",
            20: "Off, Did not fire, Return not detected",
            24: "Auto, Did not fire",
            25: "Auto, Fired",
            29: "Auto, Fired, Return not detected",
            31: "Auto, Fired, Return detected",
            32: "No flash function",
            48: "Off, No flash function",
            65: "Fired, Red-eye reduction",
            69: "Fired, Red-eye reduction, Return not detected",
            71: "Fired, Red-eye reduction, Return detected",
            73: "On, Red-eye reduction",
            77: "On, Red-eye reduction, Return not detected",
            79: "On, Red-eye reduction, Return detected",
            80: "Off, Red-eye reduction",
            88: "Auto, Did not fire, Red-eye reduction",
            89: "Auto, Fired, Red-eye reduction",
            93: "Auto, Fired, Red-eye reduction, Return not detected",
            95: "Auto, Fired, Red-eye reduction, Return detected",
        },
    ),
    0x920A: ("FocalLength", "rational", 1, "millimetres"),
    0x9214: ("SubjectArea", "short", 0),
    0x927C: ("MakerNote", "undefined", 0, "opaque", {}, "MakerNote"),
    0x9286: ("UserComment", "undefined", 0, "comment"),
    0x9290: ("SubSecTime", "ascii", 0, "blanks"),
    0x9291: ("SubSecTimeOriginal", "ascii", 0, "blanks"),
    0x9292: ("SubSecTimeDigitized", "ascii", 0, "blanks"),
    0x9400: ("AmbientTemperature", "srational", 1, "celsius", {}, "Temperature"),
    0x9401: ("Humidity", "rational", 1),
    0x9402: ("Pressure", "rational", 1),
    0x9403: ("WaterDepth", "srational", 1),
    0x9404: ("Acceleration", "rational", 1),
    0x9405: ("CameraElevationAngle", "srational", 1),
    0xA000: ("FlashpixVersion", "undefined", 4, "version"),
    0xA001: (
        "ColorSpace",
        "short",
        1,
        "hexadecimal",
        {1: "sRGB", 2: "Adobe RGB", 65533: "Wide Gamut RGB", 65534: "ICC Profile", 65535: "Uncalibrated"},
    ),
    0xA002: ("ExifImageWidth", "short long", 1, "", {}, "PixelXDimension"),
    0xA003: ("ExifImageHeight", "short long", 1, "", {}, "PixelYDimension"),
    0xA004: ("RelatedSoundFile", "ascii", 13),
    0xA005: ("InteropOffset", "long", 1, "", {}, "Interoperability IFD Pointer"),
    0xA20B: ("FlashEnergy", "rational", 1),
    0xA20C: ("SpatialFrequencyResponse", "undefined", 0, "response"),
    0xA20E: ("FocalPlaneXResolution", "rational", 1),
    0xA20F: ("FocalPlaneYResolution", "rational", 1),
    0xA210: ("FocalPlaneResolutionUnit", "short", 1, "", {1: "None", 2: "inches", 3: "cm", 4: "mm", 5: "um"}),
    0xA214: ("SubjectLocation", "short", 2),
    0xA215: ("ExposureIndex", "rational", 1),
    0xA217: (
        "SensingMethod",
        "short",
        1,
        "",
        {
            1: "Not defined",
            2: "One-chip color area",
            3: "Two-chip color area",
            4: "Three-chip color area",
            5: "Color sequential area",
            7: "Trilinear",
            8: "Color sequential linear",
        },
    ),
    0xA300: (
        "FileSource",
        "undefined",
        1,
        "",
        {
            1: "Film Scanner",
            2: "Reflection Print Scanner",
            3: "Digital Camera",
            "\x03\x00\x00\x00": "Sigma Digital Camera",
        },
    ),
    0xA301: ("SceneType", "undefined", 1, "", {1: "Directly photographed"}),
    0xA302: ("CFAPattern", "undefined", 0, "cfa"),
    0xA401: (
        "CustomRendered",
        "short",
        1,
        "",
        {
            0: "Normal",
            1: "Custom",
            2: "HDR (no original saved)",
            3: "HDR (original saved)",
            4: "Original (for HDR)",
            6: "Panorama",
            7: "Portrait HDR",
            8: "Portrait",
        },
    ),
    0xA402: ("ExposureMode", "short", 1, "", {0: "Auto", 1: "Manual", 2: "Auto bracket"}),
    0xA403: ("WhiteBalance", "short", 1, "", {0: "Auto", 1: "Manual"}),
    0xA404: ("DigitalZoomRatio", "rational", 1),
    0xA405: ("FocalLengthIn35mmFormat", "short", 1, "film_millimetres", {}, "FocalLengthIn35mmFilm"),
    0xA406: (
        "SceneCaptureType",
        "short",
        1,
        "",
        {0: "Standard", 1: "Landscape", 2: "Portrait", 3: "Night", 4: "Other"},
    ),
    0xA407: (
        "GainControl",
        "short",
        1,
        "",
        {0: "None", 1: "Low gain up", 2: "High gain up", 3: "Low gain down", 4: "High gain down"},
    ),
    0xA408: ("Contrast", "short", 1, "", {0: "Normal", 1: "Low", 2: "High"}),
    0xA409: ("Saturation", "short", 1, "", {0: "Normal", 1: "Low", 2: "High"}),
    0xA40A: ("Sharpness", "short", 1, "", {0: "Normal", 1: "Soft", 2: "Hard"}),
    0xA40B: ("DeviceSettingDescription", "undefined", 0, "binary"),
    0xA40C: ("SubjectDistanceRange", "short", 1, "", {0: "Unknown", 1: "Macro", 2: "Close", 3: "Distant"}),
    0xA420: ("ImageUniqueID", "ascii", 33),
    0xA430: ("OwnerName", "ascii utf8", 0, "", {}, "CameraOwnerName"),
    0xA431: ("SerialNumber", "ascii", 0, "", {}, "BodySerialNumber"),
    0xA432: ("LensInfo", "rational", 4, "lens", {}, "LensSpecification"),
    0xA433: ("LensMake", "ascii utf8", 0),
    0xA434: ("LensModel", "ascii utf8", 0),
    0xA435: ("LensSerialNumber", "ascii", 0),
    0xA436: ("ImageTitle", "ascii utf8", 0),
    0xA437: ("Photographer", "ascii utf8", 0),
    0xA438: ("ImageEditor", "ascii utf8", 0),
    0xA439: ("CameraFirmware", "ascii utf8", 0),
    0xA43A: ("RAWDevelopingSoftware", "ascii utf8", 0),
    0xA43B: ("ImageEditingSoftware", "ascii utf8", 0),
    0xA43C: ("MetadataEditingSoftware", "ascii utf8", 0),
    0xA460: (
        "CompositeImage",
        "short",
        1,
        "",
        {
            0: "Unknown",
            1: "Not a Composite Image",
            2: "General Composite Image",
            3: "Composite Image Captured While Shooting",
        },
    ),
    0xA461: ("CompositeImageCount", "short", 2, "", {}, "SourceImageNumberOfCompositeImage"),
    0xA462: ("CompositeImageExposureTimes", "undefined", 0, "exposures", {}, "SourceExposureTimesOfCompositeImage"),
    0xA500: ("Gamma", "rational", 1),
}

GPS: dict[int, tuple[Any, ...]] = {
    0x0000: ("GPSVersionID", "byte", 4, "dotted"),
    0x0001: ("GPSLatitudeRef", "ascii", 2, "", {"N": "North", "S": "South"}),
    0x0002: ("GPSLatitude", "rational", 3, "degrees"),
    0x0003: ("GPSLongitudeRef", "ascii", 2, "", {"E": "East", "W": "West"}),
    0x0004: ("GPSLongitude", "rational", 3, "degrees"),
    0x0005: ("GPSAltitudeRef", "byte", 1, "", {0: "Above Sea Level", 1: "Below Sea Level"}),
    0x0006: ("GPSAltitude", "rational", 1, "metres"),
    0x0007: ("GPSTimeStamp", "rational", 3, "gps_time"),
    0x0008: ("GPSSatellites", "ascii", 0),
    0x0009: ("GPSStatus", "ascii", 2, "", {"A": "Measurement Active", "V": "Measurement Void"}),
    0x000A: ("GPSMeasureMode", "ascii", 2, "", {2: "2-Dimensional Measurement", 3: "3-Dimensional Measurement"}),
    0x000B: ("GPSDOP", "rational", 1),
    0x000C: ("GPSSpeedRef", "ascii", 2, "", {"K": "km/h", "M": "mph", "N": "knots"}),
    0x000D: ("GPSSpeed", "rational", 1),
    0x000E: ("GPSTrackRef", "ascii", 2, "", {"M": "Magnetic North", "T": "True North"}),
    0x000F: ("GPSTrack", "rational", 1),
    0x0010: ("GPSImgDirectionRef", "ascii", 2, "", {"M": "Magnetic North", "T": "True North"}),
    0x0011: ("GPSImgDirection", "rational", 1),
    0x0012: ("GPSMapDatum", "ascii", 0),
    0x0013: ("GPSDestLatitudeRef", "ascii", 2, "", {"N": "North", "S": "South"}),
    0x0014: ("GPSDestLatitude", "rational", 3, "degrees"),
    0x0015: ("GPSDestLongitudeRef", "ascii", 2, "", {"E": "East", "W": "West"}),
    0x0016: ("GPSDestLongitude", "rational", 3, "degrees"),
    0x0017: ("GPSDestBearingRef", "ascii", 2, "", {"M": "Magnetic North", "T": "True North"}),
    0x0018: ("GPSDestBearing", "rational", 1),
    0x0019: ("GPSDestDistanceRef", "ascii", 2, "", {"K": "Kilometers", "M": "Miles", "N": "Nautical Miles"}),
    0x001A: ("GPSDestDistance", "rational", 1),
    0x001B: ("GPSProcessingMethod", "undefined", 0, "comment"),
    0x001C: ("GPSAreaInformation", "undefined", 0, "comment"),
    0x001D: ("GPSDateStamp", "ascii", 11, "gps_date"),
    0x001E: ("GPSDifferential", "short", 1, "", {0: "No Correction", 1: "Differential Corrected"}),
    0x001F: ("GPSHPositioningError", "rational", 1, "error_metres"),
}

INTEROP: dict[int, tuple[Any, ...]] = {
    0x0001: (
        "InteropIndex",
        "ascii",
        0,
        "",
        {
            "R03": "R03 - DCF option file (Adobe RGB)",
            "R98": "R98 - DCF basic file (sRGB)",
            "THM": "THM - DCF thumbnail file",
        },
        "InteroperabilityIndex",
    ),
    0x0002: ("InteropVersion", "undefined", 0, "version", {}, "InteroperabilityVersion"),
    0x1000: ("RelatedImageFileFormat", "ascii", 0),
    0x1001: ("RelatedImageWidth", "short long", 0),
    0x1002: ("RelatedImageHeight", "short long", 0),
}


class Table(dict[int, Tag]):
    """The tags of a directory by number, each described when it is first asked for.

    What no table names is described anew each time: a file of made-up numbers must not fill memory.
    """

    def __init__(self, directory: str) -> None:
        super().__init__()
        self.directory = directory

    def __missing__(self, number: int) -> Tag:
        found, known = _described(self.directory, number)
        if known:
            self[number] = found
        return found


_TABLES = {directory: Table(directory) for directory in ("GPS", "PanasonicRaw")}
_ANY = Table("Exif")


def table(directory: str) -> Table:
    """The tags of a directory: `GPS`, `PanasonicRaw`, or any other, which all share their numbers."""
    return _TABLES.get(directory, _ANY)


def tag(directory: str, number: int) -> Tag:
    """The tag of a number in a directory.

    Args:
        directory: `IFD0`, `ExifIFD`, `GPS`, …; `PanasonicRaw` for the first directory of an RW2.
        number: of the tag.

    Returns:
        Its description; an unknown one is named by its number, as `Exif_0xc6d4`.
    """
    return table(directory)[number]


def _described(directory: str, number: int) -> tuple[Tag, bool]:
    """A number's description, and whether a table has it."""
    if directory == "GPS":
        row = GPS.get(number)
        return (Tag(*row), True) if row else (Tag(f"GPS_0x{number:04x}"), False)
    row = IFD0.get(number) or EXIF.get(number) or INTEROP.get(number)
    if row and directory != "PanasonicRaw":
        return Tag(*row), True
    from functions.exif import private

    if directory == "PanasonicRaw":
        row = private.PANASONIC_RAW.get(number)
        if row:
            return _private(row), True
        return tag("IFD0", number)._replace(name=f"PanasonicRaw_0x{number:04x}"), False
    row = private.TAGS.get(number)
    return (_private(row), True) if row else (Tag(f"Exif_0x{number:04x}", show="unknown"), False)


def _private(row: tuple[Any, ...]) -> Tag:
    name, show, labels = (*row, "", {})[:3] if len(row) == 1 else (*row, {})[:3]
    return Tag(name, show=show, labels=labels)


def all_tags() -> dict[str, dict[int, Tag]]:
    """The standard's tags by directory, for documentation and tests."""
    tables = {"IFD0": IFD0, "ExifIFD": EXIF, "GPS": GPS, "InteropIFD": INTEROP}
    return {name: {number: Tag(*row) for number, row in rows.items()} for name, rows in tables.items()}
