"""CloudEvents SQL expressions (CESQL 1.0.0): parse once, evaluate against an event's attributes.

The grammar, the precedence and the values that accompany an error are those of the CloudEvents SDK for Go, with which
Knative evaluates the `cesql` dialect. `AND`, `OR` and `XOR` share one precedence and associate to the right, and a sign
before digits belongs to the number, so that `1-1` is no expression and `1 - 1` is one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

Value = str | int | bool
Attributes = Mapping[str, Value]

_LOWEST, _HIGHEST = -(2**31), 2**31 - 1
MAX_DEPTH = 100
"""Nesting of an expression: parentheses, functions, unary operators and right operands of `AND`, `OR` and `XOR`."""


class ErrorKind(StrEnum):
    """The kinds of error that the specification names."""

    PARSE = "parse"
    MATH = "math"
    CAST = "cast"
    MISSING_ATTRIBUTE = "missingAttribute"
    MISSING_FUNCTION = "missingFunction"
    FUNCTION_EVALUATION = "functionEvaluation"


class CesqlError(ValueError):
    """An expression that cannot be parsed or evaluated.

    Attributes:
        kind: what went wrong, in the specification's terms.
        value: the value that accompanies the error.
    """

    def __init__(self, kind: ErrorKind, message: str, value: Value = False) -> None:
        super().__init__(message)
        self.kind = kind
        self.value = value


@dataclass(frozen=True)
class Expression:
    """A parsed expression.

    Attributes:
        text: the expression as written.
        skipped: characters that the grammar does not know. Knative's parser skips them, and so does this one.
    """

    text: str
    root: Node = field(repr=False)
    skipped: str = ""

    def evaluate(self, attributes: Attributes) -> Value:
        """Return the value for an event.

        Args:
            attributes: the event's context attributes and extensions by name.

        Raises:
            CesqlError: the evaluation failed; `value` is the value that the specification gives beside the error.
        """
        return self.root.evaluate(attributes)

    def matches(self, attributes: Attributes) -> bool:
        """Return whether an event passes the expression as a filter: it evaluates to true, without an error."""
        try:
            return self.evaluate(attributes) is True
        except CesqlError:
            return False


def cast(value: Value, target: type[Value]) -> Value:
    """Convert a value to a type by section 3.7 of the specification.

    Raises:
        CesqlError: the text is no integer of 32 bits, or neither `true` nor `false`.
    """
    if type(value) is target:
        return value
    if target is str:
        return str(value).lower() if isinstance(value, bool) else str(value)
    if not isinstance(value, str):
        return target(value)
    if target is bool and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    if target is int and re.fullmatch(r"[+-]?[0-9]{1,1000}", value) and _LOWEST <= int(value) <= _HIGHEST:
        return int(value)
    kinds = {bool: "Boolean", int: "Integer"}
    raise CesqlError(ErrorKind.CAST, f"cannot cast {value!r} to {kinds[target]}", target())


@dataclass(frozen=True)
class Node:
    """A part of an expression. `zero` is the value beside an error of one of its operands."""

    zero: Value = field(default=False, kw_only=True)

    def evaluate(self, attributes: Attributes) -> Value:
        """Return the value for an event, or raise `CesqlError`."""
        raise NotImplementedError

    def operand(self, node: Node, attributes: Attributes, target: type[Value] | None = None) -> Value:
        """Return the value of an operand, cast to a type; an error carries this node's zero value."""
        try:
            value = node.evaluate(attributes)
            return value if target is None else cast(value, target)
        except CesqlError as error:
            error.value = self.zero
            raise


@dataclass(frozen=True)
class _Literal(Node):
    value: Value

    def evaluate(self, attributes: Attributes) -> Value:  # noqa: ARG002 - every node has this signature
        return self.value


@dataclass(frozen=True)
class _Attribute(Node):
    name: str

    def evaluate(self, attributes: Attributes) -> Value:
        if self.name not in attributes:
            raise CesqlError(ErrorKind.MISSING_ATTRIBUTE, f"the event has no attribute {self.name!r}")
        return attributes[self.name]


@dataclass(frozen=True)
class _Exists(Node):
    name: str

    def evaluate(self, attributes: Attributes) -> Value:
        return self.name in attributes


@dataclass(frozen=True)
class _Not(Node):
    inner: Node

    def evaluate(self, attributes: Attributes) -> Value:
        return not self.operand(self.inner, attributes, bool)


@dataclass(frozen=True)
class _Negate(Node):
    inner: Node

    def evaluate(self, attributes: Attributes) -> Value:
        return _wrapped(-int(self.operand(self.inner, attributes, int)))


