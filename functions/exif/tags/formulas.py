"""Formulas of the tag tables, compiled on first use: arithmetic, comparisons, formats and calls of named printers.

A formula is one expression of Python's syntax over `v`, the value, and the names of members: facts of the file that
other rows read before (`Model`, `count`, `CanonFirm`). A missing member is None. A call names a printer of
`functions.exif.printing.functions` or `packed`, or of a maker's module there, as in `nikon.af_points(v)`. Steps are
separated by ` | `: each gives the value of the next, and None drops the tag; `Name = formula` keeps a member, not the
value.
"""

from __future__ import annotations

import ast
import re
import struct
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any

from functions.exif.blocks.values import MAX_SEARCHED, number_of

Formula = Callable[[Any, "Members"], Any]
# The member that each step keeps, or nothing, and its formula.
Steps = tuple[tuple[str, Formula], ...]
# What a formula may raise on a value that it does not fit.
UNFIT = (ValueError, TypeError, ArithmeticError, LookupError, AttributeError, OSError, struct.error)
_ASSIGNMENT = re.compile(r"(\w+) = (?!=)")
# What of a pattern means more in text than in bytes.
_OF_TEXT = re.compile(r"\\[wWsSbB]|\(\?[a-z]*i|[^\0-\xff]")
_NODES = (
    ast.Expression,
    ast.Constant,
    ast.Name,
    ast.Load,
    ast.Attribute,
    ast.Call,
    ast.Starred,
    ast.keyword,
    ast.UnaryOp,
    ast.unaryop,
    ast.BinOp,
    ast.operator,
    ast.BoolOp,
    ast.boolop,
    ast.Compare,
    ast.cmpop,
    ast.IfExp,
    ast.Subscript,
    ast.Slice,
    ast.JoinedStr,
    ast.FormattedValue,
    ast.Tuple,
    ast.List,
    ast.Dict,
)


class Members(dict[str, Any]):
    """Facts of the file by name: None for what no row has read.

    Args:
        facts: to begin with: `Make`, `Model`, the file's type.
    """

    def __init__(self, facts: dict[str, Any]) -> None:
        super().__init__(facts)
        # Values of the binary table that is being read, by the number of their row.
        self.seen: dict[Any, Any] = {}

    def __missing__(self, name: str) -> Any:
        return None


class _Names(ast.NodeTransformer):
    """Names of members become look-ups; names of modules are imported."""

    def __init__(self, known: dict[str, Any]) -> None:
        self.known = known

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if not isinstance(node, _NODES):
            raise SyntaxError(f"{type(node).__name__} is not allowed in a formula")
        return super().generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if not isinstance(node.value, ast.Name) or node.attr.startswith("_"):
            raise SyntaxError("an attribute in a formula is a printer of a maker's module")
        name = node.value.id
        if name not in self.known:
            self.known[name] = import_module(f"functions.exif.printing.{name}")
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id == "v" or node.id in self.known:
            return node
        found = ast.Subscript(ast.Name("m", ast.Load()), ast.Constant(node.id), ast.Load())
        return ast.copy_location(found, node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """Products and powers of numbers alone: text is not repeated, and no power is a number of a million digits."""
        found = self.generic_visit(node)
        name = {ast.Mult: "times", ast.Pow: "power"}.get(type(node.op))
        if name is None or any(_is_text(side) for side in (node.left, node.right)):
            return found
        return ast.copy_location(ast.Call(ast.Name(name, ast.Load()), [node.left, node.right], []), node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id == "seen":
            table = ast.Attribute(ast.Name("m", ast.Load()), "seen", ast.Load())
            get = ast.Attribute(table, "get", ast.Load())
            return ast.copy_location(ast.Call(get, [self.visit(item) for item in node.args], []), node)
        if isinstance(node.func, ast.Name) and node.func.id not in self.known:
            raise SyntaxError(f"no printer is named {node.func.id}")
        if isinstance(node.func, ast.Name) and node.func.id == "has" and _is_text(node.args[0]):
            return ast.copy_location(ast.Call(self._searcher(node.args[0]), [self.visit(node.args[1])], []), node)
        return self.generic_visit(node)

    def _searcher(self, pattern: ast.expr) -> ast.Name:
        """The name of a pattern's own function, which is compiled with the formula."""
        text = ast.literal_eval(pattern)
        name = f"has {text}"
        if name not in self.known:
            self.known[name] = _searcher(text, self.known["has"])
        return ast.Name(name, ast.Load())


def _searcher(pattern: str, has: Callable[[str, Any], Any]) -> Callable[[Any], Any]:
    """`has` of one pattern: most conditions look at the same few texts, or at bytes."""
    search = re.compile(pattern).search
    of_bytes = None if _OF_TEXT.search(pattern) else re.compile(pattern.encode("latin-1")).search

    def found(v: Any) -> Any:
        if type(v) is str:
            return search(v[:MAX_SEARCHED])
        if type(v) is bytes and of_bytes is not None:
            return of_bytes(v, 0, MAX_SEARCHED)
        return has(pattern, v)

    return found


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


@lru_cache(maxsize=1)
def _functions() -> dict[str, Any]:
    from functions.exif.printing import functions, packed

    every = {**vars(functions), **vars(packed)}
    named = {name: value for name, value in every.items() if not name.startswith("_") and callable(value)}
    return {**named, "__builtins__": {}}


@lru_cache(maxsize=8192)
def expression(text: str) -> Formula:
    """One formula as a function of the value and the members.

    Raises:
        SyntaxError: for what is no formula, or a printer that does not exist.
    """
    known = _functions()
    tree = _Names(known).visit(ast.parse(text.strip(), mode="eval"))
    arguments = ast.arguments([], [ast.arg("v"), ast.arg("m")], None, [], [], None, [])
    function = ast.fix_missing_locations(ast.Expression(ast.Lambda(arguments, tree.body)))
    found: Formula = eval(compile(function, text, "eval"), known)  # noqa: S307 - of the tables, its nodes checked above
    return found


def steps(text: str) -> Steps:
    """The steps of a cell: the member that each keeps, or nothing, and its formula."""
    found = []
    for step in text.split(" | "):
        match = _ASSIGNMENT.match(step)
        found.append((match[1], expression(step[match.end() :])) if match else ("", expression(step)))
    return tuple(found)


def single(parts: Steps) -> Formula:
    """Steps as one function: mostly there is one step, and it keeps no member."""
    if len(parts) == 1 and not parts[0][0]:
        return parts[0][1]
    return lambda v, m: run(parts, v, m)


def run(parts: Steps, v: Any, m: Members) -> Any:
    """The value after all steps; None where one drops it."""
    for member, formula in parts:
        try:
            found = formula(v, m)
        except TypeError:
            # Text that begins with a number counts as that number where it must.
            if type(v) is not str:
                raise
            found = formula(number_of(v), m)
        if member:
            m[member] = found
            continue
        if found is None:
            return None
        v = found
    return v
