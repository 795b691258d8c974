"""The small grammars that manifests are written in: Go's durations and numbers, Kubernetes' quantities and names.

Each parser accepts and refuses what Knative's own does, so that a value means here what it means on a cluster.
Sources: Go's `time.ParseDuration` and `strconv`, Kubernetes' `resource.Quantity` and `util/validation`, and
go-containerregistry's `name.ParseReference` under weak validation.
"""

from __future__ import annotations

import hashlib
import math
import re
from decimal import Decimal
from fractions import Fraction

_UNITS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,  # micro sign
    "μs": 10**3,  # Greek mu
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
SECOND = _UNITS["s"]
_MAX_DURATION = 2**63 - 1
# Endings of host names inside a cluster, the longest first.
_LONGEST_NAME = 63
CLUSTER_SUFFIXES = (".svc.cluster.local", ".svc")
_DURATION_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?(ns|us|µs|μs|ms|s|m|h)")


def parse_duration(text: str) -> int:
    """Nanoseconds of a Go duration such as `1h2m3.5s`, `-42s` or `0`.

    Raises:
        ValueError: what Go's `time.ParseDuration` would refuse, such as a number without a unit.
    """
    unsigned = text[1:] if text[:1] in {"-", "+"} else text
    if unsigned == "0":
        return 0
    total = Fraction(0)
    position = 0
    while position < len(unsigned):
        part = _DURATION_PART.match(unsigned, position)
        if part is None or not (part[1] or part[2]):
            raise ValueError(f'time: invalid duration "{text}"')
        total += Fraction(f"{part[1] or 0}.{part[2] or 0}") * _UNITS[part[3]]
        position = part.end()
    if not unsigned or total > _MAX_DURATION:
        raise ValueError(f'time: invalid duration "{text}"')
    return -int(total) if text.startswith("-") else int(total)


_NUMBER = r"[0-9]+(?:[.,][0-9]+)?"
_PERIOD = re.compile(
    rf"(?P<sign>[-+]?)P(?=.)(?:(?P<years>{_NUMBER})Y)?(?:(?P<months>{_NUMBER})M)?(?:(?P<weeks>{_NUMBER})W)?"
    rf"(?:(?P<days>{_NUMBER})D)?(?:T(?=.)(?:(?P<hours>{_NUMBER})H)?(?:(?P<minutes>{_NUMBER})M)?(?:(?P<seconds>{_NUMBER})S)?)?"
)
_DAY = 86400.0
_PERIOD_UNITS = {
    "years": 365.2425 * _DAY,
    "months": 365.2425 / 12 * _DAY,
    "weeks": 7 * _DAY,
    "days": _DAY,
    "hours": 3600.0,
    "minutes": 60.0,
    "seconds": 1.0,
}


def parse_period(text: str) -> float:
    """Seconds of an ISO 8601 duration such as `PT0.2S`; a year has 365.2425 days.

    Raises:
        ValueError: not an ISO 8601 duration.
    """
    match = _PERIOD.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not an ISO 8601 duration")
    total = sum(float(match[name].replace(",", ".")) * unit for name, unit in _PERIOD_UNITS.items() if match[name])
    return -total if match["sign"] == "-" else total


def format_duration(nanoseconds: int) -> str:
    """A duration as Go prints it: `1h0m0s`, `6s`, `42.5s`, `300ms`."""
    if nanoseconds == 0:
        return "0s"
    sign = "-" if nanoseconds < 0 else ""
    rest = abs(nanoseconds)
    if rest < SECOND:
        unit = next(name for name in ("ms", "µs", "ns") if rest >= _UNITS[name])
        return f"{sign}{_plain(Fraction(rest, _UNITS[unit]))}{unit}"
    hours, rest = divmod(rest, _UNITS["h"])
    minutes, rest = divmod(rest, _UNITS["m"])
    shown = f"{_plain(Fraction(rest, SECOND))}s"
    if hours or minutes:
        shown = f"{minutes}m{shown}"
    return f"{sign}{hours}h{shown}" if hours else f"{sign}{shown}"


