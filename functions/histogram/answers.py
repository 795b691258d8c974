"""The forms of an answer for one or several files: parts, lines, tables and comparisons."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from functions.histogram.figures import Figures
from functions.kit.http import jsontext, problems
from functions.kit.http.function import JSON, Reply
from functions.kit.http.problems import Problem
from functions.kit.http.uploads import Upload
from functions.kit.jsontypes import JsonMapping, JsonObject

MEDIA_TYPES = {
    "json": JSON,
    "png": "image/png",
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
    "csv": "text/csv",
    "ndjson": "application/x-ndjson",
}
MIXED = "multipart/mixed"
Result = bytes | str | JsonMapping


def content_type(kind: str) -> str:
    """The media type of an answer, with its parameters."""
    return "text/csv; charset=utf-8; header=present" if kind == "csv" else MEDIA_TYPES[kind]


def parts(kind: str, uploads: list[Upload], results: Sequence[Result | Problem], headers: Mapping[str, str]) -> Reply:
    """One part for each file, in order; a file that failed has its problem in place of the result."""
    # Of the tag, which no client can choose: the same request has the same answer.
    boundary = "part-" + headers["ETag"].strip('"')
    pieces = [part(boundary, upload.name, kind, one) for upload, one in zip(uploads, results, strict=True)]
    body = b"".join(pieces) + f"--{boundary}--\r\n".encode()
    return Reply(body, f"{MIXED}; boundary={boundary}", headers=headers)


def member(result: Result | Problem) -> JsonMapping:
    """A JSON result, or a file's problem as a member of one."""
    if isinstance(result, Problem):
        return {"problem": result.document()}
    assert isinstance(result, Mapping)
    return result


def part(boundary: str, name: str | None, kind: str, result: Result | Problem) -> bytes:
    """One part of a multipart/mixed answer."""
    if isinstance(result, Problem):
        media_type, body = problems.MEDIA_TYPE, result.encode()
    elif isinstance(result, Mapping):
        media_type, body = content_type(kind), jsontext.encode(result)
    else:
        media_type, body = content_type(kind), result.encode() if isinstance(result, str) else result
    head = f"--{boundary}\r\nContent-Type: {media_type}\r\n"
    if name:
        head += f"Content-Disposition: attachment; filename*=UTF-8''{quote(name, safe='')}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body + b"\r\n"


def compare(members: list[JsonObject], options: JsonMapping) -> None:
    """Add to each result how its luminance differs from the first one's.

    Raises:
        Problem: 400 for options that leave no counts to compare.
    """
    from functions.histogram.comparison import compare as distances

    if options["cumulative"] or options["normalize"]:
        raise problems.bad_option("compare", "compare=1 is about counts: without cumulative and normalize")
    first = members[0].get("histogram")
    linear = options["space"] == "linear" or options["luminance"] == "y"
    for each in members[1:]:
        if first is not None and "histogram" in each:
            each["compare"] = {"with": members[0]["name"], **distances(first, each["histogram"], linear)}


def figures(uploads: list[Upload], results: Sequence[Result | Problem]) -> str:
    """A table with a row for each file: its size, its verdict, and the figures of each channel of any of them."""
    from functions.kit.http import csvtext

    found = [member(each) for each in results]
    channels = list(dict.fromkeys(name for each in found for name in each.get("figures", ())))
    names = [field.name for field in dataclasses.fields(Figures)]
    head = ["name", "format", "width", "height", "pixels", "bits", "complete", "verdict", "problem"]
    rows: list[list[object]] = [[*head, *(f"{channel}_{name}" for channel in channels for name in names)]]
    for upload, each in zip(uploads, found, strict=True):
        size = each.get("size", ("", ""))
        facts = [upload.name or "", each.get("format", ""), *size]
        facts += [each.get(name, "") for name in ("pixels", "bits", "complete", "verdict")]
        facts.append(each["problem"]["detail"] if "problem" in each else "")
        measured = each.get("figures", {})
        rows.append([*facts, *((measured.get(channel) or {}).get(name, "") for channel in channels for name in names)])
    return csvtext.document(rows)
