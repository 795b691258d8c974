"""The functions of this repository: a folder `functions/<name>` with a `main.py` that defines `FUNCTION`.

Nothing else lists their names. `python -m functions.registry` prints the table of docs/settings.md.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from functions.kit.http.function import names_in

if TYPE_CHECKING:
    from functions.kit.http.function import AnyFunction


def names() -> tuple[str, ...]:
    """The names of all functions, in alphabetical order; imports none of them."""
    return names_in(Path(__file__).parent)


def load(name: str) -> AnyFunction:
    """Import a function.

    Raises:
        ModuleNotFoundError: no function has this name, or its extra is not installed.
    """
    function: AnyFunction = import_module(f"functions.{name}.main").FUNCTION
    return function


def main() -> int:
    """Print the settings table of all functions."""
    from functions.kit.http.settings import table

    print(table({name: load(name).settings for name in names()}))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
