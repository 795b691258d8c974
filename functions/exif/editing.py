"""HTTP and events for clean copies (`functions.exif.edit.strip`) and fields set (`functions.exif.edit.set`).

Imported with the first request for one; `functions.exif.copies` has its routes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING
from urllib.parse import quote

from functions.exif.edit import set as setting
from functions.exif.edit.errors import Broken, NotClean, Unsupported
from functions.exif.edit.fields import Fields
from functions.exif.edit.names import DEFAULT_KEEP
from functions.exif.edit.strip import FORMATS, Stripped, strip
from functions.exif.media import SUFFIXES, ZIP
from functions.exif.scan.files import scan
from functions.kit.containers.source import Buffer, Mapped, pieces
from functions.kit.http import problems
from functions.kit.http.function import Call, Reply
from functions.kit.http.problems import Problem
from functions.kit.http.spool import Store
from functions.kit.http.uploads import Upload, the_image
from functions.kit.jsontypes import JsonMapping, JsonObject

if TYPE_CHECKING:
    from functions.exif.main import ExifSettings
    from functions.kit.http.settings import Settings

_UNSAFE_NAME = re.compile(r"[^\w.\-() ]+")
MAX_NAME = 120  # characters


def clean(data: bytes, keep: tuple[str, ...] | None = None, remove: tuple[str, ...] = ()) -> Stripped:
    """Make a clean copy.

    Args:
        data: the file.
        keep: what stays, by name; None for the default, `none` for nothing.
        remove: only this goes.

    Raises:
        Problem: 400 for names that exclude each other, 415 for a format that cannot be cleaned, 422 for a file that
            cannot be followed, or whose copy would still hold what was to go.
    """
    if keep is not None and remove:
        raise problems.bad_option("keep", "with remove, all else stays: keep does not go with it")
    if keep is not None and "none" in keep and len(keep) > 1:
        raise problems.bad_option("keep", "none excludes the other names")
    kept = DEFAULT_KEEP if keep is None else frozenset(keep) - {"none"}
    try:
        return strip(data, kept, remove)
    except Unsupported as error:
        raise _refused(data, str(error), FORMATS) from None
    except NotClean as error:
        raise Problem(422, "not-clean", "The copy is not clean", f"{error}; no copy is sent") from None
    except Broken as error:
        raise problems.unreadable_image(f"no clean copy can be made: {error}") from None


def _refused(data: bytes, why: str, accepted: tuple[str, ...]) -> Problem:
    """The problem of a file of another format, named where the scanner knows it."""
    found = scan(data)
    if found is not None:
        return problems.unsupported_format(f"{found.format} ({why})", list(accepted))
    from functions.kit.images.formats import refusal

    return refusal(data, list(accepted))


def strip_files(call: Call[ExifSettings]) -> Reply | JsonMapping:
    """`POST /strip`: a clean copy, several in a ZIP archive, or a report of what went."""
    options, uploads = call.options, call.uploads(call.settings.edits)
    if len(uploads) == 1:
        upload = the_image(uploads)
        result = clean(upload.data, options["keep"], options["remove"])
        if options["report"]:
            return report(upload, result)
        return _sent(result.data, result.media_type, _headers(upload, result))
    attempts = [(upload, _attempt(upload, options)) for upload in uploads]
    if options["report"]:
        return {"results": [_reported(upload, outcome) for upload, outcome in attempts]}
    archive = _archive(attempts, call.settings)
    return _sent(archive, ZIP, {"Content-Disposition": 'attachment; filename="clean.zip"'})


def _sent(data: Buffer, media_type: str, headers: dict[str, str]) -> Reply:
    """The reply with a file: one in the spool is sent in pieces."""
    if not isinstance(data, Mapped):
        return Reply(data, media_type, headers=headers)
    return Reply(pieces(data, 0, len(data)), media_type, headers=headers | {"Content-Length": str(len(data))})


def _attempt(upload: Upload, options: JsonMapping) -> Stripped | Problem:
    """One of several files: its copy, or its problem in the copy's place."""
    try:
        return clean(the_image([upload]).data, options["keep"], options["remove"])
    except Problem as problem:
        return problem


def _reported(upload: Upload, outcome: Stripped | Problem) -> JsonObject:
    if isinstance(outcome, Stripped):
        return report(upload, outcome)
    return {"name": upload.name, "problem": outcome.document()}


