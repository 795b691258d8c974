"""All that is fuzzed, by name."""

from __future__ import annotations

from tools.fuzz import configuration, heads, messages, pictures

TARGETS = {**messages.TARGETS, **heads.TARGETS, **pictures.TARGETS, **configuration.TARGETS}
