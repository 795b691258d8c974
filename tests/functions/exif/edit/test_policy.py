"""The policy: every kind of part has a rule, the documentation shows them, and an empty policy changes nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.exif.edit import parts
from functions.exif.edit.decide import Edit
from functions.exif.edit.errors import Broken
from functions.exif.edit.names import KEEP
from functions.exif.edit.policy import RULES, Action, document
from functions.kit import containers
from functions.kit.containers import Kind
from tests.functions.exif import made
from tests.functions.exif.edit.test_formats import FILES
from tests.servers import ROOT

PICTURES = {**made.all_of_them(), **FILES}
EMPTY = {kind: rule._replace(strip=Action.KEEP, located=Action.KEEP) for kind, rule in RULES.items()}


def test_every_kind_has_a_rule_and_every_name_of_keep_a_kind() -> None:
    assert set(RULES) == set(Kind)
    assert {name for rule in RULES.values() for name in rule.keep} == set(KEEP)


def test_the_documentation_shows_the_rules() -> None:
    text = (ROOT / "docs/exif.md").read_text(encoding="utf-8")
    shown = text.partition("<!-- policy -->\n")[2].partition("<!-- /policy -->")[0]
    assert shown == document(), "write the table anew: functions.exif.edit.policy.document()"


# TIFFs are edited by their directories, not as parts.
PARTED = sorted(name for name in PICTURES if "tiff" not in name)


@pytest.mark.parametrize("name", PARTED)
def test_an_empty_policy_returns_the_input(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = containers.read(PICTURES[name])
    assert found is not None
    monkeypatch.setattr(parts, "RULES", EMPTY)
    monkeypatch.setattr(parts, "TYPES", {})
    # What restores a JPEG is structure without its rule, and no field accounts for it.
    monkeypatch.setattr(parts._Cleaner, "_beyond", lambda _, part: None)
    monkeypatch.setattr(parts.mpf, "reduced", lambda document, _: document.source.data)
    assert parts.clean(found, Edit()) == PICTURES[name]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_an_empty_policy_returns_any_input_that_is_not_refused(data: st.DataObject) -> None:
    source = bytearray(data.draw(st.sampled_from(sorted(PICTURES.values()))))
    for _ in range(data.draw(st.integers(1, 6))):
        source[data.draw(st.integers(0, min(len(source) - 1, 2000)))] = data.draw(st.integers(0, 255))
    found = containers.read(bytes(source))
    if found is None:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "RULES", EMPTY)
        patch.setattr(parts, "TYPES", {})
        patch.setattr(parts.mpf, "reduced", lambda document, _: document.source.data)
        patch.setattr(parts._Cleaner, "_essential", lambda _, part: False)
        # Names of handlers and bytes that no field or decoder accounts for go by rules of their own.
        patch.setattr(parts._Cleaner, "_handler", lambda _, part: None)
        patch.setattr(parts._Cleaner, "_beyond", lambda _, part: None)
        patch.setattr(parts._Cleaner, "_beside", lambda _: None)
        try:
            assert parts.clean(found, Edit()) == source
        except Broken:
            return
