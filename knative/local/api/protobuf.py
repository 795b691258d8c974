"""Kubernetes' protobuf, read: the objects that `kubectl create` sends in this form alone.

Only the kinds that typed clients may write are here: ConfigMap, Secret, Namespace and DeleteOptions. The numbers are
those of `k8s.io/api/core/v1/generated.proto` and `k8s.io/apimachinery/pkg/apis/meta/v1/generated.proto` (1.36).
Responses are JSON, which all of these clients accept. Pure.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from knative.local.jsontypes import Json, JsonObject

Object = JsonObject

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class _Type(Enum):
    TEXT = "text"
    BOOL = "bool"
    INT = "int"
    TEXTS = "map of texts"
    BLOBS = "map of bytes, as base64"


@dataclass(frozen=True)
class _List:
    item: _Message | _Type


@dataclass(frozen=True)
class _Message:
    fields: Mapping[int, tuple[str, _Message | _Type | _List]]


_OWNER = _Message(
    {
        1: ("kind", _Type.TEXT),
        3: ("name", _Type.TEXT),
        4: ("uid", _Type.TEXT),
        5: ("apiVersion", _Type.TEXT),
        6: ("controller", _Type.BOOL),
        7: ("blockOwnerDeletion", _Type.BOOL),
    }
)
_METADATA = _Message(
    {
        1: ("name", _Type.TEXT),
        2: ("generateName", _Type.TEXT),
        3: ("namespace", _Type.TEXT),
        5: ("uid", _Type.TEXT),
        6: ("resourceVersion", _Type.TEXT),
        11: ("labels", _Type.TEXTS),
        12: ("annotations", _Type.TEXTS),
        13: ("ownerReferences", _List(_OWNER)),
        14: ("finalizers", _List(_Type.TEXT)),
    }
)
_KINDS: Mapping[tuple[str, str], _Message] = {
    ("v1", "ConfigMap"): _Message(
        {
            1: ("metadata", _METADATA),
            2: ("data", _Type.TEXTS),
            3: ("binaryData", _Type.BLOBS),
            4: ("immutable", _Type.BOOL),
        }
    ),
    ("v1", "Secret"): _Message(
        {
            1: ("metadata", _METADATA),
            2: ("data", _Type.BLOBS),
            3: ("type", _Type.TEXT),
            4: ("stringData", _Type.TEXTS),
            5: ("immutable", _Type.BOOL),
        }
    ),
    ("v1", "Namespace"): _Message({1: ("metadata", _METADATA)}),
    ("v1", "DeleteOptions"): _Message(
        {
            1: ("gracePeriodSeconds", _Type.INT),
            2: ("preconditions", _Message({1: ("uid", _Type.TEXT), 2: ("resourceVersion", _Type.TEXT)})),
            3: ("orphanDependents", _Type.BOOL),
            4: ("propagationPolicy", _Type.TEXT),
            5: ("dryRun", _List(_Type.TEXT)),
        }
    ),
}
_UNKNOWN = {1: "type", 2: "raw", 3: "contentEncoding", 4: "contentType"}


def decode(body: bytes) -> Object:
    """Return an object.

    Raises:
        ValueError: the body is no such protobuf, is cut short, or holds another kind.
    """
    if not body.startswith(_MAGIC):
        raise ValueError("it does not begin with Kubernetes' four bytes")
    envelope = {_UNKNOWN.get(number, ""): value for number, value in _fields(body[len(_MAGIC) :])}
    names = {number: _text(value) for number, value in _fields(_bytes(envelope.get("type", b"")))}
    version, kind = names.get(1, ""), names.get(2, "")
    # Options are sent in the version of the objects that they are for.
    message = _KINDS.get(("v1", kind)) if kind == "DeleteOptions" else _KINDS.get((version, kind))
    if message is None:
        raise ValueError(f"{kind or 'an object'} of {version or 'an unknown version'} is read as JSON alone")
    return {"apiVersion": version, "kind": kind, **_object(_bytes(envelope.get("raw", b"")), message)}


def _object(data: bytes, message: _Message) -> Object:
    found: Object = {}
    for number, value in _fields(data):
        if number not in message.fields:
            continue
        name, type_ = message.fields[number]
        if isinstance(type_, _List):
            found.setdefault(name, []).append(_value(value, type_.item))
        elif type_ in (_Type.TEXTS, _Type.BLOBS):
            key, item = _entry(value)
            found.setdefault(name, {})[key] = base64.b64encode(item).decode() if type_ is _Type.BLOBS else _text(item)
        else:
            found[name] = _value(value, type_)
    # Go writes every text, the empty ones too; JSON leaves those out.
    return {name: value for name, value in found.items() if value != ""}


def _value(value: bytes | int, type_: _Message | _Type) -> Json:
    if isinstance(type_, _Message):
        return _object(_bytes(value), type_)
    if type_ is _Type.TEXT:
        return _text(value)
    if not isinstance(value, int):
        raise ValueError("a number is written as bytes")
    return bool(value) if type_ is _Type.BOOL else value


def _entry(value: bytes | int) -> tuple[str, bytes]:
    """Return key and value of an entry of a map."""
    parts = dict(_fields(_bytes(value)))
    return _text(parts.get(1, b"")), _bytes(parts.get(2, b""))


def _text(value: bytes | int) -> str:
    return _bytes(value).decode()  # a UnicodeDecodeError is a ValueError


def _bytes(value: bytes | int) -> bytes:
    if isinstance(value, int):
        raise ValueError("bytes are written as a number")
    return value


def _fields(data: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Yield number and value of each field of a message."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        wire = tag & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        size = {_FIXED64: 8, _FIXED32: 4}.get(wire)
        if wire == _BYTES:
            size, at = _varint(data, at)
        if size is None:
            raise ValueError(f"wire type {wire} is not used")
        if at + size > len(data):
            raise ValueError("it is cut short")
        yield tag >> 3, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise ValueError("it is cut short")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number has more than ten bytes")
