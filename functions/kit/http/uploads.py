"""The files of a request: of a multipart form, or the raw body as the only one."""

from __future__ import annotations

import threading
from collections.abc import Container
from dataclasses import dataclass
from mmap import mmap
from typing import TYPE_CHECKING

from functions.kit.http.body import Body
from functions.kit.http.problems import Problem, bad_option, malformed, no_image, too_many_bytes

if TYPE_CHECKING:
    from multipart import MultipartSegment

    from functions.kit.containers.source import Source

MAX_FIELDS = 100
_importing = threading.Lock()


@dataclass(frozen=True)
class Upload:
    """One file of a request.

    Where the function has a spool, `data` of a large one is a `spool.Mapped`; where it reads by windows, a `Source`.
    """

    data: bytes
    name: str | None = None
    content_type: str | None = None
    field: str | None = None


def boundary_of(content_type: str) -> str | None:
    """The boundary of a multipart/form-data Content-Type; None for any other type.

    Raises:
        Problem: 400 for multipart/form-data without a boundary.
    """
    if not content_type[:19].lower().startswith("multipart/form-data"):
        return None
    boundary = parameter_of(content_type, "boundary")
    if not boundary:
        raise malformed("multipart/form-data without a boundary")
    return boundary


def parameter_of(content_type: str, name: str) -> str | None:
    """A parameter of a Content-Type."""
    # One thread at a time: if python-multipart is installed too, its package `multipart` loads the real one, and
    # another thread could see a half-initialised module.
    with _importing:
        from multipart import parse_options_header

    _, options = parse_options_header(content_type)
    value = options.get(name)
    return str(value) if value else None


def read_uploads(body: Body, content_type: str, max_files: int, options: Container[str] = ()) -> list[Upload]:
    """Return the files of a request: those of a form, or the raw body as the only file.

    A body that is not multipart/form-data is a raw image, whatever its Content-Type.

    Args:
        body: body of the request.
        content_type: its Content-Type.
        max_files: limit of files in one form.
        options: names that a text field must not have: options go in the query, and would be ignored here.

    Raises:
        Problem: 400 for a malformed form, an empty body, and a form without a file, with more than `max_files` or with
            an option.
    """
    boundary = boundary_of(content_type)
    if boundary is None:
        data = body.store()
        if not data:
            raise no_image("the body is empty; send an image as the body or as a file of a form")
        return [Upload(data, content_type=content_type or None)]
    files = _read_form(body, boundary, max_files, options)
    if not files:
        raise no_image("the form has no file; send it as the field 'file' or 'image'")
    return files


def _read_form(body: Body, boundary: str, max_files: int, options: Container[str]) -> list[Upload]:
    from multipart import MultipartError, MultipartSegment, PushMultipartParser

    files: list[Upload] = []
    nameless: list[Upload] = []
    buffer = body.buffer()
    segment: MultipartSegment | None = None
    filename: str | None = None
    keep = False
    try:
        # Latin-1 accepts any byte: names are decoded separately, so that one cannot fail the form.
        most = max_files + MAX_FIELDS
        with PushMultipartParser(boundary, max_segment_count=most, header_charset="latin-1") as parser:
            for chunk in body.chunks():
                for event in parser.parse(chunk):
                    if isinstance(event, MultipartSegment):
                        segment, filename = event, _filename(event)
                        if filename is None and event.name in options:
                            raise _misplaced(str(event.name))
                        if buffer.tell():
                            buffer = body.buffer()
                        keep = filename is not None or event.name in ("file", "image")
                    elif event:
                        if keep:
                            buffer.write(event)
                    elif segment is not None and keep:
                        kind = nameless if filename is None else files
                        if len(kind) == max_files:
                            raise malformed(f"more than {max_files} files in one request, the limit")
                        data = buffer.filled()
                        _check_held(body, files, data)
                        # Browsers send an empty file input as a part without file name and bytes.
                        if data or filename:
                            field = _decoded(segment.name or "")
                            kind.append(Upload(data, filename or None, segment.content_type, field))
    except MultipartError as error:
        raise malformed(f"malformed multipart form: {error}") from None
    # Some clients send a file without a name. Next to a named file, an unnamed part is a text field, such as a caption.
    return files or nameless


def _check_held(body: Body, files: list[Upload], data: bytes) -> None:
    """Refuse several files that are held in part, but together are more than a body may be.

    Raises:
        Problem: 413.
    """
    most, variable = body.limit
    total = sum(held_bytes(upload.data) for upload in files) + held_bytes(data)
    if body.windows is not None and files and total > most:
        raise too_many_bytes(most, total, variable)


def first_bytes(data: bytes | Source) -> bytes:
    """The file, or its first bytes where it is held in part."""
    if isinstance(data, bytes | mmap):
        return data
    return data.read(0, data.holes[0].start if data.holes else data.size)


def held_bytes(data: bytes | Source) -> int:
    """How many bytes of a file are held."""
    if isinstance(data, bytes | mmap):
        return len(data)
    return data.size - sum(hole.end - hole.start for hole in data.holes)


def _misplaced(option: str) -> Problem:
    return bad_option(option, f"options go in the query: ?{option}=…; the form field {option!r} would be ignored")


def _filename(segment: MultipartSegment) -> str | None:
    """Return the file name of a part, from `filename*` (RFC 8187) too; None for a text field."""
    disposition = segment.header("Content-Disposition", "")
    if "filename*" not in disposition.lower():
        return None if segment.filename is None else _decoded(segment.filename)
    from werkzeug.http import parse_options_header

    return parse_options_header(_decoded(disposition))[1].get("filename")


def _decoded(name: str) -> str:
    """Decode a name that was read as Latin-1: as UTF-8, else as Windows-1252."""
    raw = name.encode("latin-1")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def the_image(files: list[Upload]) -> Upload:
    """Return the one image of a form: the field `file`, or `image`, or the only file.

    Raises:
        Problem: 400 for several files without such a name, and for an empty file.
    """
    for field in ("file", "image"):
        for upload in files:
            if upload.field == field:
                return _not_empty(upload)
    if len(files) == 1:
        return _not_empty(files[0])
    named = ", ".join(repr(upload.field) for upload in files)
    raise malformed(f"the form has {len(files)} files ({named}); name the image 'file' or 'image'")


def _not_empty(upload: Upload) -> Upload:
    if not upload.data:
        raise no_image("the file is empty")
    return upload
