"""All that is fuzzed, by name."""

from __future__ import annotations

from tests.fuzz import configuration, heads, messages, pictures

TARGETS = {**messages.TARGETS, **heads.TARGETS, **pictures.TARGETS, **configuration.TARGETS}
