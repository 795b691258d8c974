"""Each refusal and each warning, on a file that has it: the marks in the files say what is expected of which line."""

import re
from collections import Counter
from pathlib import Path

import pytest

from knative.local.check.command import check
from knative.local.check.lint import RULES
from knative.local.manifests.findings import Level

FILES = sorted((Path(__file__).parent / "offending").glob("*.yaml"))
MARK = re.compile(r"#! (error|warning|note) (.*?)(?=\s+#! |$)")


def expected(path):
    """The marks of a file: (line, level, text), where a warning's text begins with its rule."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        for level, text in MARK.findall(line):
            yield number, level, text.strip()


def fits(finding, mark):
    line, level, text = mark
    if finding.position.line != line or finding.level != level:
        return False
    rule, _, words = text.partition(" ") if level != "error" else ("", "", text)
    return words in finding.text and rule in {"", finding.rule}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_marked_line_is_found_and_nothing_else(path):
    unmatched = list(check([str(path)]).findings)
    missed = []
    for mark in expected(path):
        found = next((finding for finding in unmatched if fits(finding, mark)), None)
        if found is None:
            missed.append(mark)
        else:
            unmatched.remove(found)
    assert not missed, f"not found in {path.name}"
    # Notes are about every Service that leaves a feature out: only files that mark one have to mark all of them.
    notes = any(level == "note" for _, level, _ in expected(path))
    assert not [str(finding) for finding in unmatched if notes or finding.level is not Level.NOTE]


def test_every_rule_of_the_lint_has_a_file():
    rules = Counter(text.split(" ")[0] for path in FILES for _, level, text in expected(path) if level == "warning")
    assert set(rules) == set(RULES)
