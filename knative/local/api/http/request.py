"""Requests to the API: what a path names, what a query asks for, and a body as an object."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import orjson

from knative.local.api import protobuf
from knative.local.api.definitions import Kind
from knative.local.api.http.status import bad_request, not_acceptable, unsupported_media_type
from knative.local.api.kinds import find
from knative.local.jsontypes import Json, JsonObject

Object = JsonObject

MOST_BYTES = 3 * 2**20
"""Of a body, as Kubernetes bounds it."""
DEEPEST = 100
"""Levels of a body's JSON."""
MOST_VALUES = 200_000
"""Values of a YAML body, those of its aliases included."""
JSON = "application/json"
YAML = "application/yaml"


class Form(StrEnum):
    """The form of a response."""

    OBJECT = "Object"
    TABLE = "Table"
    METADATA = "PartialObjectMetadata"


class Validation(StrEnum):
    """What is done about unknown and duplicate fields."""

    STRICT = "Strict"
    WARN = "Warn"
    IGNORE = "Ignore"


@dataclass(frozen=True)
class Target:
    """What a path names.

    Attributes:
        kind: the kind.
        version: its version in the path.
        namespace: empty for all namespaces, and for a kind without namespaces.
        name: empty for a collection.
        subresource: empty for the object itself.
    """

    kind: Kind
    version: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def target(path: str) -> Target | None:
    """Return what a path names; None where that is no resource of this API."""
    parts = [part for part in path.split("/") if part]
    if parts[:1] == ["api"] and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and not (group == "" and rest[2] in ("status", "finalize")):
        namespace, rest = rest[1], rest[2:]
    kind = find(group, version, rest[0])
    if kind is None or len(rest) > 3:
        return None
    if namespace and not kind.namespaced:
        return None
    name, subresource = (*rest[1:], "", "")[:2]
    if subresource and subresource not in kind.subresources:
        return None
    if name and kind.namespaced and not namespace:
        return None
    return Target(kind, version, namespace, name, subresource)


@dataclass(frozen=True)
class Options:
    """The query of a request, for all verbs."""

    query: Mapping[str, str]

    def flag(self, name: str) -> bool:
        """Return a switch, such as `watch` or `force`: as in Kubernetes any value but `false` and `0` turns it on."""
        return name in self.query and self.query[name].lower() not in ("false", "0")

    @property
    def dry_run(self) -> bool:
        """Whether nothing is stored."""
        return check_dry_run(self.query.get("dryRun", ""))

    @property
    def validation(self) -> Validation:
        """What is done about unknown fields."""
        given = self.query.get("fieldValidation", "") or Validation.WARN
        try:
            return Validation(given)
        except ValueError:
            raise bad_request(f'fieldValidation: Unsupported value: "{given}": {", ".join(Validation)}') from None

    def number(self, name: str) -> int | None:
        """Return a number that is not negative; None where it is absent or empty."""
        text = self.query.get(name, "")
        if not text:
            return None
        if not re.fullmatch(r"[0-9]{1,18}", text):
            raise bad_request(f'{name}: Invalid value: "{text}": must be a whole number, 0 or more')
        return int(text)

    def manager(self, agent: str) -> str:
        """Return the field manager: the one given, or the program of the User-Agent."""
        given = self.query.get("fieldManager", "")
        if len(given) > 128:
            raise bad_request("fieldManager: Too long: may not be more than 128 bytes")
        return given or agent.partition("/")[0][:128] or "unknown"


def check_dry_run(given: str) -> bool:
    """Return whether `dryRun` asks for one."""
    if given not in ("", "All"):
        raise bad_request(f'dryRun: Unsupported value: "{given}": supported values: "All"')
    return given == "All"


def form(accept: str) -> Form:
    """Return the form of the first media type of an Accept header that can be made.

    Protobuf cannot: clients that prefer it accept JSON as well.

    Raises:
        StatusError: none can be made.
    """
    for part in accept.split(",") if accept else ("*/*",):
        media, *parameters = (item.strip() for item in part.split(";"))
        given = dict(item.split("=", 1) for item in parameters if "=" in item)
        if media not in (JSON, "application/*", "*/*"):
            continue
        form = given.get("as", "").removesuffix("List") or Form.OBJECT
        if form in (Form.TABLE, Form.METADATA) and (given.get("g"), given.get("v")) != ("meta.k8s.io", "v1"):
            continue
        if form in [*Form]:
            return Form(form)
    raise not_acceptable(f"{JSON}, {JSON};as=Table;v=v1;g=meta.k8s.io")


def media_type(header: str) -> str:
    """Return the media type of a Content-Type header; JSON without one."""
    return header.partition(";")[0].strip().lower() or JSON


def decode(body: bytes, media: str, accepted: tuple[str, ...] = (JSON, YAML, protobuf.MEDIA_TYPE)) -> Json:
    """Read a body as JSON or YAML.

    Raises:
        StatusError: the content type is not accepted, or the body cannot be read.
    """
    if media not in accepted:
        raise unsupported_media_type(", ".join(accepted))
    try:
        if media == protobuf.MEDIA_TYPE:
            return protobuf.decode(body)
        value = _yaml(body) if media.endswith("yaml") else orjson.loads(body)
    except ValueError as error:
        raise bad_request(f"the body cannot be read as {media}: {error}") from None
    if _depth(value) > DEEPEST:
        raise bad_request(f"the body has more than {DEEPEST} levels of objects and lists")
    return value


def _yaml(body: bytes) -> Json:
    """Read YAML, which server-side apply is sent as; the JSON that clients mostly send in its place is read as such."""
    try:
        return orjson.loads(body)
    except ValueError:
        pass
    import yaml

    try:
        return _json_values(yaml.load(body, Loader=yaml.CSafeLoader), 0, [0])
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(str(error).splitlines()[0]) from None


def _json_values(value: Json, depth: int, count: list[int]) -> Json:
    """Return a value of YAML with the types that JSON has: keys and dates are text. Aliases are copied, and counted."""
    count[0] += 1
    if depth > DEEPEST:
        raise ValueError(f"more than {DEEPEST} levels of objects and lists")
    if count[0] > MOST_VALUES:
        raise ValueError(f"more than {MOST_VALUES} values")
    if isinstance(value, dict):
        return {str(key): _json_values(item, depth + 1, count) for key, item in value.items()}
    if isinstance(value, list):
        return [_json_values(item, depth + 1, count) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _depth(value: Json) -> int:
    """Return the levels of a value, without recursion."""
    level, depth = [value], 0
    while level and depth <= DEEPEST:
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        depth += 1
    return depth


def duplicates(body: bytes) -> list[str]:
    """Return the paths of the keys that occur twice in an object of a JSON body."""
    found: list[str] = []

    def pairs(items: list[tuple[str, Json]]) -> Json:
        keys = [key for key, _ in items]
        if len(set(keys)) < len(keys):
            found.extend(sorted({key for key in keys if keys.count(key) > 1}))
        return None

    try:
        json.loads(body, object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        return []
    return found
