"""Values that identify in any tag: addresses, accounts, paths, unique numbers; and names of programs."""

from __future__ import annotations

import re

from functions.exif.report import rules

# Characters of a value that are searched.
MAX_SEARCHED = 4096
_EMAIL = re.compile(r"[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])")
_PHONE = re.compile(r"\+[1-9]\d{0,2}(?:[ ()./-]{1,3}\d{1,4}){3,6}|\+[1-9]\d{8,14}")
# Pages of one person or account, where the address names it.
_ACCOUNT = re.compile(
    r"https?://(?:www\.|m\.)?(?:flickr\.com/(?:photos|people)|instagram\.com|twitter\.com|x\.com|facebook\.com|behance\.net"
    r"|500px\.com(?:/p)?|youtube\.com/(?:user|c|channel)|tiktok\.com|linkedin\.com/in|github\.com|vk\.com|t\.me|pinterest\.\w+"
    r"|(?:www\.)?deviantart\.com|artstation\.com|unsplash\.com|vimeo\.com|tumblr\.com|mastodon\.social|patreon\.com|ko-fi\.com"
    r"|smugmug\.com|orcid\.org|myspace\.com|soundcloud\.com|reddit\.com/u(?:ser)?)/[@~]?[\w.-]+",
    re.IGNORECASE,
)
_PATH = re.compile(
    r"file:/{2,}\w|(?:^|[\s\"'=;,])/(?:home|Users|media|Volumes|mnt|nfs)/[^/\s]"
    r"|[A-Za-z]:[\\/](?:Users|Documents and Settings|home)[\\/]"
    r"|^\\\\[\w.-]+\\"
)
_UNIQUE = re.compile(
    r"(?:(?:uuid|urn:uuid|xmp\.[id]id|xmp:[id]id|adobe:docid:\w+|gimp:[id]id:gimp):)?\{?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}"
    r"-[0-9a-f]{12}\}?",
    re.IGNORECASE,
)
# Groups whose unique numbers are those of their format, of profiles, and of credentials, which are a finding.
_NUMBERED = re.compile(
    r"ICC|JUMBF|CBOR|JSON|File|Jpeg2000|Composite|XMP-crs|XMP-crd|XMP-crss|Photoshop|QuickTime|Track"
)
# Names of programs, their makers and systems, in the fields for an author: `Adobe PDF library 15.00`, `Skia/PDF m119`.
_PROGRAM_NAMES = (
    "adobe photoshop illustrator indesign acrobat distiller lightroom imageready fireworks framemaker pagemaker "
    "pdf pdfmaker pdfwriter pdfium pdfcontext library microsoft office word excel powerpoint publisher visio print "
    "to windows gimp inkscape imagemagick graphicsmagick libreoffice openoffice draw writer impress ghostscript "
    "gpl afpl gnu agpl apple quartz mac macos macintosh ios android linux ubuntu pages keynote preview photos skia "
    "chromium chrome firefox safari mozilla cairo cairographics pdftex luatex xetex latex tex dvipdfm dvipdfmx "
    "xdvipdfmx hyperref itext itextsharp group nv version build aspose for net java wkhtmltopdf qt canva figma "
    "sketch affinity designer photo serif corel coreldraw paintshop paint pro pscript dll nitro foxit phantompdf "
    "fpdf tcpdf mpdf dompdf reportlab pillow pil matplotlib python ffmpeg lavf lavc exiftool exiv darktable "
    "rawtherapee capture one digikam picasa acdsee irfanview xnview faststone snapseed vsco pixelmator krita "
    "blender gd jpeg php scanner hp software server studio elements express cc cs classic desktop web mobile app "
    "online ultimate professional standard trial unlicensed beta bit win www com org http https and by the of sdk "
    "api engine driver service generator converter creator producer prince princexml pdfsharp pdfbox apache fop "
    "poppler mupdf qpdf pdftk ghostview jasperreports oracle crystal reports sap quarkxpress scribus stable "
    "diffusion midjourney dall firefly openai comfyui invokeai novelai leonardo google pixel samsung gallery "
    "editor "
)
_PROGRAM_WORDS = frozenset(_PROGRAM_NAMES.split())
# At least one of these: the other words are also names or parts of them.
_PROGRAM = re.compile(
    r"adobe|photoshop|illustrator|indesign|acrobat|distiller|lightroom|imageready|microsoft|gimp|inkscape|magick|office"
    r"|ghostscript|quartz|skia|chromium|cairo|pdf|tex\b|itext|aspose|wkhtml|\bqt\b|canva|figma|affinity|corel|pscript|nitro"
    r"|foxit|reportlab|pillow|matplotlib|ffmpeg|lav[cf]|exiftool|exiv2|darktable|rawtherapee|capture one|digikam|picasa"
    r"|acdsee|irfanview|xnview|faststone|snapseed|pixelmator|krita|blender|paint\.net|software|quarkxpress|scribus"
    r"|prince \d|princexml|crystal reports|jasperreports|apache fop|stable diffusion|midjourney|dall-e|firefly|comfyui"
    r"|invokeai|novelai|mupdf|poppler",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]+")


