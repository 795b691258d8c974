"""A finding of a check about a manifest: its place, its severity and its message."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

Path = tuple[str | int, ...]


class Level(StrEnum):
    """How grave a finding is."""

    ERROR = "error"  # Knative refuses the object
    WARNING = "warning"  # Knative takes the object, and it is probably not what was meant
    NOTE = "note"  # worth considering; never a failure


@dataclass(frozen=True, order=True)
class Position:
    """A place in a file; lines and columns count from 1."""

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


def dotted(path: Path) -> str:
    """A path as Knative's webhook writes it: `spec.template.spec.containers[0].image`."""
    text = ""
    for part in path:
        if isinstance(part, int) or part == "*":
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


@dataclass(frozen=True)
class Finding:
    """One refusal or warning.

    Attributes:
        message: the sentence, for a refusal the one Knative's webhook would say.
        paths: the fields meant, from the root of the object.
        details: a longer explanation, where there is one.
        level: refusal or warning.
        rule: the name of the rule, stable, for scripts and for filters.
        position: that of the first of `paths`, once it is known.
        subject: the object, such as `Service/histogram`.
    """

    message: str
    paths: tuple[Path, ...] = ((),)
    details: str = ""
    level: Level = Level.ERROR
    rule: str = "refused"
    position: Position | None = None
    subject: str = ""

    @property
    def text(self) -> str:
        """The finding in the webhook's form: `message: path, path`, the details on a line of their own."""
        where = ", ".join(shown for path in self.paths if (shown := dotted(path)))
        text = f"{self.message}: {where}" if where else self.message
        return f"{text}\n{self.details}" if self.details else text

    def below(self, *prefix: str | int) -> Finding:
        """The same finding seen from further up the object."""
        return replace(self, paths=tuple(prefix + path for path in self.paths))

    def __str__(self) -> str:
        place = f"{self.position}: " if self.position else ""
        subject = f"{self.subject}: " if self.subject else ""
        return f"{place}{self.level}: {subject}{self.text}"


class ManifestError(ValueError):
    """Manifests that Knative would refuse; `findings` holds every reason."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join(str(finding) for finding in self.findings))


def missing(*paths: Path) -> Finding:
    """A required field is missing."""
    return Finding("missing field(s)", paths)


def disallowed(*paths: Path) -> Finding:
    """A field that Knative knows and does not take."""
    return Finding("must not set the field(s)", paths)


def invalid(value: object, path: Path, details: str = "") -> Finding:
    """A value of the right type that is not allowed."""
    return Finding(f"invalid value: {value}", (path,), details)


def out_of_bounds(value: object, low: object, high: object, path: Path) -> Finding:
    """A value outside its range."""
    return Finding(f"expected {low} <= {value} <= {high}", (path,))


def neither(*paths: Path) -> Finding:
    """None of several fields is set, one of which is required."""
    return Finding("expected exactly one, got neither", paths)


def both(*paths: Path) -> Finding:
    """More than one of several fields is set, of which only one may be."""
    return Finding("expected exactly one, got both", paths)


def each(names: Iterable[str]) -> Iterator[Path]:
    """The path of each of an object's fields."""
    return ((name,) for name in names)


def bad_key(key: str, path: Path, details: str = "") -> Finding:
    """A key that is not allowed in its place."""
    return Finding(f'invalid key name "{key}"', (path,), details)
