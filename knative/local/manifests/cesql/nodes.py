"""An expression as a tree of operators, and its evaluation."""

from __future__ import annotations

from dataclasses import dataclass, field

from knative.local.manifests.cesql.functions import function_of
from knative.local.manifests.cesql.operators import INTEGER_OPERATORS, like, wrapped
from knative.local.manifests.cesql.values import Attributes, CesqlError, ErrorKind, Value, cast


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
class Literal(Node):
    """A value as written."""

    value: Value

    def evaluate(self, attributes: Attributes) -> Value:  # noqa: ARG002 - every node has this signature
        """See `Node.evaluate`."""
        return self.value


@dataclass(frozen=True)
class Attribute(Node):
    """An attribute's value."""

    name: str

    def evaluate(self, attributes: Attributes) -> Value:
        """See `Node.evaluate`."""
        if self.name not in attributes:
            raise CesqlError(ErrorKind.MISSING_ATTRIBUTE, f"the event has no attribute {self.name!r}")
        return attributes[self.name]


@dataclass(frozen=True)
class Exists(Node):
    """`EXISTS name`."""

    name: str

    def evaluate(self, attributes: Attributes) -> Value:
        """See `Node.evaluate`."""
        return self.name in attributes


@dataclass(frozen=True)
class Not(Node):
    """`NOT inner`."""

    inner: Node

    def evaluate(self, attributes: Attributes) -> Value:
        """See `Node.evaluate`."""
        return not self.operand(self.inner, attributes, bool)


@dataclass(frozen=True)
class Negate(Node):
    """`-inner`."""

    inner: Node

    def evaluate(self, attributes: Attributes) -> Value:
        """See `Node.evaluate`."""
        return wrapped(-int(self.operand(self.inner, attributes, int)))


@dataclass(frozen=True)
class Binary(Node):
    """An operator between two operands."""

    left: Node
    operator: str
    right: Node


@dataclass(frozen=True)
class Logic(Binary):
    """`AND`, `OR` and `XOR`; the right operand of a decided `AND` or `OR` is not evaluated."""

    def evaluate(self, attributes: Attributes) -> Value:
        """See `Node.evaluate`."""
        left = self.operand(self.left, attributes, bool)
        if left == {"AND": False, "OR": True}.get(self.operator):
            return left
        right = self.operand(self.right, attributes, bool)
        return left != right if self.operator == "XOR" else right


@dataclass(frozen=True)
class Equality(Node):
    """`=` and `!=`: the left operand is cast to the type of the right one."""

    left: Node
    equal: bool
    right: Node

    def evaluate(self, attributes: Attributes) -> Value:
        """See `Node.evaluate`."""
        left, right = self.operand(self.left, attributes), self.operand(self.right, attributes)
        return (self.operand(Literal(left), attributes, type(right)) == right) is self.equal


@dataclass(frozen=True)
class Integers(Binary):
    """A comparison or an arithmetic operation of two integers."""

    def evaluate(self, attributes: Attributes) -> Value:
        """See `Node.evaluate`."""
        left, right = self.operand(self.left, attributes), self.operand(self.right, attributes)
        x, y = (int(self.operand(Literal(value), attributes, int)) for value in (left, right))
        if self.operator in "/%" and y == 0:
            raise CesqlError(ErrorKind.MATH, "division by zero", 0)
        return INTEGER_OPERATORS[self.operator](x, y)


@dataclass(frozen=True)
class Like(Node):
    """`inner LIKE pattern`."""

    inner: Node
    pattern: tuple[str, ...]

    def evaluate(self, attributes: Attributes) -> Value:
        """See `Node.evaluate`."""
        return like(str(self.operand(self.inner, attributes, str)), self.pattern)


@dataclass(frozen=True)
class In(Node):
    """`inner IN (…)`."""

    inner: Node
    items: tuple[Node, ...]

    def evaluate(self, attributes: Attributes) -> Value:
        """See `Node.evaluate`."""
        value = self.operand(self.inner, attributes)
        return any(self.operand(item, attributes, type(value)) == value for item in self.items)


@dataclass(frozen=True)
class Call(Node):
    """A call of a function."""

    name: str
    arguments: tuple[Node, ...]

    def evaluate(self, attributes: Attributes) -> Value:
        """See `Node.evaluate`."""
        found = function_of(self.name, len(self.arguments))
        if found is None:
            known = f"{self.name} with {len(self.arguments)} arguments"
            raise CesqlError(ErrorKind.MISSING_FUNCTION, f"there is no function {known}")
        frame = Literal(found.result(), zero=found.result())
        types = (*found.types, *[found.rest] * (len(self.arguments) - len(found.types)))
        pairs = zip(self.arguments, types, strict=True)
        return found.run(*[frame.operand(argument, attributes, kind) for argument, kind in pairs])
