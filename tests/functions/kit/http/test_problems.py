"""Types of problems: one table, which holds each type that the code raises and is served by every function."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import pytest

from functions import registry
from functions.kit.http.problems import TYPE_BASE, Problem, problem_types
from functions.kit.http.settings import Settings
from functions.kit.server.gunicorn_worker import REFUSALS
from tests.servers import ROOT

KINDS = {"broker"}  # of `no-such-…`, which the engine composes


@functools.cache
def raised() -> list[tuple[Path, str, str]]:
    """File, slug and status of each `Problem` in the code whose slug is written there."""
    found = []
    for folder in ("functions", "knative"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            for node in ast.walk(ast.parse(text)) if "Problem(" in text else ():
                if (
                    isinstance(node, ast.Call)
                    and ast.unparse(node.func).rpartition(".")[2] == "Problem"
                    and len(node.args) > 2
                ):
                    status, slug = node.args[:2]
                    if isinstance(slug, ast.Constant) and str(slug.value) == str(slug.value).lower():
                        found.append((path, slug.value, str(getattr(status, "value", ""))))
    return found


def test_every_type_that_is_raised_is_in_the_table_with_its_status():
    assert len(raised()) > 30
    for path, slug, status in raised():
        assert slug in problem_types(), f"{path}: add {slug} to problems.tsv"
        assert not status or status in problem_types()[slug].statuses.split(), f"{path}: {slug} with {status}"


def test_the_table_has_no_other_type():
    known = {slug for _, slug, _ in raised()} | {row[2] for row in REFUSALS} | {f"no-such-{kind}" for kind in KINDS}
    assert set(problem_types()) == known


def test_the_refusals_of_the_server_are_in_the_table():
    for _, status, slug, _ in REFUSALS:
        assert str(status) in problem_types()[slug].statuses.split()


@pytest.mark.parametrize("kind", problem_types().values(), ids=lambda kind: kind.name)
def test_a_row_is_complete_and_names_settings_that_exist(kind):
    assert all((kind.title, kind.meaning.endswith("."), kind.way_out.endswith(".")))
    settings = [registry.load(name).settings for name in registry.names()]
    for limit in kind.limits.split():
        assert any(hasattr(one, limit) for one in [Settings, *settings]), limit


def test_a_problem_names_no_domain():
    document = Problem(413, "too-many-bytes", "Body too large", "detail").document("id")
    assert document["type"] == f"{TYPE_BASE}too-many-bytes" == "/problems/too-many-bytes"
