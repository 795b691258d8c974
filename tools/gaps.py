"""Write the list of what the engine does not honour into docs/engine.md: `python -m tools.gaps`."""

from __future__ import annotations

import re
from pathlib import Path

from knative.local.engine.gaps import GAPS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "engine.md"
_TABLE = re.compile(r"^(?:GAPS|\| field \| of \| what happens instead \|\n(?:\|.*\n)+)", re.MULTILINE)


def table() -> str:
    """The list as a Markdown table."""
    rows = "\n".join(f"| `{gap.path}` | {gap.where.value} | {gap.effect} |" for gap in GAPS)
    return f"| field | of | what happens instead |\n|---|---|---|\n{rows}\n"


def main() -> None:
    """Replace the table of the page."""
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(_TABLE.sub(lambda _: table(), text, count=1), encoding="utf-8")


if __name__ == "__main__":
    main()
