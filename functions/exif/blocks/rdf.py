"""RDF/XML packets, as XMP is written: from bytes to properties, each with its usual prefix, its name and its value.

The parser is Python's own expat. A packet that is no XML is repaired where that is plain (a bare ampersand, a DOCTYPE,
a control character) and keeps what comes before its break. No entity is ever expanded; nodes and depth are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NoReturn
from xml.parsers import expat

from functions.exif.blocks.namespaces import Name, Names, table, usual
from functions.kit.jsontypes import JsonObject

MAX_PACKET = 8 * 2**20
MAX_NODES = 20_000
MAX_DEPTH = 48
# Called with a property's name, and text, list, structure or `Languages`.
Keep = Callable[[Name, Any], None]
Warn = Callable[[str], None]
# Called with what kind of thing was not read, and with how many bytes or characters of it.
Miss = Callable[[str, int], None]
# An element: its name, its attributes, and what it holds: its children or, without any, its text. A tuple, because a
# packet has hundreds of them.
Node = tuple[str, dict[str, str], "list[Node] | str"]

_ABOUT, _TOOLKIT = Name("rdf", "about"), Name("x", "xmptk")


class Languages(JsonObject):
    """Texts by language."""


class _Refused(Exception):
    """The packet has what no packet needs: a DOCTYPE, too many nodes, too deep a nesting."""


def read(packet: bytes, keep: Keep, warn: Warn, miss: Miss) -> None:
    """Read one packet.

    Args:
        packet: the XML, packet wrappers and padding included.
        keep: called with each property.
        warn: called with each warning.
        miss: called with each kind of thing that was not read, and its size.
    """
    if len(packet) > MAX_PACKET:
        warn(f"XMP of {len(packet):,} bytes; more than {MAX_PACKET:,} are not read")
        miss("limit", len(packet))
        return
    text = _utf8(packet)
    tree = _Tree()
    try:
        tree.parse(text)
    except expat.ExpatError as error:
        warn(f"XMP is broken at line {error.lineno}: {expat.ErrorString(error.code)}")
        miss("xmp", len(packet))
        tree = _repaired(text, tree)
    except (_Refused, ValueError, LookupError) as error:
        warn(f"XMP is refused: {error}")
        limit = tree.nodes > MAX_NODES or "deeper" in str(error)
        miss("limit" if limit else "xmp", len(packet))
        tree = tree if limit else _repaired(text, tree)
    reader = _Reader(table(tree.prefixes), keep)
    for root in tree.roots:
        reader.element(root)
    miss("text outside its properties", tree.lost + reader.lost)


def _utf8(packet: bytes) -> bytes:
    """A packet as UTF-8 without its declaration, from any encoding of Unicode."""
    for start, codec in _CODECS:
        if packet.startswith(start):
            packet = packet.decode(codec, "replace").encode()
            break
    return _DECLARATION.sub(b"", packet.strip(b"\0 \t\r\n").removeprefix(b"\xef\xbb\xbf"), count=1)


# The first bytes of a packet in UTF-32 and UTF-16, with and without a byte order mark.
_CODECS = (
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"<\0\0\0", "utf-32-le"),
    (b"\0\0\0<", "utf-32-be"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)
_DECLARATION = re.compile(rb"^<\?xml\s[^>]{0,200}\?>")
_DOCTYPE = re.compile(rb"<!DOCTYPE[^\[>]{0,4096}(?:\[[^\]]*\]\s*)?>")
_BARE_AMPERSAND = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos|#[1-9]\d{0,6}|#[xX][1-9a-fA-F][0-9a-fA-F]{0,4});)")
_CONTROLS = bytes(number for number in range(32) if number not in (9, 10, 13))


def _repaired(packet: bytes, broken: _Tree) -> _Tree:
    """The tree of a packet without what no XML may have; what the broken one had where that does not help."""
    try:
        packet.decode()
    except UnicodeDecodeError:
        packet = packet.decode("latin-1").encode()
    packet = _DOCTYPE.sub(b"", packet.translate(None, _CONTROLS), count=1)
    tree = _Tree()
    try:
        tree.parse(_BARE_AMPERSAND.sub(b"&amp;", packet))
    except (expat.ExpatError, _Refused, ValueError, LookupError):
        return tree if tree.nodes > broken.nodes else broken
    return tree


class _Tree:
    """The tree of a packet, within bounds, with the prefixes that it binds and the text that belongs to no property."""

    def __init__(self) -> None:
        self.roots: list[Node] = []
        self.prefixes: dict[str, str] = {}
        self.nodes = 0
        self.lost = 0

    def parse(self, packet: bytes) -> None:  # noqa: C901, PLR0915 - callbacks that share their variables
        """Build the tree.

        Text is gathered as it comes, spaces between elements too, by no more than a list's own method: a start throws
        away what came before it, so that the end of an element without children finds that element's text alone.
        """
        path: list[tuple[str, dict[str, str], list[Node]]] = []
        texts: list[str] = []
        prefixes, siblings = self.prefixes, self.roots

        def start(name: str, attributes: dict[str, str]) -> None:
            nonlocal siblings
            self.nodes += 1 + len(attributes)
            for key in attributes:
                if key[:6] == "xmlns:":
                    prefix = key[6:]
                    prefixes[prefix] = usual(prefix, attributes[key])
            if self.nodes > MAX_NODES:
                raise _Refused(f"it has more than {MAX_NODES:,} elements and attributes")
            if len(path) >= MAX_DEPTH:
                raise _Refused(f"it is nested deeper than {MAX_DEPTH}")
            path.append((name, attributes, siblings))
            siblings = []
            if texts:
                drop()

        def end(_name: str) -> None:
            nonlocal siblings
            name, attributes, around = path.pop()
            if siblings:
                if texts:
                    drop()
                around.append((name, attributes, siblings))
            else:
                around.append((name, attributes, "".join(texts)))
                texts.clear()
            siblings = around

        def drop() -> None:
            for text in texts:
                self.lost += len(text.strip())
            texts.clear()

        def other(*found: str) -> None:
            if found[0] != "xpacket":
                self.lost += sum(len(text.strip()) for text in found)

        def doctype(*_: Any) -> NoReturn:
            raise _Refused("it has a DOCTYPE")

        # Whatever encoding it declares, the packet is in UTF-8 by now.
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartElementHandler = start
        parser.EndElementHandler = end
        parser.CharacterDataHandler = texts.append
        parser.CommentHandler = other
        parser.ProcessingInstructionHandler = other
        parser.StartDoctypeDeclHandler = doctype
        try:
            parser.Parse(packet, True)
        except expat.ExpatError as error:
            # Content after the root element belongs to no property.
            if error.code != 9:
                raise
            self.lost += len(packet[parser.ErrorByteIndex :].strip())
        finally:
            while path:  # what the packet broke off in
                end("")


class _Reader:
    """Reads the RDF of a tree."""

    def __init__(self, names: Names, keep: Keep) -> None:
        self.names = names
        self.keep = keep
        # Characters in parts that no rule of RDF gives a meaning.
        self.lost = 0

    def element(self, node: Node) -> None:
        """The root element, or an element around the RDF."""
        written, attributes, children = node
        whole = self.names[written].role == "RDF"
        if not whole:
            for key, text in attributes.items():
                name = self.names[key]
                if name.prefix == "x" and name.local in ("xmptk", "xaptk"):
                    self.keep(_TOOLKIT, text)
                else:
                    self.lose(key, text)
        if isinstance(children, str):
            self.lost += len(children.strip())
            return
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
            else:
                self.lose(key, text)
        if isinstance(children, str):
            self.lost += len(children.strip())
            return
        for child in children:
            written, attributes, held = child
            name = names[written]
            if name.own:
                keep(name, held if not attributes and isinstance(held, str) else self.value(child))
            else:
                self.lose_all(child)

    def value(self, node: Node) -> Any:
        """What a property holds: text, a list, languages, or a structure."""
        _, attributes, children = node
        names = self.names
        if not isinstance(children, str):
            for child in children:
                role = names[child[0]].role
                if role in _VALUES:
                    self.lose_rest(node, child)
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
                self.lost += len(children.strip())
                return text
            if name.own:
                fields[name.field] = text
            else:
                self.lose(key, text)
        if fields:
            self.lost += len(children.strip())
        return fields or children

    def items(self, node: Node, *, alternatives: bool) -> Any:
        """A list; with languages, the texts by language."""
        names, children = self.names, node[2]
        if isinstance(children, str):
            self.lost += len(children.strip())
            return ""
        items = []
        for child in children:
            if names[child[0]].role == "li":
                items.append(child)
            else:
                self.lose_all(child)
        languages = {item[1]["xml:lang"] for item in items if "xml:lang" in item[1]}
        if alternatives and items and len(languages) == len(items):
            return Languages((item[1]["xml:lang"], self.value(item)) for item in items)
        return [self.value(item) for item in items] or ""

    def structure(self, node: Node) -> JsonObject:
        """The fields of a structure."""
        _, attributes, children = node
        names = self.names
        fields: JsonObject = {}
        for key, text in attributes.items():
            name = names[key]
            if name.own:
                fields[name.field] = text
            else:
                self.lose(key, text)
        if isinstance(children, str):
            self.lost += len(children.strip())
            return fields
        for child in children:
            written, attributes, held = child
            name = names[written]
            if not name.own and name.prefix:
                self.lose_all(child)
                continue
            value = held if not attributes and isinstance(held, str) else self.value(child)
            if isinstance(value, Languages):
                for language, text in value.items():
                    fields[name.field + language_suffix(language)] = text
            else:
                fields[name.field] = value
        return fields

    def lose(self, key: str, text: str) -> None:
        """Count an attribute that has no meaning; those of RDF's and XML's own frame have."""
        if key not in _FRAME and key[:5] != "xmlns":
            self.lost += len(text.strip())

    def lose_all(self, node: Node) -> None:
        """Count all text of an element that has no meaning."""
        _, attributes, children = node
        for key, text in attributes.items():
            self.lose(key, text)
        if isinstance(children, str):
            self.lost += len(children.strip())
            return
        for child in children:
            self.lose_all(child)

    def lose_rest(self, node: Node, value: Node) -> None:
        """Count the children of an element besides its value: qualifiers and unknown elements."""
        _, attributes, children = node
        for key, text in attributes.items():
            self.lose(key, text)
        for child in children:
            if child is not value and not isinstance(child, str):
                self.lose_all(child)


# What RDF and XML say of an element itself.
_FRAME = frozenset(("xml:lang", "xml:space", "rdf:parseType", "rdf:about", "about", "rdf:datatype"))
_VALUES = frozenset(("Bag", "Seq", "Alt", "Description", "value"))


def language_suffix(language: str) -> str:
    """The suffix of a text's name for its language; empty for the default language."""
    return "" if language.lower() == "x-default" else f"-{language}"
