"""A backtracking matcher that counts its steps: the work of a regular expression without a clock.

It runs the parse tree of `re` as `re` does (leftmost alternative first, greedy or lazy, backtracking) and counts the
instructions. `re` skips some of them by shortcuts, but only by a constant factor.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from re import _constants as tokens  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

MOST_COPIES = 1000  # a repetition of more turns counts as one without an end
REPEATS = (tokens.MAX_REPEAT, tokens.MIN_REPEAT, tokens.POSSESSIVE_REPEAT)
CATEGORIES = {
    tokens.CATEGORY_DIGIT: r"\d", tokens.CATEGORY_NOT_DIGIT: r"\D", tokens.CATEGORY_SPACE: r"\s",
    tokens.CATEGORY_NOT_SPACE: r"\S", tokens.CATEGORY_WORD: r"\w", tokens.CATEGORY_NOT_WORD: r"\W",
}  # fmt: skip
Instruction = tuple[Any, ...]


class TooManySteps(Exception):
    """A match took more steps than it was given."""


def character_set(items: Any) -> str:
    """A set of the parse tree as a pattern again."""
    out = ""
    for kind, value in items:
        if kind is tokens.NEGATE:
            out += "^"
        elif kind is tokens.LITERAL:
            out += re.escape(chr(value))
        elif kind is tokens.RANGE:
            out += f"{re.escape(chr(value[0]))}-{re.escape(chr(value[1]))}"
        else:
            out += CATEGORIES[value]
    return f"[{out}]"


class Counter:
    """One pattern; `steps` is the count of the last call.

    Args:
        pattern: compiled; one of bytes is taken as Latin-1.
        limit: steps after which a call raises TooManySteps.
    """

    def __init__(self, pattern: re.Pattern[Any], limit: int = 10_000_000) -> None:
        bytes_ = isinstance(pattern.pattern, bytes)
        text = pattern.pattern.decode("latin-1") if bytes_ else pattern.pattern
        self.flags = (pattern.flags & ~re.UNICODE) | (re.ASCII if bytes_ else 0)
        self.limit = limit
        self.steps = 0
        self._slots = 2 * (pattern.groups + 1)
        self._program: list[Instruction] = []
        self._compile(parser.parse(text, self.flags & ~re.DEBUG), self.flags)
        self._program.append(("match",))

    def match(self, text: str, at: int = 0, *, whole: bool = False) -> int | None:
        """The end of the match that begins at a place, or None.

        Raises:
            TooManySteps: the limit is reached.
        """
        self.steps = 0
        return self._match(text, at, whole)

    def search(self, text: str) -> None:
        """Look for all matches that do not overlap, as `finditer` does.

        Raises:
            TooManySteps: the limit is reached.
        """
        self.steps = at = 0
        while at <= len(text):
            end = self._match(text, at, whole=False)
            at = at + 1 if end is None or end == at else end

    def _match(self, text: str, at: int, whole: bool) -> int | None:
        return self._run(0, text, at, [-1] * self._slots, whole)

    def _run(self, pc: int, text: str, at: int, slots: list[int], whole: bool) -> int | None:
        """Run the program; backtracking goes through a stack of places and of values to restore."""
        waiting: list[tuple[int, int] | tuple[int, int, None]] = []
        while True:
            self.steps += 1
            if self.steps > self.limit:
                raise TooManySteps
            kind, *values = self._program[pc]
            follow: int | None = pc + 1
            if kind == "match":
                if not whole or at == len(text):
                    return at
                follow = None
            elif kind == "jump":
                follow = values[0]
            elif kind == "split":
                waiting.append((values[1], at))
                follow = values[0]
            elif kind == "save":
                waiting.append((values[0], slots[values[0]], None))
                slots[values[0]] = at
            elif kind == "advanced":
                follow = follow if at > slots[values[0]] else None
            elif kind == "exists":
                follow = follow if slots[values[0]] >= 0 else values[1]
            elif kind == "sub":
                follow, at = self._sub(values, text, at, slots, pc)
            else:
                end = values[0](text, at, slots)
                follow, at = (None, at) if end is None else (pc + 1, end)
            while follow is None:
                if not waiting:
                    return None
                entry = waiting.pop()
                if len(entry) == 3:
                    slots[entry[0]] = entry[1]
                else:
                    follow, at = entry
            pc = follow

    def _sub(self, values: list[Any], text: str, at: int, slots: list[int], pc: int) -> tuple[int | None, int]:
        """A part that is matched on its own: an assertion or an atomic group."""
        sort, width, after = values
        end = self._run(pc + 1, text, at - width, slots, whole=False) if at >= width else None
        if sort == "atomic":
            return (None, at) if end is None else (after, end)
        return (after if (end is None) == (sort == "not") else None), at

    def _compile(self, parsed: Any, flags: int) -> None:
        for kind, value in parsed:
            if kind in REPEATS:
                self._repeat(kind, value, flags)
            elif kind is tokens.BRANCH:
                self._branch(value[1], flags)
            elif kind is tokens.SUBPATTERN:
                self._group(value, flags)
            elif kind is tokens.ATOMIC_GROUP:
                self._apart("atomic", 0, lambda value=value: self._compile(value, flags))
            elif kind in (tokens.ASSERT, tokens.ASSERT_NOT):
                direction, inner = value
                width = inner.getwidth()[0] if direction < 0 else 0
                sort = "is" if kind is tokens.ASSERT else "not"
                self._apart(sort, width, lambda inner=inner: self._compile(inner, flags))
            elif kind is tokens.GROUPREF_EXISTS:
                self._conditional(value, flags)
            else:
                self._program.append(("test", test_of(kind, value, flags)))

    def _group(self, value: Any, flags: int) -> None:
        group, added, removed, inner = value
        if group is not None:
            self._program.append(("save", 2 * group))
        self._compile(inner, (flags | added) & ~removed)
        if group is not None:
            self._program.append(("save", 2 * group + 1))

    def _apart(self, sort: str, width: int, compile_inner: Callable[[], None]) -> None:
        at = self._hole()
        compile_inner()
        self._program.append(("match",))
        self._program[at] = ("sub", sort, width, len(self._program))

    def _hole(self) -> int:
        self._program.append(())
        return len(self._program) - 1

    def _branch(self, branches: list[Any], flags: int) -> None:
        ends = []
        for number, branch in enumerate(branches):
            split = self._hole() if number < len(branches) - 1 else None
            self._compile(branch, flags)
            if split is not None:
                ends.append(self._hole())
                self._program[split] = ("split", split + 1, len(self._program))
        for end in ends:
            self._program[end] = ("jump", len(self._program))

    def _conditional(self, value: Any, flags: int) -> None:
        group, yes, no = value
        test = self._hole()
        self._compile(yes, flags)
        over = self._hole()
        self._program[test] = ("exists", 2 * group + 1, len(self._program))
        self._compile(no or [], flags)
        self._program[over] = ("jump", len(self._program))

    def _repeat(self, kind: Any, value: Any, flags: int) -> None:
        low, high, inner = value
        if kind is tokens.POSSESSIVE_REPEAT:
            self._apart("atomic", 0, lambda: self._repeat(tokens.MAX_REPEAT, value, flags))
            return
        for _ in range(min(low, MOST_COPIES)):
            self._compile(inner, flags)
        lazy = kind is tokens.MIN_REPEAT
        if high is tokens.MAXREPEAT or high - low > MOST_COPIES:
            slot, self._slots = self._slots, self._slots + 1
            start = self._hole()
            self._program.append(("save", slot))
            self._compile(inner, flags)
            self._program += [("advanced", slot), ("jump", start)]
            self._program[start] = split(start + 1, len(self._program), lazy)
            return
        holes = []
        for _ in range(high - low):
            holes.append(self._hole())
            self._compile(inner, flags)
        for hole in holes:
            self._program[hole] = split(hole + 1, len(self._program), lazy)


def split(inside: int, after: int, lazy: bool) -> Instruction:
    """Another turn of a repetition, or what follows it."""
    return ("split", after, inside) if lazy else ("split", inside, after)


def test_of(kind: Any, value: Any, flags: int) -> Callable[[str, int, list[int]], int | None]:
    """The test of one character or place: the place after it, or None."""
    if kind is tokens.GROUPREF:

        def same(text: str, at: int, slots: list[int]) -> int | None:
            begin, end = slots[2 * value], slots[2 * value + 1]
            return at + end - begin if end >= 0 and text.startswith(text[begin:end], at) else None

        return same
    if kind is tokens.AT:
        return place_of(value, flags)
    source = {
        tokens.ANY: lambda: ".",
        tokens.LITERAL: lambda: re.escape(chr(value)),
        tokens.NOT_LITERAL: lambda: f"[^{re.escape(chr(value))}]",
        tokens.IN: lambda: character_set(value),
    }[kind]()
    one = re.compile(source, flags & (re.IGNORECASE | re.DOTALL | re.ASCII))
    known: dict[str, bool] = {}

    def fits(text: str, at: int, _: list[int]) -> int | None:
        if at >= len(text):
            return None
        character = text[at]
        if character not in known:
            known[character] = one.fullmatch(character) is not None
        return at + 1 if known[character] else None

    return fits


def place_of(value: Any, flags: int) -> Callable[[str, int, list[int]], int | None]:
    """The test of a place between characters."""
    sources = {
        tokens.AT_BEGINNING: "^", tokens.AT_BEGINNING_STRING: r"\A", tokens.AT_END: "$", tokens.AT_END_STRING: r"\Z",
        tokens.AT_BOUNDARY: r"\b", tokens.AT_NON_BOUNDARY: r"\B",
    }  # fmt: skip
    place = re.compile(sources[value], flags & (re.MULTILINE | re.ASCII))
    return lambda text, at, _: at if place.match(text, at) else None
