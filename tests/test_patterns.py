"""The work of every regular expression grows in proportion to the text, whatever the text.

Every pattern of the functions and of the engine is found in the syntax trees, with the methods called on it. From its
parse tree come hostile texts: what leads up to a repetition, then the repeated part many times, then something that
fits nowhere. Work is counted in steps of a matcher (`tests/steps.py`), never in seconds.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from re import _constants as tokens  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any, TypeAlias

import pytest

from functions.exif.lenses import choosing
from functions.exif.printing import various
from tests.servers import ROOT
from tests.steps import Counter, TooManySteps, character_set

METHODS = {"match", "fullmatch", "search", "sub", "split", "findall", "finditer", "compile"}
SEARCHING = {"search", "sub", "split", "findall", "finditer"}
SHORT, LONG = 100, 800
GROWTH = 3  # times as many steps as in proportion to the text: a quadratic pattern takes 8 times as many
MOST_STEPS = 200_000  # over the short text
MANY = 16  # a repetition of fewer cannot hurt
# Those that take longer, and why no stranger can make them.
BOUNDED = {
    # Verbose: the blanks between its alternatives are no part of it.
    r"(?P<space>[ \t\r\n]+)": "tokens of a CESQL expression: any character matches `other`, so none is tried twice",
    r"(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?\s*mm.*?": "names of lenses, of at most 200 characters",
    r"(?s)(.*?\s*)([0-9a-fA-F]*)(\d{2})": "Fujifilm's serial numbers, of at most 256 characters",
}
Pattern: TypeAlias = "re.Pattern[Any]"


def modules() -> Iterator[tuple[str, ast.Module]]:
    """The source of the functions, of what they share, and of the engine."""
    for folder in ("functions", "knative/local"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            if not name.endswith("__main__"):
                yield name, ast.parse(path.read_text(encoding="utf-8"))


def uses(name: str, tree: ast.Module) -> Iterator[tuple[Pattern, str]]:
    """Each pattern of a module with a method that is called on it."""
    module = import_module(name)
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in METHODS):
            continue
        owner, method = node.func.value, node.func.attr
        if isinstance(owner, ast.Name) and owner.id == "re" and node.args:
            given = node.args[0]
            text = given.value if isinstance(given, ast.Constant) else getattr(module, getattr(given, "id", ""), None)
            if isinstance(text, str | bytes):
                flags = re.IGNORECASE if "IGNORECASE" in ast.dump(node) else 0
                yield re.compile(text, flags), method
        elif isinstance(owner, ast.Name) and isinstance(found := getattr(module, owner.id, None), re.Pattern):
            yield found, method


@cache
def patterns() -> dict[tuple[str, str | bytes], tuple[Pattern, set[str]]]:
    """Every pattern by its module and text, with the ways it is used."""
    result: dict[tuple[str, str | bytes], tuple[Pattern, set[str]]] = {}
    for name, tree in modules():
        for pattern, method in uses(name, tree):
            result.setdefault((name, pattern.pattern), (pattern, set()))[1].add(method)
    return result


def example(parsed: Any, depth: int = 0) -> str:
    """A text that a part of a pattern fits, as far as that is easily said."""
    out = ""
    for kind, value in parsed:
        if kind is tokens.LITERAL:
            out += chr(value)
        elif kind is tokens.NOT_LITERAL:
            out += "a" if value != ord("a") else "b"
        elif kind is tokens.ANY:
            out += "a"
        elif kind is tokens.IN:
            out += member(value)
        elif kind in (tokens.MAX_REPEAT, tokens.MIN_REPEAT, tokens.POSSESSIVE_REPEAT):
            low, _, inner = value
            out += example(inner, depth + 1) * min(low, 64)
        elif kind is tokens.SUBPATTERN:
            out += example(value[3], depth + 1)
        elif kind is tokens.ATOMIC_GROUP:
            out += example(value, depth + 1)
        elif kind is tokens.BRANCH:
            out += example(value[1][0], depth + 1)
    return out


def member(items: Any) -> str:
    """A character of a set."""
    negated = items[0][0] is tokens.NEGATE
    candidates = "a0 -.A:/\t\"'<>;=%\0"
    if negated:
        return next((one for one in candidates if re.fullmatch(character_set(items), one)), "\u4e00")
    kind, value = items[0]
    if kind is tokens.LITERAL:
        return chr(value)
    if kind is tokens.RANGE:
        return chr(value[0])
    return next(one for one in candidates if re.fullmatch(character_set(items), one))


def repetitions(parsed: Any, before: str = "") -> Iterator[tuple[str, str]]:
    """Each repetition of a pattern without a small bound: what leads up to it, and one turn of it."""
    for index, (kind, value) in enumerate(parsed):
        lead = before + example(parsed[:index])
        if kind in (tokens.MAX_REPEAT, tokens.MIN_REPEAT, tokens.POSSESSIVE_REPEAT):
            _, high, inner = value
            if high >= MANY:
                yield lead, example(inner)
                for extra in ("a", "0", " ", "-", "."):
                    if re.fullmatch("[aA0 .-]", extra) and fits(inner, extra):
                        yield lead, extra
            yield from repetitions(inner, lead)
        elif kind is tokens.SUBPATTERN:
            yield from repetitions(value[3], lead)
        elif kind is tokens.ATOMIC_GROUP:
            yield from repetitions(value, lead)
        elif kind is tokens.BRANCH:
            for branch in value[1]:
                yield from repetitions(branch, lead)


def fits(parsed: Any, text: str) -> bool:
    """Whether a character is one turn of a repetition of sets."""
    return len(parsed) == 1 and parsed[0][0] is tokens.IN and bool(re.fullmatch(character_set(parsed[0][1]), text))


def steps(counter: Counter, methods: set[str], text: str) -> int:
    """Steps to match a text in each way that the pattern is used; the limit of the counter at most."""
    total = 0
    begin: Callable[[str], object] = counter.search if methods & SEARCHING else counter.match  # a search begins so
    for call in (lambda: counter.match(text, whole=True), lambda: begin(text)):
        try:
            call()
        except TooManySteps:
            return counter.limit
        total += counter.steps
    return total


def worst(pattern: Pattern, methods: set[str], short: int = SHORT, long: int = LONG) -> str:
    """The text whose steps grow faster than its length, or nothing."""
    counter = Counter(pattern)
    text = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    tree = parser.parse(text, pattern.flags & ~re.UNICODE)
    for lead, turn in dict.fromkeys(repetitions(tree)):
        for end in ("\u0001", "", "!\n", lead[:1] or "x"):
            texts = [lead + turn * (size // max(1, len(turn))) + end for size in (short, long)]
            counter.limit = MOST_STEPS
            few = steps(counter, methods, texts[0])
            allowed = counter.limit = GROWTH * long // short * few
            if few == MOST_STEPS or steps(counter, methods, texts[1]) >= allowed:
                return f"{lead!r:.40}, then {turn!r:.20} many times, then {end!r}: more than {allowed:,} steps"
    return ""


def test_the_patterns_are_found() -> None:
    assert len(patterns()) > 60
    assert {"fullmatch", "search", "sub"} <= set().union(*(methods for _, methods in patterns().values()))


@pytest.mark.parametrize(
    ("pattern", "long"), [(r"(?:a+)+[bc]", 21), (r"(?:a|aa)+c", 29), (r"[ab]+c", LONG), (r"\s+$", LONG)]
)
def test_a_pattern_that_hurts_is_noticed(pattern: str, long: int) -> None:
    assert worst(re.compile(pattern), {"search"}, 10 if long < SHORT else SHORT, long)


def test_no_text_takes_more_than_its_share() -> None:
    free = {key: used for key, used in patterns().items() if not str(key[1]).startswith(tuple(BOUNDED))}
    assert {key: text for key, used in free.items() if (text := worst(*used))} == {}


def test_every_exception_is_a_pattern_of_the_code() -> None:
    texts = [str(text) for _, text in patterns()]
    assert all(any(text.startswith(start) for text in texts) for start in BOUNDED)


def test_texts_that_hurt_such_a_pattern_are_not_given_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"{name} is called with a long text")

    monkeypatch.setattr(choosing, "_RANGE", Refusing())
    monkeypatch.setattr(various, "re", Refusing())
    assert choosing.range_of("1mm" * 100_000) is None
    assert various.fuji_serial(" " * 300_000) == " " * 300_000


def test_the_counting_matcher_finds_what_re_finds() -> None:
    for pattern, _ in patterns().values():
        matches_alike(pattern)


def matches_alike(pattern: Pattern) -> None:
    text = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    counter = Counter(pattern)
    fitting = example(parser.parse(text, pattern.flags & ~re.UNICODE))
    for given in (fitting, f"a0 {fitting}-{fitting}\n", fitting[:-1], fitting * 3, "", text):
        binary = given.encode("latin-1", "replace")
        same: Any = binary if isinstance(pattern.pattern, bytes) else given
        for at in range(len(given) + 1):
            found = pattern.match(same, at)
            assert counter.match(binary.decode("latin-1") if same is binary else given, at) == (
                found and found.end()
            ), (pattern, given)