def _plain(value: Fraction) -> str:
    text = f"{Decimal(value.numerator) / Decimal(value.denominator):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


_FLOAT = re.compile(
    r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?(?:inf|infinity)|nan", re.IGNORECASE
)
_HEX_FLOAT = re.compile(r"[-+]?0x[0-9a-f]*(?:\.[0-9a-f]*)?p[-+]?[0-9]+", re.IGNORECASE)


def parse_float(text: str) -> float:
    """A number as Go's `strconv.ParseFloat` reads it.

    Raises:
        ValueError: in Go's words.
    """
    wrong = ValueError(f'strconv.ParseFloat: parsing "{text}": invalid syntax')
    if _HEX_FLOAT.fullmatch(text):
        try:
            return float.fromhex(text)
        except ValueError:
            raise wrong from None
    if not _FLOAT.fullmatch(text):
        raise wrong
    value = float(text)
    if math.isinf(value) and "inf" not in text.lower():
        raise ValueError(f'strconv.ParseFloat: parsing "{text}": value out of range')
    return value


class OutOfRangeError(ValueError):
    """A whole number that its type cannot hold."""


def parse_int(text: str, bits: int = 64) -> int:
    """A whole number as Go's `strconv.ParseInt(text, 10, bits)` reads it.

    Raises:
        OutOfRangeError: it does not fit into `bits`.
        ValueError: it is no whole number.
    """
    if not re.fullmatch(r"[-+]?[0-9]+", text):
        raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    value = int(text)
    if not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
        raise OutOfRangeError(f'strconv.ParseInt: parsing "{text}": value out of range')
    return value


def parse_bool(text: str) -> bool:
    """A truth value as Go's `strconv.ParseBool` reads it.

    Raises:
        ValueError: in Go's words.
    """
    if text in {"1", "t", "T", "true", "TRUE", "True"}:
        return True
    if text in {"0", "f", "F", "false", "FALSE", "False"}:
        return False
    raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def format_float(value: float) -> str:
    """A number as Go's `%v` prints it, for the magnitudes that settings have: `1`, `0.01`, `142.4`, `+Inf`."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    return f"{value:.0f}" if value == int(value) else repr(value)


_SUFFIXES = {
    "": Fraction(1),
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "k": Fraction(1000),
    **{name: Fraction(1000**power) for power, name in enumerate("MGTPE", 2)},
    **{f"{name}i": Fraction(1024**power) for power, name in enumerate("KMGTPE", 1)},
}
_QUANTITY = re.compile(r"([-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))(?:([KMGTPE]i|[numkMGTPE])|[eE]([-+]?[0-9]+))?")


def parse_quantity(text: str) -> Fraction:
    """A Kubernetes quantity such as `100m`, `1Gi`, `0.5` or `1e3`, in its own unit (cores, bytes).

    Raises:
        ValueError: in Kubernetes' words.
    """
    found = _QUANTITY.fullmatch(text)
    # An exponent has few digits in any honest quantity; thousands of them would only burn memory.
    if not found or len(found[3] or "") > 4:
        raise ValueError("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
    if found[3]:
        return Fraction(found[1]) * Fraction(10) ** int(found[3])
    return Fraction(found[1]) * _SUFFIXES[found[2] or ""]


_DNS1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_DNS1123 = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_DNS1123_SUBDOMAIN = re.compile(rf"{_DNS1123.pattern}(\.{_DNS1123.pattern})*")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")


def dns1035_label(name: str, *, prefix: bool = False) -> list[str]:
    """What keeps a name from being a DNS-1035 label, in Kubernetes' words; nothing if it is one.

    Args:
        name: the name of a Service, a revision or a tag.
        prefix: the name is a `generateName`, to which letters and digits are appended.
    """
    checked = f"{name[:-1]}a" if prefix and name.endswith("-") else name
    mistakes = [] if len(checked) <= 63 else ["must be no more than 63 characters"]
    if not _DNS1035.fullmatch(checked):
        mistakes.append(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
            "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for "
            "validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
        )
    return mistakes


def child_name(parent: str, suffix: str) -> str:
    """Return the name of an object that a controller makes for another: at most 63 characters, as `kmeta.ChildName`."""
    if len(parent) + len(suffix) <= _LONGEST_NAME:
        return parent + suffix
    digest = hashlib.md5(parent.encode(), usedforsecurity=False).hexdigest()
    return f"{parent[: _LONGEST_NAME - len(digest) - len(suffix)]}{digest}{suffix}"


def is_dns1123_label(name: str) -> bool:
    """Whether a name is a DNS-1123 label, as a volume's or a namespace's must be."""
    return not dns1123_label(name)


def dns1123_label(name: str) -> list[str]:
    """What keeps a name from being a DNS-1123 label, in Kubernetes' words; nothing if it is one."""
    mistakes = [] if len(name) <= _LONGEST_NAME else ["must be no more than 63 characters"]
    if not _DNS1123.fullmatch(name):
        mistakes.append(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and "
            "end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
            "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
        )
    return mistakes