@dataclass(frozen=True)
class _Logic(Node):
    left: Node
    operator: str
    right: Node

    def evaluate(self, attributes: Attributes) -> Value:
        left = self.operand(self.left, attributes, bool)
        if left == {"AND": False, "OR": True}.get(self.operator):
            return left
        right = self.operand(self.right, attributes, bool)
        return left != right if self.operator == "XOR" else right


@dataclass(frozen=True)
class _Equality(Node):
    left: Node
    equal: bool
    right: Node

    def evaluate(self, attributes: Attributes) -> Value:
        left, right = self.operand(self.left, attributes), self.operand(self.right, attributes)
        return (self.operand(_Literal(left), attributes, type(right)) == right) is self.equal


@dataclass(frozen=True)
class _Integers(Node):
    """A comparison or an arithmetic operation of two integers."""

    left: Node
    operator: str
    right: Node

    def evaluate(self, attributes: Attributes) -> Value:
        left, right = self.operand(self.left, attributes), self.operand(self.right, attributes)
        x, y = (int(self.operand(_Literal(value), attributes, int)) for value in (left, right))
        if self.operator in "/%" and y == 0:
            raise CesqlError(ErrorKind.MATH, "division by zero", 0)
        return _INTEGER_OPERATORS[self.operator](x, y)


@dataclass(frozen=True)
class _Like(Node):
    inner: Node
    pattern: tuple[str, ...]

    def evaluate(self, attributes: Attributes) -> Value:
        return _like(str(self.operand(self.inner, attributes, str)), self.pattern)


@dataclass(frozen=True)
class _In(Node):
    inner: Node
    items: tuple[Node, ...]

    def evaluate(self, attributes: Attributes) -> Value:
        value = self.operand(self.inner, attributes)
        return any(self.operand(item, attributes, type(value)) == value for item in self.items)


@dataclass(frozen=True)
class _Call(Node):
    name: str
    arguments: tuple[Node, ...]

    def evaluate(self, attributes: Attributes) -> Value:
        found = _function(self.name, len(self.arguments))
        if found is None:
            known = f"{self.name} with {len(self.arguments)} arguments"
            raise CesqlError(ErrorKind.MISSING_FUNCTION, f"there is no function {known}")
        frame = _Literal(found.result(), zero=found.result())
        types = (*found.types, *[found.rest] * (len(self.arguments) - len(found.types)))
        pairs = zip(self.arguments, types, strict=True)
        return found.run(*[frame.operand(argument, attributes, kind) for argument, kind in pairs])


def _wrapped(number: int) -> int:
    """The number in 32 bits, as Go's arithmetic wraps it."""
    return (number - _LOWEST) % 2**32 + _LOWEST


def _quotient(x: int, y: int) -> int:
    """Divide towards zero."""
    return abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)


_INTEGER_OPERATORS: Mapping[str, Callable[[int, int], Value]] = {
    "<": int.__lt__,
    "<=": int.__le__,
    ">": int.__gt__,
    ">=": int.__ge__,
    "+": lambda x, y: _wrapped(x + y),
    "-": lambda x, y: _wrapped(x - y),
    "*": lambda x, y: _wrapped(x * y),
    "/": lambda x, y: _wrapped(_quotient(x, y)),
    "%": lambda x, y: x - y * _quotient(x, y),
}
_ANY_RUN, _ANY_ONE = "%%", ""


def _pattern(text: str) -> tuple[str, ...]:
    r"""A LIKE pattern as single characters, `_ANY_ONE` and `_ANY_RUN`; `\%` and `\_` are literal."""
    parts = re.findall(r"\\[%_]|.", text, re.DOTALL)
    wild = {"%": _ANY_RUN, "_": _ANY_ONE}
    return tuple(wild.get(part, part[-1]) for part in parts)


def _like(text: str, pattern: tuple[str, ...]) -> bool:
    """Match with two pointers, in at most len(text) x len(pattern) steps."""
    at = place = 0
    run, resume = -1, 0  # the last % of the pattern, and where its match may grow from
    while at < len(text):
        part = pattern[place] if place < len(pattern) else None
        if part == _ANY_RUN:
            run, resume = place, at
            place += 1
        elif part is not None and part in {_ANY_ONE, text[at]}:
            at, place = at + 1, place + 1
        elif run >= 0:
            resume += 1
            at, place = resume, run + 1
        else:
            return False
    return all(part == _ANY_RUN for part in pattern[place:])


class _Function(NamedTuple):
    types: tuple[type[Value] | None, ...]
    result: type[Value]
    run: Callable[..., Value]
    rest: type[Value] | None = None
    variadic: bool = False


