"""All fuzz targets by name."""

from __future__ import annotations

from tools.fuzz import configuration, depths, heads, messages, pictures

TARGETS = {**messages.TARGETS, **heads.TARGETS, **pictures.TARGETS, **depths.TARGETS, **configuration.TARGETS}
