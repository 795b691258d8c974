"""Write the list of packages into ARCHITECTURE.md from their docstrings: `python -m tools.packages`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOTS = ("functions", "knative", "loadtest", "tools")
DOCUMENT = ROOT / "ARCHITECTURE.md"
LIST = re.compile(r"(?<=<!-- packages -->\n).*?(?=<!-- /packages -->)", re.DOTALL)


def packages() -> Iterator[tuple[str, str]]:
    """The path and the docstring of each package."""
    for root in ROOTS:
        for path in sorted((ROOT / root).rglob("__init__.py")):
            docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            yield str(path.parent.relative_to(ROOT)), docstring


def listed() -> str:
    """The list as it should be: a line for each package with the first sentence of its docstring."""
    lines = (f"- `{path}`: {docstring.partition(chr(10) + chr(10))[0]}" for path, docstring in packages())
    return "\n".join(line.replace("\n", " ") for line in lines) + "\n"


def main() -> None:
    """Replace the list in the document."""
    DOCUMENT.write_text(LIST.sub(lambda _: listed(), DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
