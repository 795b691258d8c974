"""A backtracking matcher that counts its steps: the work of a regular expression without a clock.

It runs the parse tree of `re` as `re` does (leftmost alternative first, greedy or lazy, backtracking) and counts the
instructions, and the characters that a repetition of one character takes. `re` skips some of them by shortcuts, but
only by a constant factor.
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
ONE, SPLIT, MANY, JUMP, SAVE, ADVANCED, EXISTS, PLACE, SUB, MATCH = range(10)  # what an instruction does
SETS = (tokens.ANY, tokens.LITERAL, tokens.NOT_LITERAL, tokens.IN)
Instruction = tuple[int, Any, Any]


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


class Fits(dict[str, bool]):
    """Whether a character fits a set: found once for each character.

    Args:
        source: the set as a pattern.
        flags: those that change what a set means.
    """

    def __init__(self, source: str, flags: int) -> None:
        super().__init__()
        self._one = re.compile(source, flags & (re.IGNORECASE | re.DOTALL | re.ASCII))

    def __missing__(self, character: str) -> bool:
        self[character] = fits = self._one.fullmatch(character) is not None
        return fits


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
        self._program.append((MATCH, None, None))

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
        """Run the program; backtracking goes through a stack of places and of values to restore.

        An entry of the stack is (where to go on, place, rest): rest is None for a place, a tuple for the turns of a
        repetition of one character that are left, and False for a slot and the value to restore.
        """
        waiting: list[tuple[int, int, Any]] = []
        program, limit, steps, size = self._program, self.limit, self.steps, len(text)
        while True:
            steps += 1
            if steps > limit:
                self.steps = steps
                raise TooManySteps
            kind, value, other = program[pc]
            follow = pc + 1
            if kind == ONE:
                if at < size and value[text[at]]:
                    at += 1
                else:
                    follow = -1
            elif kind == SPLIT:
                waiting.append((other, at, None))
                follow = value
            elif kind == MANY:
                fits, low, high, lazy = value
                begin, most = at, size if high is None else min(size, at + high)
                least = at + low
                enough = least if lazy else most
                while at < most and at < enough and fits[text[at]]:
                    at += 1
                steps += at - begin
                if at < least:
                    follow = -1
                elif lazy and at < most:
                    waiting.append((follow, at, (fits, most)))
                elif at > least:
                    waiting.append((follow, at - 1, (None, least)))
            elif kind == JUMP:
                follow = value
            elif kind == SAVE:
                waiting.append((value, slots[value], False))
                slots[value] = at
            elif kind == ADVANCED:
                follow = follow if at > slots[value] else -1
            elif kind == EXISTS:
                follow = follow if slots[value] >= 0 else other
            elif kind == PLACE:
                end = value(text, at, slots)
                follow, at = (-1, at) if end is None else (follow, end)
            elif kind == SUB:
                self.steps = steps
                follow, at = self._sub(value, text, at, slots, pc)
                steps = self.steps
            elif not whole or at == size:
                self.steps = steps
                return at
            else:
                follow = -1
            while follow < 0:
                if not waiting:
                    self.steps = steps
                    return None
                follow, at, rest = waiting.pop()
                if rest is False:
                    slots[follow] = at
                    follow = -1
                elif rest is not None:
                    fits, bound = rest
                    if fits is None:
                        if at > bound:
                            waiting.append((follow, at - 1, rest))
                    elif fits[text[at]]:
                        at += 1
                        if at < bound:
                            waiting.append((follow, at, rest))
                    else:
                        follow = -1
            pc = follow

    def _sub(self, value: tuple[str, int, int], text: str, at: int, slots: list[int], pc: int) -> tuple[int, int]:
        """A part that is matched on its own: an assertion or an atomic group."""
        sort, width, after = value
        end = self._run(pc + 1, text, at - width, slots, whole=False) if at >= width else None
        if sort == "atomic":
            return (-1, at) if end is None else (after, end)
        return (after if (end is None) == (sort == "not") else -1), at

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
            elif kind is tokens.GROUPREF:
                self._program.append((PLACE, same_as_group(value), None))
            elif kind is tokens.AT:
                self._program.append((PLACE, place_of(value, flags), None))
            else:
                self._program.append((ONE, Fits(source_of(kind, value), flags), None))

    def _group(self, value: Any, flags: int) -> None:
        group, added, removed, inner = value
        if group is not None:
            self._program.append((SAVE, 2 * group, None))
        self._compile(inner, (flags | added) & ~removed)
        if group is not None:
            self._program.append((SAVE, 2 * group + 1, None))

    def _apart(self, sort: str, width: int, compile_inner: Callable[[], None]) -> None:
        at = self._hole()
        compile_inner()
        self._program.append((MATCH, None, None))
        self._program[at] = (SUB, (sort, width, len(self._program)), None)

    def _hole(self) -> int:
        self._program.append((MATCH, None, None))
        return len(self._program) - 1

    def _branch(self, branches: list[Any], flags: int) -> None:
        ends = []
        for number, branch in enumerate(branches):
            split = self._hole() if number < len(branches) - 1 else None
            self._compile(branch, flags)
            if split is not None:
                ends.append(self._hole())
                self._program[split] = (SPLIT, split + 1, len(self._program))
        for end in ends:
            self._program[end] = (JUMP, len(self._program), None)

    def _conditional(self, value: Any, flags: int) -> None:
        group, yes, no = value
        test = self._hole()
        self._compile(yes, flags)
        over = self._hole()
        self._program[test] = (EXISTS, 2 * group + 1, len(self._program))
        self._compile(no or [], flags)
        self._program[over] = (JUMP, len(self._program), None)

    def _repeat(self, kind: Any, value: Any, flags: int) -> None:
        low, high, inner = value
        if kind is tokens.POSSESSIVE_REPEAT:
            self._apart("atomic", 0, lambda: self._repeat(tokens.MAX_REPEAT, value, flags))
            return
        lazy = kind is tokens.MIN_REPEAT
        if len(inner) == 1 and inner[0][0] in SETS:
            fits = Fits(source_of(*inner[0]), flags)
            self._program.append((MANY, (fits, low, None if high is tokens.MAXREPEAT else high, lazy), None))
            return
        for _ in range(min(low, MOST_COPIES)):
            self._compile(inner, flags)
        if high is tokens.MAXREPEAT or high - low > MOST_COPIES:
            slot, self._slots = self._slots, self._slots + 1
            start = self._hole()
            self._program.append((SAVE, slot, None))
            self._compile(inner, flags)
            self._program += [(ADVANCED, slot, None), (JUMP, start, None)]
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
    return (SPLIT, after, inside) if lazy else (SPLIT, inside, after)


def source_of(kind: Any, value: Any) -> str:
    """The pattern of one character of a pattern."""
    if kind is tokens.IN:
        return character_set(value)
    if kind is tokens.ANY:
        return "."
    return re.escape(chr(value)) if kind is tokens.LITERAL else f"[^{re.escape(chr(value))}]"


def same_as_group(group: int) -> Callable[[str, int, list[int]], int | None]:
    """The test of a reference to a group: the place after it, or None."""

    def same(text: str, at: int, slots: list[int]) -> int | None:
        begin, end = slots[2 * group], slots[2 * group + 1]
        return at + end - begin if end >= 0 and text.startswith(text[begin:end], at) else None

    return same


def place_of(value: Any, flags: int) -> Callable[[str, int, list[int]], int | None]:
    """The test of a place between characters."""
    sources = {
        tokens.AT_BEGINNING: "^", tokens.AT_BEGINNING_STRING: r"\A", tokens.AT_END: "$", tokens.AT_END_STRING: r"\Z",
        tokens.AT_BOUNDARY: r"\b", tokens.AT_NON_BOUNDARY: r"\B",
    }  # fmt: skip
    place = re.compile(sources[value], flags & (re.MULTILINE | re.ASCII))
    return lambda text, at, _: at if place.match(text, at) else None
