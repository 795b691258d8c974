"""Work counted in lines of Python: a bound that is the same on every machine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

Result = TypeVar("Result")


class TooMuchWork(BaseException):
    """More lines were executed than the bound allows; not an Exception, so that no handler in between takes it."""


def within(lines: int, call: Callable[[], Result]) -> Result:
    """Run `call`, and return what it returns.

    Lines of the standard library and of other packages count too. What runs inside one call of C does not.

    Raises:
        TooMuchWork: more than `lines` lines were executed.
    """
    left = lines

    def trace(_: FrameType, event: str, __: Any) -> Any:
        nonlocal left
        if event == "line":
            left -= 1
            if left < 0:
                raise TooMuchWork(f"more than {lines:,} lines of Python")
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        return call()
    finally:
        sys.settrace(before)
