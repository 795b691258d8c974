"""Settings from the environment: typed, with units; all mistakes are reported at once.

A function's settings are a frozen dataclass below `Settings`, each field made by `setting`. The variable of the
field `max_bytes` of the function `exif` is `EXIF_MAX_BYTES`. This module is the one place for limits:
the table of docs/settings.md is printed from it by `python -m functions.registry`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_type_hints

from functions.kit.jsontypes import JsonMapping, JsonObject

S = TypeVar("S", bound="Settings")

MEBI = 2**20


class SettingsError(ValueError):
    """The environment holds values that are not allowed; `mistakes` names every one of them."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


def setting(
    default: Any,
    *,
    help: str,  # noqa: A002 - as in argparse
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    unit: str = "",
    secret: bool = False,
    check: Callable[[Any], object] | None = None,
) -> Any:
    """A field of a settings class.

    Args:
        default: value if the variable is unset; its type is the field's annotation.
        help: what the setting does, for docs/settings.md.
        minimum: smallest value allowed, in `unit`.
        maximum: largest value allowed, in `unit`.
        choices: allowed values, for text.
        unit: unit of the value, such as `bytes`.
        secret: hidden in messages and tables.
        check: called with a value from the environment; raises ValueError if it is not allowed.
    """
    return field(
        default=default,
        metadata={
            "help": help,
            "minimum": minimum,
            "maximum": maximum,
            "choices": choices,
            "unit": unit,
            "secret": secret,
            "check": check,
        },
    )


def _allowed(entries: tuple[str, ...]) -> None:
    """Refuse entries that are neither a host, an origin nor a range of addresses."""
    from functions.kit.cloudevents.dataref import Allowed

    Allowed.parse(entries)


# A serialized origin (RFC 6454, 6.2): lower-case ASCII without a path.
_ORIGIN = re.compile(
    r"([a-z][a-z0-9+.-]*)://(?:[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?|\[[0-9a-f:.]+\])(?::([1-9]\d{0,4}))?"
)
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def _origins(entries: tuple[str, ...]) -> None:
    """Refuse entries that no browser sends as an origin: they would match nothing."""
    for entry in entries:
        match = _ORIGIN.fullmatch(entry)
        if match is None:
            raise ValueError(
                f"{entry!r} is not an origin: expected scheme://host or scheme://host:port in lower case, without a "
                "path, such as https://app.example; there is no wildcard"
            )
        scheme, port = match.groups()
        if port is not None and _DEFAULT_PORTS.get(scheme) == port:
            raise ValueError(f"{entry!r} names the default port, which browsers omit: remove :{port}")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of every function; `function` is the name that they were loaded for."""

    function: str = "pixelamp"
    max_bytes: int = setting(32 * MEBI, minimum=1, maximum=2**31, unit="bytes", help="largest request body")
    max_pixels: int = setting(
        50_000_000,
        minimum=1,
        maximum=2**31,
        unit="pixels",
        help="largest image, per frame, checked before it is decoded",
    )
    spool_bytes: int = setting(
        0, minimum=0, maximum=2**40, unit="bytes", help="budget on disk for bodies above 32 MiB; 0 keeps all in memory"
    )
    spool_folder: str = setting("", help="folder for such bodies; empty: the system's folder of temporary files")
    max_files: int = setting(32, minimum=1, maximum=1000, unit="files", help="limit of files in one request")
    concurrency: int = setting(
        8, minimum=1, maximum=1000, unit="requests", help="containerConcurrency; the server runs two threads more"
    )
    workers: int = setting(1, minimum=1, maximum=64, unit="processes", help="server processes, one per vCPU")
    decodes: int = setting(2, minimum=1, maximum=64, unit="images", help="concurrent decodes")
    timeout_seconds: int = setting(
        60,
        minimum=1,
        maximum=600,
        unit="s",
        help="timeoutSeconds of the Service; a drain ends ten seconds earlier",
    )
    body_seconds: float = setting(
        30, minimum=0.1, maximum=600, unit="s", help="time limit for a client to begin with its body"
    )
    body_rate: int = setting(
        128 * 1024, minimum=1, maximum=2**40, unit="bytes/s", help="slowest rate of a body after that time"
    )
    token: str = setting("", help="bearer token required for every POST; empty: none", secret=True)
    cors_origins: tuple[str, ...] = setting(
        (),
        help="origins (scheme://host[:port]) whose pages may call, comma-separated; empty: none",
        check=_origins,
    )
    dataref_hosts: tuple[str, ...] = setting(
        (),
        help="hosts (or scheme://host:port origins) allowed in an event's dataref, comma-separated; empty: none",
        check=_allowed,
    )
    event_bytes: int = setting(
        256 * 1024, minimum=1024, maximum=2**31, unit="bytes", help="largest event in a reply, attributes included"
    )
    log_format: str = setting("auto", choices=("auto", "json", "text"), help="auto: text on a terminal, else JSON")

    def variable(self, name: str) -> str:
        """The environment variable of a field, such as `EXIF_MAX_BYTES`."""
        return variable(self.function, name)


def variable(function: str, name: str) -> str:
    """The environment variable of a function's field."""
    return f"{function}_{name}".upper()


