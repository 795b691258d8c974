"""Types of JSON and YAML values, for annotations.

A document comes from outside: which fields it has is checked where they are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

Json: TypeAlias = Any
"""Any value: null, a boolean, a number, a string, a list or an object."""
JsonObject: TypeAlias = dict[str, Any]
"""An object that its holder may change."""
JsonMapping: TypeAlias = Mapping[str, Any]
"""An object that is only read."""