def dns1123_subdomain(name: str) -> list[str]:
    """What keeps a name from being a DNS-1123 subdomain, in Kubernetes' words; nothing if it is one."""
    mistakes = [] if len(name) <= 253 else ["must be no more than 253 characters"]
    if not _DNS1123_SUBDOMAIN.fullmatch(name):
        mistakes.append(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
            "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
            "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
        )
    return mistakes


def qualified_name(name: str) -> list[str]:
    """What keeps a name from being a qualified name (`part` or `prefix/part`), in Kubernetes' words."""
    prefix, slash, part = name.rpartition("/")
    mistakes = []
    if slash and (not prefix or dns1123_subdomain(prefix)):
        mistakes.append("prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters")
    if not part:
        mistakes.append("name part must be non-empty")
    elif len(part) > 63:
        mistakes.append("name part must be no more than 63 characters")
    if not _QUALIFIED.fullmatch(part):
        mistakes.append(
            "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
            "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
            "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
        )
    return mistakes


def label_value(value: str) -> bool:
    """Whether Kubernetes takes a text as the value of a label."""
    return not value or (len(value) <= 63 and _QUALIFIED.fullmatch(value) is not None)


_TAG_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789_-.ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_REPOSITORY_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789_-./"


def _check_element(name: str, text: str, characters: str, least: int, most: int) -> None:
    if not least <= len(text) <= most:
        raise ValueError(f"{name} must be between {least} and {most} characters in length: {text}")
    if not set(text) <= set(characters):
        raise ValueError(f"{name} can only contain the characters `{characters}`: {text}")


class Image:
    """An image reference, taken apart: `registry/repository:tag@digest`."""

    def __init__(self, reference: str) -> None:
        """Parse a reference.

        Raises:
            ValueError: in go-containerregistry's words.
        """
        name, at, digest = reference.partition("@")
        if at and not re.fullmatch(r"sha256:[a-f0-9]{64}", digest):
            raise ValueError(f"a digest must be sha256:<64 hexadecimal digits>: {reference}")
        colon = name.rfind(":")
        tagged = colon > name.rfind("/")
        self.digest = digest
        self.tag = name[colon + 1 :] if tagged else ""
        if self.tag:
            _check_element("tag", self.tag, _TAG_CHARACTERS, 1, 128)
        base = name[:colon] if tagged else name
        if not base:
            raise ValueError("a repository name must be specified")
        first, slash, rest = base.partition("/")
        named = slash and ("." in first or ":" in first)
        self.registry = first if named else ""
        self.repository = rest if named else base
        _check_element("repository", self.repository, _REPOSITORY_CHARACTERS, 2, 255)
        if named and not re.fullmatch(r"(?:[-A-Za-z0-9.]+|\[[0-9a-fA-F:]+\])(?::[0-9]*)?", first):
            raise ValueError(f"registries must be valid RFC 3986 URI authorities: {first}")

    @property
    def latest(self) -> bool:
        """Whether the reference floats: no digest, and no tag other than `latest`."""
        return not self.digest and self.tag in {"", "latest"}