def load(cls: type[S], function: str, environ: Mapping[str, str]) -> S:
    """Load the settings of a function from the environment.

    Raises:
        SettingsError: one or more variables have values that are not allowed; all are listed.
    """
    values: JsonObject = {}
    mistakes: list[str] = []
    types = get_type_hints(cls)
    for item in _declared(cls):
        name = variable(function, item.name)
        text = environ.get(name)
        if text is None:
            continue
        try:
            values[item.name] = _parse(types[item.name], text, item.metadata)
            if item.metadata["check"]:
                item.metadata["check"](values[item.name])
        except ValueError as error:
            shown = "(hidden)" if item.metadata["secret"] else repr(text)
            mistakes.append(f"invalid {name} value ({shown}): {error}")
    if mistakes:
        raise SettingsError(mistakes)
    return cls(function=function, **values)


def _declared(cls: type[Settings]) -> list[dataclasses.Field[Any]]:
    """The fields that come from variables: all but the function's name."""
    return [item for item in dataclasses.fields(cls) if item.metadata]


def _parse(kind: Any, text: str, metadata: JsonMapping) -> Any:
    stripped = text.strip()
    if kind is bool:
        word = stripped.lower()
        if word not in {"1", "0", "true", "false", "yes", "no", "on", "off"}:
            raise ValueError("expected true or false")
        return word in {"1", "true", "yes", "on"}
    if kind in (int, float):
        return _parse_number(kind, stripped, metadata)
    if kind is str:
        if metadata["choices"] and stripped not in metadata["choices"]:
            raise ValueError(f"expected one of {', '.join(metadata['choices'])}")
        return stripped
    return tuple(part.strip() for part in stripped.split(",") if part.strip())


def _parse_number(kind: type[int] | type[float], text: str, metadata: JsonMapping) -> float:
    try:
        # int() would take "1_000" and "١": only what docs/settings.md shows is accepted.
        if not text.isascii() or "_" in text:
            raise ValueError
        value = kind(text) + 0  # no -0.0
    except ValueError:
        raise ValueError("expected a whole number" if kind is int else "expected a number") from None
    low, high, unit = metadata["minimum"], metadata["maximum"], metadata["unit"]
    if value != value or (low is not None and value < low) or (high is not None and value > high):
        bounds = [f"at least {low:,}"] if low is not None else []
        bounds += [f"at most {high:,}"] if high is not None else []
        raise ValueError(f"expected {' and '.join(bounds)} {unit}".rstrip())
    return value


@dataclass(frozen=True)
class Row:
    """One setting as docs/settings.md shows it."""

    variable: str
    default: str
    unit: str
    meaning: str


def rows(cls: type[Settings], function: str) -> Iterator[Row]:
    """The settings of a function, in the order of declaration."""
    for item in _declared(cls):
        default = item.default
        if isinstance(default, tuple):
            default = ",".join(default)
        if isinstance(default, bool):
            default = str(default).lower()
        yield Row(variable(function, item.name), str(default), item.metadata["unit"], item.metadata["help"])


def table(classes: Mapping[str, type[Settings]]) -> str:
    """The table of docs/settings.md in Markdown: shared settings once, as `<NAME>_…`, then each function's own."""
    lines = ["| variable | default | unit | meaning |", "|---|---|---|---|"]
    shared = {item.name: item.default for item in _declared(Settings)}
    lines += [_line(row) for row in rows(Settings, "<NAME>")]
    for function, cls in classes.items():
        for item, row in zip(_declared(cls), rows(cls, function), strict=True):
            if item.name not in shared or item.default != shared[item.name]:
                lines.append(_line(row))
    return "\n".join(lines)


def _line(row: Row) -> str:
    default = f"`{row.default}`" if row.default else "–"
    return f"| `{row.variable}` | {default} | {row.unit} | {row.meaning} |"