def reason(text: str, group: str, name: str) -> str:
    """Why a value identifies by itself; empty where it does not.

    Args:
        text: as printed.
        group: of its tag.
        name: of its tag.
    """
    text = text[:MAX_SEARCHED]
    if ("@" in text and _EMAIL.search(text)) or ("://" in text and _ACCOUNT.search(text)):
        return rules.PERSON
    if text[0] == "+" and _PHONE.fullmatch(text.strip()):
        return rules.PERSON
    if ("\\" in text or "/" in text) and _PATH.search(text):
        return rules.FILES
    if len(text) < 90 and text.count("-") >= 4 and _UNIQUE.fullmatch(text) and not _NUMBERED.match(group):
        return "" if "Digest" in name else rules.UNIQUE
    return ""


# What people write into comments and descriptions: a position, a number of the device, an author, a notice.
_STATED = (
    (
        rules.POSITION,
        re.compile(
            r"\bgeo:[-+]?\d|\blat(?:itude)?\b\W{1,4}[-+]?\d{1,2}\.\d{2}"
            r"|(?<![\d.])\d{1,2} ?° ?\d{1,2} ?['′’ ]"
            r"|^\W*[NS]? ?[-+]?\d{1,2}\.\d{4,}°? ?[NS]? ?[,;/ ] ?[EW]? ?[-+]?\d{1,3}\.\d{4,}°? ?[EW]?\W*$"
            r"|\bmaps?\.[^ ]{0,80}[=@/][-+]?\d{1,2}\.\d{3,},[-+]?\d{1,3}\.\d{3}",
            re.IGNORECASE,
        ),
    ),
    (
        rules.SERIAL,
        re.compile(
            r"\b(?:s/n|serial(?: ?(?:no|nr|number))?|imei)\b[ .:=#]{1,4}(?=[A-Z-]*\d)[A-Z0-9-]{6,}"
            r"|\b(?:[0-9A-F]{2}:){5}[0-9A-F]{2}\b",
            re.IGNORECASE,
        ),
    ),
    (
        rules.PERSON,
        re.compile(
            r"\b(?i:photo(?:graph(?:ed)?)?|picture|image|taken|shot|made|created) (?i:by) [^\W\d_a-z]\w+ [^\W\d_a-z]\w"
            r"|\+[1-9]\d{0,2}(?:[ ()./-]{1,3}\d{2,8}){2,6}(?!\d)"
        ),
    ),
    (rules.RIGHTS, re.compile(r"©|\bcopyright\b", re.IGNORECASE)),
)


def stated(text: str) -> str:
    """What a free text states that counts like a separate tag; empty for mere words."""
    return next((why for why, pattern in _STATED if pattern.search(text[:MAX_SEARCHED])), "")


def is_program(text: str) -> bool:
    """Whether the text of an author's field is the name of a program: nothing but such names and versions."""
    if len(text) > 200 or not _PROGRAM.search(text):
        return False
    return all(word in _PROGRAM_WORDS for word in _WORD.findall(text.lower()) if len(word) > 1)
