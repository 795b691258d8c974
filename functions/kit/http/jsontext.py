"""Compact JSON in UTF-8."""

from __future__ import annotations

import json

import orjson


def encode(value: object) -> bytes:
    """Encode mappings with text keys, lists, tuples, text, numbers, booleans and None as JSON.

    NaN and infinities become null.

    Raises:
        RecursionError: nesting exceeds the recursion limit.
        TypeError: a value of another type.
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