def report(upload: Upload, result: Stripped) -> JsonObject:
    """Report what was removed from a file, and what remains, by group and tag."""
    before, after = _tags(upload.data), _tags(result.data)
    gone = {group: [tag for tag in tags if tag not in after.get(group, ())] for group, tags in before.items()}
    return {
        "name": upload.name,
        "media_type": result.media_type,
        "bytes_before": len(upload.data),
        "bytes_after": len(result.data),
        "removed": [one.document() for one in result.removed],
        "removed_tags": {group: tags for group, tags in gone.items() if tags},
        "remaining_tags": after,
        "warnings": list(result.warnings),
    }


def _tags(data: bytes) -> dict[str, list[str]]:
    from functions.exif.answer import examine

    reading = examine(data)
    return {} if reading is None else {group: list(rows) for group, rows in reading.groups.items() if rows}


def _headers(upload: Upload, result: Stripped) -> dict[str, str]:
    kinds = sorted({one.kind for one in result.removed})
    headers = {
        "X-Removed": ", ".join(kinds) or "nothing",
        "Content-Disposition": _attached(upload, result.media_type, "clean"),
    }
    if result.warnings:
        headers["X-Warning"] = "; ".join(result.warnings).encode("ascii", "replace").decode("ascii")
    return headers


def _name(upload: Upload, media_type: str, nameless: str = "clean") -> str:
    """Return a name for the copy: the upload's last part, without characters special to file systems."""
    given = re.split(r"[/\\]", upload.name or "")[-1]
    name = _UNSAFE_NAME.sub("_", given).strip(" .")[-MAX_NAME:]
    return name or nameless + SUFFIXES.get(media_type, "")


def _attached(upload: Upload, media_type: str, nameless: str) -> str:
    """Return a Content-Disposition with the copy's name (RFC 6266): in ASCII, and in UTF-8 where it differs."""
    name = _name(upload, media_type, nameless)
    stem, dot, suffix = name.rpartition(".")
    plain = [unicodedata.normalize("NFKD", part).encode("ascii", "ignore").decode() for part in (stem, suffix)]
    fallback = (plain[0].strip(" .") or nameless) + dot + plain[1] if dot else plain[1] or nameless
    header = f'attachment; filename="{fallback}"'
    return header if fallback == name else f"{header}; filename*=UTF-8''{quote(name, safe='')}"


def _archive(attempts: list[tuple[Upload, Stripped | Problem]], settings: Settings) -> bytes:
    """The clean copies in a ZIP archive, and `problems.txt` of the files that have none; no two names alike."""
    import zipfile

    out = Store(settings, 0)
    taken: set[str] = {"problems.txt"}
    failures = []
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]
        for number, (upload, outcome) in enumerate(attempts, 1):
            if isinstance(outcome, Problem):
                failures.append(f"{upload.name or f'file {number}'}: {outcome.detail}\n")
                continue
            name = _name(upload, outcome.media_type)
            own = next(each for each in _numbered(name) if each.lower() not in taken)
            taken.add(own.lower())
            # The archive states no time.
            archive.writestr(zipfile.ZipInfo(own, (1980, 1, 1, 0, 0, 0)), outcome.data)
        if failures:
            archive.writestr(zipfile.ZipInfo("problems.txt", (1980, 1, 1, 0, 0, 0)), "".join(failures))
    return out.filled()


def _numbered(name: str) -> Iterator[str]:
    yield name
    yield from (f"{number}-{name}" for number in count(2))


def set_fields(call: Call[ExifSettings]) -> Reply:
    """`POST /set`: the same picture with fields of its Exif written."""
    options = call.options
    fields = Fields(
        artist=options["artist"],
        copyright=options["copyright"],
        description=options["description"],
        orientation=options["orientation"],
        taken=options["date"],
        position=options["gps"],
    )
    if not fields.names():
        raise problems.malformed(
            "there is nothing to set: give artist, copyright, description, date, orientation or gps"
        )
    upload = call.upload(call.settings.edits)
    try:
        result = setting.write(upload.data, fields)
    except Unsupported as error:
        raise _refused(upload.data, str(error), setting.FORMATS) from None
    except Broken as error:
        raise problems.unreadable_image(f"it cannot be written safely: {error}") from None
    headers = {"Content-Disposition": _attached(upload, result.media_type, "picture")}
    if result.warnings:
        headers["X-Warning"] = "; ".join(result.warnings)
    return _sent(result.data, result.media_type, headers)
