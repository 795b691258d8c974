"""RDF/XML packets, as XMP is written: from bytes to properties, each with its usual prefix, its name and what it holds.

The parser is Python's own expat. A packet with a DOCTYPE is refused, so that there are no entities to expand; nodes and
depth are bounded; a packet that breaks off keeps what came before the break.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn
from xml.parsers import expat

from functions.exif.namespaces import Name, Names, table, usual

MAX_PACKET = 8 * 2**20
MAX_NODES = 20_000
MAX_DEPTH = 48
# Called with a property's name, and text, list, structure or `Languages`.
Keep = Callable[[Name, Any], None]
Warn = Callable[[str], None]
# An element: its name, its attributes, and what it holds: its children or, without any, its text. A tuple, because a
# packet has hundreds of them.
Node = tuple[str, dict[str, str], "list[Node] | str"]

_ABOUT, _TOOLKIT = Name("rdf", "about"), Name("x", "xmptk")


class Languages(dict[str, Any]):
    """Texts by language."""


class _Refused(Exception):
    """The packet has what no packet needs: a DOCTYPE, too many nodes, too deep a nesting."""


def read(packet: bytes, keep: Keep, warn: Warn) -> None:
    """Read one packet.

    Args:
        packet: the XML, packet wrappers and padding included.
        keep: called with each property.
        warn: called with each warning.
    """
    if len(packet) > MAX_PACKET:
        warn(f"XMP of {len(packet):,} bytes; more than {MAX_PACKET:,} are not read")
        return
    roots: list[Node] = []
    prefixes: dict[str, str] = {}
    try:
        _parse(packet.strip(b"\0 \t\r\n"), roots, prefixes)
    except expat.ExpatError as error:
        # What stands behind the root element is of no matter.
        if error.code != 9:
            warn(f"XMP is broken at line {error.lineno}: {expat.ErrorString(error.code)}")
    except (_Refused, ValueError, LookupError) as error:
        warn(f"XMP is refused: {error}")
        return
    reader = _Reader(table(prefixes), keep)
    for root in roots:
        reader.element(root)


def _parse(packet: bytes, roots: list[Node], prefixes: dict[str, str]) -> None:
    """Build the tree, within bounds, and gather the prefixes that it binds.

    Text is gathered as it comes, spaces between elements too, by no more than a list's own method: a start throws away
    what came before it, so that the end of an element without children finds that element's text alone.
    """
    room = MAX_NODES
    path: list[tuple[str, dict[str, str], list[Node]]] = []
    texts: list[str] = []
    siblings = roots

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal room, siblings
        room -= 1
        if attributes:
            room -= len(attributes)
            for key in attributes:
                if key[:6] == "xmlns:":
                    prefix = key[6:]
                    prefixes[prefix] = usual(prefix, attributes[key])
        if room < 0:
            raise _Refused(f"it has more than {MAX_NODES:,} elements and attributes")
        if len(path) >= MAX_DEPTH:
            raise _Refused(f"it is nested deeper than {MAX_DEPTH}")
        path.append((name, attributes, siblings))
        siblings = []
        texts.clear()

    def end(_name: str) -> None:
        nonlocal siblings
        name, attributes, around = path.pop()
        around.append((name, attributes, siblings or "".join(texts)))
        siblings = around

    def doctype(*_: Any) -> NoReturn:
        raise _Refused("it has a DOCTYPE")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = texts.append
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(packet, True)
    finally:
        while path:  # what the packet broke off in
            end("")


class _Reader:
    """Reads the RDF of a tree."""

    def __init__(self, names: Names, keep: Keep) -> None:
        self.names = names
        self.keep = keep

    def element(self, node: Node) -> None:
        """The root, or what stands around the RDF."""
        written, attributes, children = node
        whole = self.names[written].role == "RDF"
        if not whole:
            for key, text in attributes.items():
                name = self.names[key]
                if name.prefix == "x" and name.local in ("xmptk", "xaptk"):
                    self.keep(_TOOLKIT, text)
        if not isinstance(children, str):
            read = self.description if whole else self.element
            for child in children:
                read(child)

    def description(self, node: Node) -> None:
        """The properties of a resource."""
        _, attributes, children = node
        names, keep = self.names, self.keep
        for key, text in attributes.items():
            name = names[key]
            if name.local == "about" and name.prefix in ("rdf", ""):
                if text:
                    keep(_ABOUT, text)
            elif name.own:
                keep(name, text)
        if isinstance(children, str):
            return
        for child in children:
            written, attributes, held = child
            name = names[written]
            if name.own:
                keep(name, held if not attributes and isinstance(held, str) else self.value(child))

    def value(self, node: Node) -> Any:
        """What a property holds: text, a list, languages, or a structure."""
        _, attributes, children = node
        names = self.names
        if not isinstance(children, str):
            for child in children:
                role = names[child[0]].role
                if role in ("Bag", "Seq", "Alt"):
                    return self.items(child, alternatives=role == "Alt")
                if role == "Description":
                    return self.structure(child)
                if role == "value":
                    return self.value(child)
            return self.structure(node)
        fields: dict[str, str] = {}
        for key, text in attributes.items():
            name = names[key]
            if name.role == "resource":
                return text
            if name.own:
                fields[name.field] = text
        return fields or children

    def items(self, node: Node, *, alternatives: bool) -> Any:
        """A list; with languages, the texts by language."""
        names, children = self.names, node[2]
        items = [] if isinstance(children, str) else [child for child in children if names[child[0]].role == "li"]
        if alternatives and items and all("xml:lang" in item[1] for item in items):
            return Languages((item[1]["xml:lang"], self.value(item)) for item in items)
        return [self.value(item) for item in items] or ""

    def structure(self, node: Node) -> dict[str, Any]:
        """The fields of a structure."""
        _, attributes, children = node
        names = self.names
        fields: dict[str, Any] = {}
        for key, text in attributes.items():
            name = names[key]
            if name.own:
                fields[name.field] = text
        if isinstance(children, str):
            return fields
        for child in children:
            written, attributes, held = child
            name = names[written]
            if not name.own and name.prefix:
                continue
            value = held if not attributes and isinstance(held, str) else self.value(child)
            if isinstance(value, Languages):
                for language, text in value.items():
                    fields[name.field + language_suffix(language)] = text
            else:
                fields[name.field] = value
        return fields


def language_suffix(language: str) -> str:
    """What stands behind the name of a text in a language: nothing for the default one."""
    return "" if language.lower() == "x-default" else f"-{language}"
