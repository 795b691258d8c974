"""YAML as Kubernetes reads it, every value with its place in the file.

kubectl reads YAML 1.1 and hands JSON on: `y` and `off` are truth values, `0777` is octal, a timestamp is text, a key
twice is a mistake. PyYAML's own resolvers differ in those, so the scalars are resolved here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

import yaml

from knative.local.jsontypes import Json, JsonObject
from knative.local.manifests.findings import Finding, ManifestError, Path, Position

FILE_BYTES = 16 * 2**20
_TRUE = {"y", "yes", "true", "on"}
_FALSE = {"n", "no", "false", "off"}
_INTEGER = re.compile(r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(?:\._*[0-9][0-9_]*|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?")
# Deeper than any manifest; a nest of brackets must not exhaust the stack.
_MAX_DEPTH = 100
# Aliases are expanded, so that a few hundred bytes could otherwise become gigabytes.
_MAX_NODES = 200_000
# libyaml's parser is ten times faster; PyYAML's wheels bring it.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TEXT_TAG = "tag:yaml.org,2002:str"


@dataclass(frozen=True)
class Document:
    """One document of a file: plain data, and the position of each of its values."""

    data: Json
    file: str
    line: int = 1
    marks: dict[Path, tuple[int, int]] = field(default_factory=dict, repr=False, compare=False)

    def position(self, path: Path) -> Position:
        """The position of a field; of one that is missing, that of its nearest existing parent."""
        for end in range(len(path), -1, -1):
            head = path[:end]
            if head in self.marks:
                return Position(self.file, *self.marks[head])
            if head and isinstance(head[-1], str):
                # Knative names a container's one port at its list: "….ports.containerPort".
                if (*head[:-1], 0, head[-1]) in self.marks:
                    return Position(self.file, *self.marks[(*head[:-1], 0, head[-1])])
                # It appends reasons to the names of some fields: "….initial-scale=0 not allowed by cluster".
                bare = (*head[:-1], re.split(r"[ =]", head[-1], maxsplit=1)[0])
                if bare in self.marks:
                    return Position(self.file, *self.marks[bare])
        return Position(self.file, self.line)


def read_file(path: FilePath) -> list[Document]:
    """The documents of a file; empty ones are left out.

    Raises:
        ManifestError: the file cannot be read, or is not YAML that Kubernetes would take.
    """
    try:
        with path.open("rb") as file:  # bounded, since a device or a pipe may never end
            data = file.read(FILE_BYTES + 1)
        text = data.decode().replace("\r\n", "\n").replace("\r", "\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ManifestError([Finding(f"cannot read: {reason}", position=Position(str(path), 1))]) from None
    if len(data) > FILE_BYTES:
        text = f"cannot read: longer than {FILE_BYTES:,} bytes, the limit of a file; split it"
        raise ManifestError([Finding(text, position=Position(str(path), 1))])
    return read_text(text, str(path))


def read_text(text: str, file: str) -> list[Document]:
    """The documents of a text; empty ones are left out.

    Raises:
        ManifestError: not YAML that Kubernetes would take.
    """
    documents: list[Document] = []
    try:
        _check_depth(text)
        for node in yaml.compose_all(text, Loader=_LOADER):
            marks: dict[Path, tuple[int, int]] = {}
            reader = _Reader(file, marks)
            data = reader.value(node, ())
            if data is not None:
                documents.append(Document(data, file, node.start_mark.line + 1, marks))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        position = Position(file, mark.line + 1, mark.column + 1) if mark else Position(file, 1)
        message = f"error converting YAML to JSON: yaml: {error.problem or error.context}"
        raise ManifestError([Finding(message, position=position)]) from None
    except yaml.YAMLError as error:
        message = f"error converting YAML to JSON: yaml: {error}"
        raise ManifestError([Finding(message, position=Position(file, 1))]) from None
    return documents


def _check_depth(text: str) -> None:
    """Refuse deep nests before libyaml's composer, which recurses in C, would exhaust the stack on them."""
    depth = 0
    event: Json
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _MAX_DEPTH:
                mark: Json = event.start_mark
                raise yaml.MarkedYAMLError(problem="exceeded max depth", problem_mark=mark)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


class _Reader:
    """Builds plain data from YAML nodes and notes the position of each value."""

    def __init__(self, file: str, marks: dict[Path, tuple[int, int]]) -> None:
        self._file = file
        self._marks = marks
        self._nodes = 0

    def value(self, node: yaml.Node, path: Path) -> Json:
        self._nodes += 1
        if self._nodes > _MAX_NODES or len(path) > _MAX_DEPTH:
            self._fail("document contains excessive aliasing", node)
        self._marks.setdefault(path, (node.start_mark.line + 1, node.start_mark.column + 1))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return _scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> JsonObject:
        result: JsonObject = {}
        for key_node, value_node in self._entries(node):
            key = self._key(key_node)
            if key in result:
                self._fail(f'key "{key}" already set in map', key_node)
            # A field is pointed at by its key: its value may start on a later line.
            self._marks[(*path, key)] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            result[key] = self.value(value_node, (*path, key))
        return result

    def _entries(self, node: yaml.MappingNode) -> Iterator[tuple[yaml.Node, yaml.Node]]:
        """The entries of a mapping, those merged by `<<` last and only where they are not set beside it."""
        merged: list[yaml.MappingNode] = []
        own: set[str] = set()
        for key_node, value_node in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                sources = value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
                if not all(isinstance(source, yaml.MappingNode) for source in sources):
                    self._fail("map merge requires map or sequence of maps as the value", value_node)
                merged += sources
            else:
                own.add(self._key(key_node))
                yield key_node, value_node
        for source in merged:
            self._nodes += 1
            for key_node, value_node in self._entries(source):
                key = self._key(key_node)
                if key not in own:
                    own.add(key)
                    yield key_node, value_node

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            self._fail("invalid map key", node)
        value = _scalar(node)
        if isinstance(value, bool):
            return "true" if value else "false"
        return "null" if value is None else str(value)

    def _fail(self, message: str, node: yaml.Node) -> None:
        raise yaml.MarkedYAMLError(problem=message, problem_mark=node.start_mark)


_IMPLICIT: Any = yaml.resolver.Resolver()


def _scalar(node: yaml.Node) -> Json:
    text: str = node.value
    if isinstance(node, yaml.ScalarNode) and node.style:
        return text
    # Plain, and yet text to PyYAML: either it found nothing else in it, or the document says `!!str`.
    if node.tag == _TEXT_TAG and _IMPLICIT.resolve(yaml.ScalarNode, text, (True, False)) != _TEXT_TAG:
        return text
    return _resolve(text)


def _resolve(text: str) -> Json:
    lowered = text.lower()
    if lowered in {"", "~", "null"}:
        return None
    if lowered in _TRUE | _FALSE and text in {lowered, lowered.title(), lowered.upper()}:
        return lowered in _TRUE
    if _INTEGER.fullmatch(text):
        return _integer(text.replace("_", ""))
    if _FLOAT.fullmatch(text) and any(character.isdigit() for character in text):
        return float(text.replace("_", ""))
    if lowered.lstrip("+-") in {".inf", ".nan"}:
        return float(lowered.replace(".", ""))
    return text


def _integer(text: str) -> int | str:
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-").lower()
    try:
        if digits.startswith(("0x", "0b", "0o")):
            return sign * int(digits, 0)
        return sign * (int(digits, 8) if digits.startswith("0") and len(digits) > 1 else int(digits))
    except ValueError:
        return text