def _castable(value: Value, target: type[Value]) -> bool:
    try:
        cast(value, target)
    except CesqlError:
        return False
    return True


def _absolute(x: int) -> int:
    if x == _LOWEST:
        raise CesqlError(ErrorKind.MATH, "integer overflow while computing ABS", _HIGHEST)
    return abs(x)


def _part(text: str, count: int, taken: Callable[[str, int], str]) -> str:
    if count < 0:
        raise CesqlError(ErrorKind.FUNCTION_EVALUATION, f"a count of characters below 0: {count}", text)
    return text if count >= len(text) else taken(text, count)


def _substring(text: str, position: int, length: int | None = None) -> str:
    if position == 0:
        return ""
    if abs(position) > len(text) or (length is not None and length < 0):
        place = f"position {position}" if abs(position) > len(text) else f"length {length}"
        raise CesqlError(ErrorKind.FUNCTION_EVALUATION, f"{place} is outside a text of {len(text)} characters", "")
    start = position - 1 if position > 0 else len(text) + position
    return text[start:] if length is None else text[start : start + length]


_FUNCTIONS: Mapping[str, tuple[_Function, ...]] = {
    "INT": (_Function((None,), int, lambda value: cast(value, int)),),
    "BOOL": (_Function((None,), bool, lambda value: cast(value, bool)),),
    "STRING": (_Function((None,), str, lambda value: cast(value, str)),),
    "IS_INT": (_Function((None,), bool, lambda value: _castable(value, int)),),
    "IS_BOOL": (_Function((None,), bool, lambda value: _castable(value, bool)),),
    "ABS": (_Function((int,), int, _absolute),),
    "LENGTH": (_Function((str,), int, len),),
    "CONCAT": (_Function((), str, lambda *texts: "".join(texts), str, variadic=True),),
    "CONCAT_WS": (_Function((str,), str, lambda by, *texts: str(by).join(texts), str, variadic=True),),
    "LOWER": (_Function((str,), str, str.lower),),
    "UPPER": (_Function((str,), str, str.upper),),
    "TRIM": (_Function((str,), str, str.strip),),
    "LEFT": (_Function((str, int), str, lambda text, n: _part(text, n, lambda t, k: t[:k])),),
    "RIGHT": (_Function((str, int), str, lambda text, n: _part(text, n, lambda t, k: t[len(t) - k :])),),
    "SUBSTRING": (_Function((str, int), str, _substring), _Function((str, int, int), str, _substring)),
}


def _function(name: str, count: int) -> _Function | None:
    for function in _FUNCTIONS.get(name, ()):
        if count == len(function.types) or (function.variadic and count > len(function.types)):
            return function
    return None


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
            found = _Like(left, _pattern(self._string())) if kind == "LIKE" else _In(left, self._list())
            return _Not(found) if negated else found
        binding = _BINDING[operator]
        if operator in {"AND", "OR", "XOR"}:
            return _Logic(left, operator, self.expression(binding - 1))
        right = self.expression(binding)
        if operator in {"=", "!=", "<>"}:
            return _Equality(left, operator == "=", right)
        return _Integers(left, operator, right, zero=0 if operator in "+-*/%" else False)

    def _operand(self) -> Node:
        token = self._next
        if self._accept("NOT"):
            return _Not(self.expression(_UNARY_BINDING))
        if self._accept("-"):
            return _Negate(self.expression(_UNARY_BINDING), zero=0)
        if self._accept("EXISTS"):
            return _Exists(self._name())
        if self._accept("("):
            inner = self.expression(0)
            self.expect(")")
            return inner
        if keyword := self._accept("TRUE", "FALSE"):
            return _Literal(keyword == "TRUE")
        if token.kind == "text":
            return _Literal(self._string())
        if token.kind == "number":
            return _Literal(self._number())
        after = self._tokens[min(self._at + 1, len(self._tokens) - 1)]
        if token.kind == "word" and after.text == "(" and after.kind == "operator":
            return self._call()
        return _Attribute(self._name())

    def _name(self) -> str:
        if self._next.kind != "word" or "_" in self._next.text:
            raise self._fail("a value, an attribute or '('")
        return self._take().text.lower()

    def _number(self) -> int:
        text = self._next.text
        if len(text) > 1000 or not _LOWEST <= int(text) <= _HIGHEST:
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
            return _Call(name, ())
        return _Call(name, self._list_rest())

    def _list(self) -> tuple[Node, ...]:
        self.expect("(")
        return self._list_rest()

    def _list_rest(self) -> tuple[Node, ...]:
        items = [self.expression(0)]
        while self._accept(","):
            items.append(self.expression(0))
        self.expect(")")
        return tuple(items)
