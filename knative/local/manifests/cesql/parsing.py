"""CloudEvents SQL expressions (CESQL 1.0.0): parse once, evaluate against an event's attributes.

The grammar, the precedence and the values that accompany an error are those of the CloudEvents SDK for Go, with which
Knative evaluates the `cesql` dialect. `AND`, `OR` and `XOR` share one precedence and associate to the right, and a sign
before digits belongs to the number, so that `1-1` is no expression and `1 - 1` is one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from knative.local.manifests.cesql.nodes import (
    Attribute,
    Call,
    Equality,
    Exists,
    Expression,
    In,
    Integers,
    Like,
    Literal,
    Logic,
    Negate,
    Node,
    Not,
)
from knative.local.manifests.cesql.operators import pattern_of
from knative.local.manifests.cesql.values import HIGHEST, LOWEST, CesqlError, ErrorKind

MAX_DEPTH = 100
"""Nesting of an expression: parentheses, functions, unary operators and right operands of `AND`, `OR` and `XOR`."""

# The order decides between matches of one length: digits alone are a number, `AND` is no name.
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
      | (?P<text>"(?:\\.|""|[^"\\])*"|'(?:\\.|''|[^'\\])*')
      | (?P<word>[A-Za-z0-9]+(?:_[A-Za-z_]*)?)
      | (?P<number>[+-][0-9]+)
      | (?P<operator>[(),*/%+='"-]|!=|>=|<=|<>|<|>)
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_KEYWORDS = frozenset({"AND", "OR", "XOR", "NOT", "LIKE", "EXISTS", "IN", "TRUE", "FALSE"})
# How tightly an infix operator binds.
_BINDING = {
    **dict.fromkeys(("AND", "OR", "XOR"), 1),
    **dict.fromkeys(("=", "!=", "<>", ">=", "<=", "<", ">"), 2),
    **dict.fromkeys(("+", "-"), 3),
    **dict.fromkeys(("*", "/", "%"), 4),
    **dict.fromkeys(("LIKE", "IN", "NOT"), 5),
}
_UNARY_BINDING = 6


class _Token(NamedTuple):
    kind: str
    text: str  # a keyword in capitals, an operator, or the text as written
    column: int


def _tokens(text: str) -> list[_Token]:
    found = []
    for match in _TOKEN.finditer(text):
        kind, token, column = str(match.lastgroup), match.group(), match.start() + 1
        if kind == "space":
            continue
        if kind == "word" and token.isdigit():
            kind = "number"
        elif kind == "word" and token.upper() in _KEYWORDS:
            kind, token = "keyword", token.upper()
        found.append(_Token(kind, token, column))
    return found


def parse(text: str) -> Expression:
    """Parse an expression.

    Raises:
        CesqlError: the text is no expression (`ErrorKind.PARSE`), with the column of the first mistake.
    """
    tokens = _tokens(text)
    parser = _Parser([token for token in tokens if token.kind != "other"], len(text) + 1)
    root = parser.expression(0)
    parser.expect("end")
    return Expression(text, root, "".join(token.text for token in tokens if token.kind == "other"))


class _Parser:
    """Precedence climbing over the tokens."""

    def __init__(self, tokens: Sequence[_Token], end: int) -> None:
        self._tokens = [*tokens, _Token("end", "the end", end)]
        self._at = 0
        self._depth = 0

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> _Token:
        token = self._next
        self._at += token.kind != "end"
        return token

    def _fail(self, wanted: str) -> CesqlError:
        token = self._next
        return CesqlError(ErrorKind.PARSE, f"expected {wanted} at column {token.column}, got {token.text!r}")

    def _accept(self, *texts: str) -> str:
        """Take a keyword or an operator if it comes next; otherwise return an empty text."""
        if self._next.kind in {"keyword", "operator"} and self._next.text in texts:
            return self._take().text
        return ""

    def expect(self, text: str) -> None:
        """Take a keyword, an operator or the end.

        Raises:
            CesqlError: something else comes next.
        """
        if self._next.kind == text == "end":
            return
        if not self._accept(text):
            raise self._fail("an operator" if text == "end" else repr(text))

    def expression(self, floor: int) -> Node:
        """Parse operands and the infix operators that bind more tightly than `floor`."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            message = f"the expression is nested more than {MAX_DEPTH} deep at column {self._next.column}"
            raise CesqlError(ErrorKind.PARSE, message)
        left = self._operand()
        while self._next.kind in {"keyword", "operator"} and _BINDING.get(self._next.text, 0) > floor:
            left = self._infix(left, self._take().text)
        self._depth -= 1
        return left

    def _infix(self, left: Node, operator: str) -> Node:
        if operator in {"LIKE", "IN", "NOT"}:
            negated = operator == "NOT"
            kind = self._accept("LIKE", "IN") if negated else operator
            if not kind:
                raise self._fail("LIKE or IN")
            found = Like(left, pattern_of(self._string())) if kind == "LIKE" else In(left, self._list())
            return Not(found) if negated else found
        binding = _BINDING[operator]
        if operator in {"AND", "OR", "XOR"}:
            return Logic(left, operator, self.expression(binding - 1))
        right = self.expression(binding)
        if operator in {"=", "!=", "<>"}:
            return Equality(left, operator == "=", right)
        return Integers(left, operator, right, zero=0 if operator in "+-*/%" else False)

    def _operand(self) -> Node:
        token = self._next
        if self._accept("NOT"):
            return Not(self.expression(_UNARY_BINDING))
        if self._accept("-"):
            return Negate(self.expression(_UNARY_BINDING), zero=0)
        if self._accept("EXISTS"):
            return Exists(self._name())
        if self._accept("("):
            inner = self.expression(0)
            self.expect(")")
            return inner
        if keyword := self._accept("TRUE", "FALSE"):
            return Literal(keyword == "TRUE")
        if token.kind == "text":
            return Literal(self._string())
        if token.kind == "number":
            return Literal(self._number())
        after = self._tokens[min(self._at + 1, len(self._tokens) - 1)]
        if token.kind == "word" and after.text == "(" and after.kind == "operator":
            return self._call()
        return Attribute(self._name())

    def _name(self) -> str:
        if self._next.kind != "word" or "_" in self._next.text:
            raise self._fail("a value, an attribute or '('")
        return self._take().text.lower()

    def _number(self) -> int:
        text = self._next.text
        if len(text) > 1000 or not LOWEST <= int(text) <= HIGHEST:
            raise self._fail("an integer of 32 bits")
        return int(self._take().text)

    def _string(self) -> str:
        if self._next.kind != "text":
            raise self._fail("a quoted text")
        token = self._take().text
        return token[1:-1].replace(f"\\{token[0]}", token[0])

    def _call(self) -> Node:
        if re.search("[0-9]", self._next.text):
            raise self._fail("a function's name without digits")
        name = self._take().text.upper()
        self.expect("(")
        if self._accept(")"):
            return Call(name, ())
        return Call(name, self._list_rest())

    def _list(self) -> tuple[Node, ...]:
        self.expect("(")
        return self._list_rest()

    def _list_rest(self) -> tuple[Node, ...]:
        items = [self.expression(0)]
        while self._accept(","):
            items.append(self.expression(0))
        self.expect(")")
        return tuple(items)
