"""JSON as it is sent: compact, in UTF-8."""

from __future__ import annotations

import json
from typing import Any

import orjson


def encode(value: Any) -> bytes:
    """A value of mappings with names that are text, lists, tuples, text, numbers, true, false and None as JSON.

    Numbers that JSON has no form for become null.

    Raises:
        RecursionError: nested deeper than Python reaches.
        TypeError: something else is in it.
    """
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        # Whole numbers beyond 64 bits, nesting beyond 254, or half a surrogate pair, which JSON can hold as an escape
        # and UTF-8 cannot.
        value = json.loads(json.dumps(value), parse_constant=lambda _: None)
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()
