"""`python -m knative check PATH…`: Knative's webhooks offline, and a lint.

Exit status: 0 if a cluster would take everything, 1 if it would refuse something (with `--strict`, if it finds
anything at all), 2 for a mistake in the arguments.
"""

from __future__ import annotations

import argparse
import json
import sys
import urllib.parse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata

from knative.local.check.admission import read
from knative.local.check.lint import RULES, lint
from knative.local.jsontypes import Json, JsonObject
from knative.local.manifests.findings import Finding, Level, dotted


@dataclass(frozen=True)
class Report:
    """What a check found, and in how many objects.

    Attributes:
        objects: all objects of the manifests.
        not_checked: those among them whose kind has no rules here, such as a Deployment.
    """

    findings: tuple[Finding, ...]
    objects: int
    not_checked: int = 0

    def count(self, level: Level) -> int:
        """The number of findings of a level."""
        return sum(finding.level == level for finding in self.findings)


def check(paths: Sequence[str], ignored: frozenset[str] = frozenset()) -> Report:
    """Check manifests.

    Args:
        paths: files, folders and kustomizations.
        ignored: names of rules that are left out; refusals are never left out.
    """
    manifests = read(paths)
    findings = (*manifests.findings, *lint(manifests))
    # A refusal about the kind itself is a verdict, too.
    judged = {(item.subject, item.position and item.position.file) for item in findings if item.rule == "unserved"}
    not_checked = sum(
        not item.checked and (item.subject, item.position.file) not in judged for item in manifests.resources
    )
    kept = tuple(item for item in findings if item.rule not in ignored)
    return Report(kept, len(manifests.resources), not_checked)


def as_text(report: Report) -> str:
    """A line a finding, `file:line:column: level: object: message: path [rule]`, and a last line that counts."""
    lines = []
    for finding in report.findings:
        first, *rest = str(finding).split("\n")
        lines += [f"{first} [{finding.rule}]", *(f"    {line}" for line in rest)]
    errors, warnings = report.count(Level.ERROR), report.count(Level.WARNING)
    counts = [_plural(errors, "error"), _plural(warnings, "warning")]
    if notes := report.count(Level.NOTE):
        counts.append(_plural(notes, "note"))
    if report.not_checked:
        counts.append(f"{report.not_checked} not checked")
    lines.append(f"{_plural(report.objects, 'object')}: {', '.join(counts)}")
    return "\n".join(lines)


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def as_json(report: Report) -> str:
    """The report as one JSON object."""
    return json.dumps(
        {
            "objects": report.objects,
            "not_checked": report.not_checked,
            "errors": report.count(Level.ERROR),
            "warnings": report.count(Level.WARNING),
            "notes": report.count(Level.NOTE),
            "findings": [_plain(finding) for finding in report.findings],
        },
        indent=2,
        ensure_ascii=False,
    )


def _plain(finding: Finding) -> JsonObject:
    position = finding.position
    return {
        "file": position.file if position else None,
        "line": position.line if position else None,
        "column": position.column if position else None,
        "level": finding.level.value,
        "rule": finding.rule,
        "object": finding.subject,
        "message": finding.message,
        "paths": [dotted(path) for path in finding.paths],
        "details": finding.details,
    }


def as_github(report: Report) -> str:
    """Workflow commands, which GitHub shows beside the lines of a pull request."""
    lines = []
    for finding in report.findings:
        fields = {"title": f"{finding.subject} {finding.rule}".strip()}
        if finding.position:
            place = finding.position
            fields = {"file": place.file, "line": str(place.line), "col": str(place.column), **fields}
        shown = ",".join(f"{key}={_escaped(value, ':,')}" for key, value in fields.items())
        command = "notice" if finding.level is Level.NOTE else finding.level.value
        lines.append(f"::{command} {shown}::{_escaped(finding.text)}")
    return "\n".join(lines)


def _escaped(text: str, more: str = "") -> str:
    for character in "%\r\n" + more:
        text = text.replace(character, f"%{ord(character):02X}")
    return text


_SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def as_sarif(report: Report) -> str:
    """Return the report as SARIF 2.1.0, which code scanners and editors show beside the lines."""
    rules = sorted({finding.rule for finding in report.findings})
    driver = {
        "name": "knative check",
        "version": metadata.version("pixelamp"),
        "rules": [{"id": rule} for rule in rules],
    }
    results = [_sarif_result(finding, rules) for finding in report.findings]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return json.dumps({"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False)


def _sarif_result(finding: Finding, rules: Sequence[str]) -> JsonObject:
    result: JsonObject = {
        "ruleId": finding.rule,
        "ruleIndex": rules.index(finding.rule),
        "level": finding.level.value,
        "message": {"text": f"{finding.subject}: {finding.text}" if finding.subject else finding.text},
    }
    if place := finding.position:
        artifact = {"uri": urllib.parse.quote(place.file)}
        region = {"startLine": place.line, "startColumn": place.column}
        result["locations"] = [{"physicalLocation": {"artifactLocation": artifact, "region": region}}]
    return result


FORMATS: dict[str, Callable[[Report], str]] = {
    "text": as_text,
    "json": as_json,
    "github": as_github,
    "sarif": as_sarif,
}


def add_parser(subparsers: Json) -> None:
    """Add the command to `python -m knative`."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "check",
        help="refuse what Knative's webhook refuses, and warn of what it lets through",
        description="Check manifests as Knative's webhooks would, without a cluster.",
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a manifest, a folder of them, or a kustomization")
    parser.add_argument("--format", choices=tuple(FORMATS), default="text", help="how to say it (default: text)")
    parser.add_argument("--strict", action="store_true", help="let warnings fail as well")
    parser.add_argument(
        "--ignore",
        action="append",
        choices=RULES,
        default=[],
        metavar="RULE",
        help=f"leave out the warnings of a rule; may be repeated: {', '.join(RULES)}",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check the paths of the arguments, print the report, and return the exit status."""
    report = check(arguments.paths, frozenset(arguments.ignore))
    shown = FORMATS[arguments.format](report)
    if shown:
        sys.stdout.write(shown + "\n")
    failed = report.count(Level.ERROR) + (report.count(Level.WARNING) if arguments.strict else 0)
    return 1 if failed else 0
